"""The table of docs/iam-policies.md names the actions that the commands need, all of them and no others."""

from __future__ import annotations

import io
import json
import os
import re
from typing import TYPE_CHECKING

from tests.docs import pages

from haulyard.cli.dispatch import Process, dispatch
from haulyard.jobs import conduct
from haulyard.s3.actions import _ACTIONS

if TYPE_CHECKING:
    from pathlib import Path

    import pytest
    from tests.conftest import Server

_PAGE = pages.DOCS / "iam-policies.md"
_ROW = re.compile(r"^\| (?P<command>.+?) \| (?P<actions>.*?) \| (?P<condition>.*?) ?\|$", re.MULTILINE)
_ACTION = re.compile(r"`((?:s3|kms):[A-Za-z]+)`")
_LARGE = 9 * 1024 * 1024
#: What calls on versions need instead of what their operation needs otherwise.
_OF_VERSIONS = {"s3:DeleteObject": "s3:DeleteObjectVersion"}

#: Rows of the table, and commands that make all of their calls but those in brackets, which need a kill or an
#: archive. ``{b}`` is the bucket.
_COMMANDS = {
    "`ls` (buckets)": ["ls"],
    "`ls s3://…`, `du`": ["ls s3://{b}/", "du s3://{b}"],
    "`ls --all-versions`, `du --all-versions`": ["ls s3://{b}/ --all-versions", "du s3://{b} --all-versions"],
    "`cat`, `cp` down, one object": ["cat s3://{b}/a", "cp s3://{b}/a down"],
    "`cp` and `sync` down, many": ["cp s3://{b}/t/ many/", "sync s3://{b}/t/ synced/"],
    "`head --tags --show-acl`": ["head s3://{b}/a --tags --show-acl"],
    "`put`, `cp` up": ["put small s3://{b}/b", "cp small s3://{b}/b"],
    "`put` and `cp` up, large": ["cp large s3://{b}/large", "put large s3://{b}/large"],
    "`cp --no-clobber`, `cp --update`": [
        "cp small s3://{b}/b --no-clobber",
        "cp small s3://{b}/new --no-clobber",
        "cp small s3://{b}/b --update",
    ],
    "`sync` up": ["sync tree/ s3://{b}/up/"],
    "`sync --delete` up": ["rm s3://{b}/t/1", "sync tree/ s3://{b}/t/ --delete"],
    "`cp` inside S3": ["cp s3://{b}/a s3://{b}/c"],
    "`mv` inside S3": ["mv s3://{b}/c s3://{b}/d"],
    "`mv` down": ["mv s3://{b}/d moved"],
    "`process` of an object": ["process s3://{b}/a --format jsonl --to http://127.0.0.1:9/ --dry-run"],
    "`process` of a prefix": ["process s3://{b}/t/ --format jsonl --to http://127.0.0.1:9/ --dry-run"],
    "`ingest` of an object": ["ingest s3://{b}/a --format csv --db one.duckdb"],
    "`ingest` of a prefix": [
        "ingest s3://{b}/t/ --format csv --db all.duckdb --table t --on-drift add-columns"
    ],
    "`ship`": ["ship tree --to s3://{b}/shipped/ --settle 0"],
    "`plan`": [
        "plan copy s3://{b}/t/ s3://{b}/j/ --job copy",
        "plan retag s3://{b}/tagged/ --tag a=b --job retag",
    ],
    "`apply` of copies": ["apply copy"],
    "`apply` of moves": ["plan move s3://{b}/j/ s3://{b}/k/ --job move", "apply move"],
    "`apply` of new tags": ["apply retag"],
    "`apply` of deletions": ["plan delete s3://{b}/gone/ --job delete", "apply delete"],
    "`undo` of moves": ["undo move"],
    "`undo` of copies": ["undo copy"],
    "`undo` of new tags": ["undo retag"],
    "`rm`": ["rm s3://{b}/b"],
    "`rm -r`": ["rm -r s3://{b}/up"],
    "`rm -r --all-versions`": ["rm -r --all-versions s3://{b}/t"],
    "`uploads`": ["uploads s3://{b}"],
    "`mb`": ["mb s3://{b}2"],
    "`rb`": ["rb s3://{b}2"],
    "`rb --force`": ["rb s3://{b} --force --yes"],
}
#: Rows whose calls need a kill, an archive or a browser, and what of the others does.
_NOT_RUN = {"`presign`", "`restore`", "`uploads abort`", "`apply` of restores", "`undo` of deletions"}
#: A plan that belongs to the row of another command, here only to have something to apply.
_LISTS = {"`apply` of moves": {"s3:ListBucket"}, "`apply` of deletions": {"s3:ListBucket"}}
_AFTER_A_KILL = {
    "`put` and `cp` up, large": {
        "s3:AbortMultipartUpload",
        "s3:ListMultipartUploadParts",
        "s3:ListBucketMultipartUploads",
    },
    "`rb --force`": {"s3:AbortMultipartUpload"},
}
#: Without it S3 says "denied" of what is missing; with it no call is made.
_SAYS_MISSING = {"`cp --no-clobber`, `cp --update`": {"s3:ListBucket"}}


