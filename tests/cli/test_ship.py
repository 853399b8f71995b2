"""`haul ship` as a user meets it: flags and variables, results, exit codes."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from haulyard.journal.lock import Lock
from haulyard.testing.faults import Fault, FaultServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer() as server:
        yield server


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    path = tmp_path / "spool"
    path.mkdir()
    (path / "20250729_161500.xml").write_text("<e/>")
    return path


@pytest.fixture
def ship(haul: Any, server: FaultServer) -> Any:
    haul.real = True
    haul.environ |= {
        "AWS_ENDPOINT_URL": server.url,
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "5ec3e7key",
        "HAUL_STATE_DIR": str(haul.cwd / "state"),
    }
    return lambda *words: haul("ship", *words)


def test_files_go_where_the_flags_say_and_each_is_told(ship: Any, server: FaultServer, spool: Path) -> None:
    result = ship(
        str(spool), "--to", "s3://bucket/in", "--settle", "0", "--date-folders", "--after", "delete"
    )
    assert (result.code, result.err) == (0, "")
    key = "in/2025/07/29/20250729_161500.xml"
    assert server.objects["bucket", key] == b"<e/>"
    assert result.out.splitlines() == [
        f"shipped: {spool}/20250729_161500.xml to s3://bucket/{key}",
        "1 file shipped (4 B)",
    ]
    assert os.listdir(spool) == [".haul-ship"]


def test_the_environment_is_enough(haul: Any, ship: Any, server: FaultServer, spool: Path) -> None:
    haul.environ |= {"HAUL_SPOOL_DIR": str(spool), "BUCKET_NAME": "bucket", "USE_DATE_FOLDERS": "true"}
    result = ship("--settle", "0", "--json")
    assert (result.code, result.err) == (0, "")
    assert server.objects["bucket", "xml-events/2025/07/29/20250729_161500.xml"] == b"<e/>"
    shipped, summary = result.events
    assert shipped["event"] == "shipped"
    assert {"path", "key", "bytes", "checksum", "attempts", "seconds", "url"} <= shipped.keys()
    assert (summary["event"], summary["shipped"]) == ("summary", 1)
    # It is kept unless stated, and shipped once.
    assert (spool / "20250729_161500.xml").exists()
    assert ship("--settle", "0", "--json").events[-1]["shipped"] == 0


def test_a_prefix_and_the_tries_come_from_their_variables(
    haul: Any, ship: Any, server: FaultServer, spool: Path
) -> None:
    haul.environ |= {"BUCKET_NAME": "bucket", "PREFIX": "p", "MAX_RETRIES": "2", "RETRY_BASE_DELAY": "0.001"}
    server.objects["bucket", "p/20250729_161500.xml"] = b"theirs"
    result = ship(str(spool), "--settle", "0", "--json")
    assert result.code == 1
    failed = result.events[0]
    assert failed["action"] == "quarantine"
    assert "other content" in failed["error"]["message"]
    assert server.objects["bucket", "p/20250729_161500.xml"] == b"theirs"
    assert (spool / "quarantine/20250729_161500.xml").read_text() == "<e/>"


@pytest.mark.parametrize(("tries", "attempts"), [("1", 1), ("2", 2)])
def test_a_file_is_tried_as_often_as_is_said(
    haul: Any, ship: Any, server: FaultServer, spool: Path, tries: str, attempts: int
) -> None:
    haul.environ |= {"MAX_RETRIES": tries, "RETRY_BASE_DELAY": "0.001"}
    # HEAD finds other bytes of the same size there.
    name = "20250729_161500.xml"
    server.script(Fault("HeadObject", key=f"x/{name}", change_etag=b"<o/>", attempts="all"))
    failed = ship(str(spool), "--to", "s3://bucket/x/", "--settle", "0", "--json").events[-2]
    assert (failed["action"], failed["attempts"]) == ("quarantine", attempts)


def test_a_young_file_is_waited_for(ship: Any, server: FaultServer, spool: Path) -> None:
    assert "1 file shipped" in ship(str(spool), "--to", "s3://bucket/", "--settle", "200ms").out


@pytest.mark.parametrize(
    ("code", "status", "exit_code"),
    [("InvalidAccessKeyId", 403, 3), ("AccessDenied", 403, 3), ("NoSuchBucket", 404, 4)],
)
def test_what_is_wrong_at_the_start_ends_it_and_removes_nothing(
    haul: Any, spool: Path, ship: Any, code: str, status: int, exit_code: int
) -> None:
    fault = Fault(status=status, body=f"<Error><Code>{code}</Code></Error>", attempts="all")
    with FaultServer(fault) as server:
        haul.environ["AWS_ENDPOINT_URL"] = server.url
        result = ship(str(spool), "--to", "s3://bucket/", "--settle", "0", "--after", "delete")
    assert result.code == exit_code
    assert (spool / "20250729_161500.xml").exists()


def test_two_shippers_do_not_share_a_directory(ship: Any, spool: Path) -> None:
    (spool / ".haul-ship").mkdir()
    with Lock.acquire(str(spool / ".haul-ship/lock"), command="haul ship", what="it"):
        result = ship(str(spool), "--to", "s3://bucket/")
    assert result.code == 2
    assert f"process {os.getpid()}" in result.err


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("DIR",),
        ("DIR", "--to", "elsewhere"),
        ("DIR", "--to", "s3://bucket/", "--once", "--watch"),
        ("DIR", "--to", "s3://bucket/", "--after", "move"),
        ("DIR", "--to", "s3://bucket/", "--move-to", "x"),
        ("DIR", "--to", "s3://bucket/", "--settle", "soon"),
        ("DIR", "--to", "s3://bucket/", "--key-template", "{nothing}"),
        ("DIR", "--to", "s3://bucket/", "--source", "caf\u00e9"),
        ("DIR", "--to", "s3://bucket/", "--notify", "https://example.com/"),
        ("DIR", "--to", "s3://bucket/", "--health", "none"),
    ],
)
def test_what_makes_no_sense_is_usage(ship: Any, spool: Path, words: tuple[str, ...]) -> None:
    result = ship(*(str(spool) if word == "DIR" else word for word in words))
    assert result.code == 2
    assert (spool / "20250729_161500.xml").exists()


def test_a_directory_that_is_missing_is_not_found(ship: Any, tmp_path: Path) -> None:
    assert ship(str(tmp_path / "missing"), "--to", "s3://bucket/").code == 4


def test_lists_of_what_came_together_lie_beside_it(ship: Any, server: FaultServer, spool: Path) -> None:
    result = ship(str(spool), "--to", "s3://bucket/in/", "--settle", "0", "--batch-manifest")
    assert result.code == 0
    (key,) = (key for bucket, key in server.objects if "_manifests/" in key)
    (listed,) = json.loads(server.objects["bucket", key])["files"]
    assert (listed["key"], listed["size"]) == ("in/20250729_161500.xml", 4)


def test_keys_and_settings_of_the_command_are_known_everywhere(haul: Any, ship: Any, spool: Path) -> None:
    (haul.cwd / "haul.toml").write_text(f'bucket_name = "bucket"\nspool_dir = "{spool}"\n')
    assert ship("--settle", "0").code == 0