def _rows() -> dict[str, set[str]]:
    text = _PAGE.read_text(encoding="utf-8").partition("Beyond these")[0]
    found = {row["command"]: set(_ACTION.findall(row["actions"])) for row in _ROW.finditer(text)}
    return {command: actions for command, actions in found.items() if actions}


def test_every_row_is_tried() -> None:
    assert _rows().keys() == _COMMANDS.keys() | _NOT_RUN


def test_each_command_needs_what_the_table_says(
    tmp_path: Path, seaweedfs: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    async def no_rights_are_checked(*_: object) -> None:
        """Take all rights for granted: the check tries every call there is."""

    monkeypatch.setattr(conduct, "_check_rights", no_rights_are_checked)
    haul = _Haul(tmp_path, seaweedfs)
    haul.prepare("iam-policies")
    rows = _rows()
    wrong = {}
    for row, lines in _COMMANDS.items():
        needed = {action for line in lines for action in haul.actions(line.format(b="iam-policies"))}
        if "--all-versions" in row or "--force" in row:
            needed = {_OF_VERSIONS.get(action, action) for action in needed}
        needed -= _LISTS.get(row, set())
        expected = rows[row] - _AFTER_A_KILL.get(row, set()) - _SAYS_MISSING.get(row, set())
        if needed != expected:
            wrong[row] = sorted(needed)
    assert not wrong, wrong


def test_every_policy_is_one() -> None:
    policies = [json.loads(block.text) for block in pages.blocks(_PAGE) if block.language == "json"]
    assert policies
    known = {action.partition(" ")[0] for actions in _ACTIONS.values() for action in actions}
    for policy in policies:
        for statement in policy["Statement"]:
            assert set(statement) <= {"Effect", "Action", "Resource", "Condition"}
            assert set(statement["Action"]) <= known


class _Haul:
    """Runs commands and tells which actions their requests needed."""

    def __init__(self, directory: Path, server: Server) -> None:
        self._directory = directory
        self._environment = {
            "HOME": str(directory / "home"),
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ENDPOINT_URL_S3": server.endpoint_url,
            "AWS_ACCESS_KEY_ID": server.access_key,
            "AWS_SECRET_ACCESS_KEY": server.secret_key,
            "AWS_REGION": server.region,
        }

    def prepare(self, bucket: str) -> None:
        """Make files and objects, and have the endpoint proved, so that no command has to."""
        (self._directory / "tree").mkdir()
        for name in ("tree/1", "tree/2", "small"):
            (self._directory / name).write_text(name)
        (self._directory / "large").write_bytes(bytes(_LARGE))
        for line in (
            f"mb s3://{bucket}",
            f"put small s3://{bucket}/a",
            f"cp tree/ s3://{bucket}/t/",
            f"put small s3://{bucket}/t/3",
            f"put small s3://{bucket}/gone/1",
            f"put small s3://{bucket}/tagged/1",
            f"put small s3://{bucket}/tagged/2 --tag c=d",
            f"doctor s3://{bucket}",
        ):
            self.actions(line)

    def actions(self, line: str) -> set[str]:
        """Run a command and return the actions that the operations it used need."""
        out, err = io.BytesIO(), io.BytesIO()
        words = [*line.split(), "--log-level", "debug", "--json"]
        code = dispatch(words, Process(self._environment, os.getcwd(), out, err))
        assert code == 0, f"{line}: {err.getvalue().decode()}"
        events = [json.loads(text) for text in err.getvalue().splitlines()]
        operations = {event["operation"] for event in events if event["event"] == "request"}
        assert operations, line
        return {action.partition(" ")[0] for operation in operations for action in _ACTIONS[operation]}
