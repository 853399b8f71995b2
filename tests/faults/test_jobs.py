"""Bulk jobs against a server that misbehaves: nothing is lost, and nothing is claimed that did not happen."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from haulyard.errors import ConfigError, JobError, S3PermissionError
from haulyard.jobs import conduct
from haulyard.jobs.applying.options import ApplyOptions
from haulyard.jobs.model import Operation, Verb
from haulyard.jobs.specification import Specification
from haulyard.journal.folder import JobFolder
from haulyard.journal.shard import Shard
from haulyard.journal.writer import Writer
from haulyard.testing.faults import Fault, error_xml

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.faults.conftest import Stack

    from haulyard.jobs.applying.options import Tally

pytestmark = pytest.mark.anyio

ODD = (
    "plain.txt",
    "with space",
    "a+b",
    "100%",
    "100%25",
    "ünïcödé",
    "e\u0301 and \u00e9",
    "🚚",
    "quo\"te's",
    "a&b=c",
    "<tag>",
    "semi;colon",
    "ques?tion#mark",
    "back\\slash",
    "~tilde",
    "*star",
    "a//b",
    "dots/.../x",
    "trailing.",
    "eq=ual,com:ma@at",
    "[brackets]{braces}|pipe^",
)


class Bulk:
    """A job that moves ``in/`` to ``out/`` in the bucket of a stack."""

    def __init__(self, stack: Stack, directory: Path, name: str = "job") -> None:
        self.stack = stack
        self._directory = str(directory)
        self._name = name

    @property
    def folder(self) -> JobFolder:
        return JobFolder.open(self._directory, self._name)

    async def planned(self, objects: Mapping[str, bytes]) -> Bulk:
        for key, data in objects.items():
            self.stack.server.objects["bucket", key] = data
        specification = Specification(Verb.MOVE, "s3://bucket/in/", "s3://bucket/out/")
        folder = JobFolder.create(self._directory, self._name, specification.to_json())
        await conduct.plan(folder, self.around())
        # The endpoint is proved before anything is scripted.
        await self.stack.connection.proved("bucket")
        return self

    async def apply(self, **given: Any) -> Tally:
        return await conduct.apply(self.folder, ApplyOptions(concurrency=4, **given), self.around())

    def around(self) -> conduct.Surroundings:
        connection = self.stack.connection
        return conduct.Surroundings(connection, connection, self.stack.events.append, lambda _done: None)

    @property
    def contents(self) -> dict[str, bytes]:
        server = self.stack.server
        return {key: bytes(server.objects[bucket, key]) for bucket, key in server.objects}

    def journal(self) -> list[tuple[str, str, Mapping[str, Any]]]:
        found = []
        for path in self.folder.shard_paths():
            with Shard.open(path, owner="", read_only=True) as shard:
                for entry in shard.entries():
                    if entry.item:
                        key = Operation(*shard.row(entry.item)).key
                        found.append((key, entry.phase, entry.details))
        return found

    def phases(self) -> dict[str, str]:
        return {key: phase for key, phase, _ in self.journal()}


async def planned(stack: Stack, path: Path, objects: Mapping[str, bytes]) -> Bulk:
    return await Bulk(stack, path).planned(objects)


@pytest.mark.row("source replaced")
async def test_a_source_replaced_after_the_plan_is_kept(stack: Stack, tmp_path: Path) -> None:
    """Kept, and reported."""
    job = await planned(stack, tmp_path, {"in/a": b"a", "in/b": b"b"})
    stack.server.objects["bucket", "in/a"] = b"A"
    assert (await job.apply()).failed == 1
    assert job.contents == {"in/a": b"A", "out/b": b"b"}
    assert job.phases() == {"in/a": "failed", "in/b": "done"}


@pytest.mark.row("source replaced")
@pytest.mark.parametrize("operation", ["CopyObject", "DeleteObject"])
async def test_a_source_replaced_while_it_is_moved_is_kept(
    stack: Stack, tmp_path: Path, operation: str
) -> None:
    """Between the look and the copy, and between the copy and the delete."""
    job = await planned(stack, tmp_path, {"in/a": b"a"})
    if operation == "CopyObject":

        def replace(_request: Any) -> bool:
            stack.server.objects["bucket", "in/a"] = b"A"
            return False

        stack.server.script(Fault("CopyObject", key="out/a", where=replace, status=500))
    else:
        stack.server.script(Fault("DeleteObject", key="in/a", change_etag=b"A"))
    assert (await job.apply()).failed == 1
    assert job.contents["in/a"] == b"A"
    assert job.phases() == {"in/a": "failed"}


@pytest.mark.row("destination appears")
@pytest.mark.parametrize(("other", "moved"), [(b"other", False), (b"a", True)])
async def test_what_appears_at_the_last_moment_is_kept_unless_it_is_the_same(
    stack: Stack, tmp_path: Path, other: bytes, *, moved: bool
) -> None:
    """Kept, and reported; the same content is the copy."""
    job = await planned(stack, tmp_path, {"in/a": b"a"})
    seen: list[str] = []

    def appear(_request: Any) -> bool:
        if not seen:
            seen.append("out/a")
            stack.server.objects["bucket", "out/a"] = other
        return False

    stack.server.script(Fault("CopyObject", key="out/a", where=appear, status=500))
    await job.apply()
    assert job.contents["out/a"] == other
    assert ("in/a" in job.contents) is not moved
    assert job.phases() == {"in/a": "done" if moved else "failed"}


@pytest.mark.row("same keys")
async def test_two_jobs_that_move_the_same_keys_lose_nothing(stack: Stack, tmp_path: Path) -> None:
    """One of them makes each copy; the other finds it made."""
    objects = {f"in/{number:02}": str(number).encode() for number in range(40)}
    jobs = [await Bulk(stack, tmp_path, name).planned(objects) for name in ("one", "two")]
    async with anyio.create_task_group() as group:
        for job in jobs:
            group.start_soon(job.apply)
    assert jobs[0].contents == {f"out/{key[3:]}": data for key, data in objects.items()}
    for key in objects:
        copies = [
            details
            for job in jobs
            for each, phase, details in job.journal()
            if (each, phase) == (key, "copied") and details.get("made", True)
        ]
        assert len(copies) == 1


@pytest.mark.row("copy fails with 200")
async def test_a_copy_that_fails_inside_its_200_is_no_copy(stack: Stack, tmp_path: Path) -> None:
    """The source stays until there is a copy."""
    job = await planned(stack, tmp_path, {"in/a": b"a", "in/b": b"b"})
    broken = error_xml("InternalError", "no")
    stack.server.script(Fault("CopyObject", key="out/a", attempts="all", status=200, body=broken))
    assert (await job.apply()).failed == 1
    assert job.contents == {"in/a": b"a", "out/b": b"b"}
    stack.server.script()
    await job.apply()
    assert job.contents == {"out/a": b"a", "out/b": b"b"}


@pytest.mark.row("three of a batch")
async def test_three_keys_of_a_batch_fail_and_the_others_are_done(stack: Stack, tmp_path: Path) -> None:
    """Each key has an outcome of its own, and what failed is taken up again."""
    objects = {f"in/{number}": str(number).encode() for number in range(6)}
    job = await planned(stack, tmp_path, objects)
    codes = {"in/1": "AccessDenied", "in/3": "InvalidRequest", "in/5": "AccessDenied"}
    errors = "".join(
        f"<Error><Key>{key}</Key><Code>{code}</Code><Message>no</Message></Error>"
        for key, code in codes.items()
    )
    gone = "".join(f"<Deleted><Key>{key}</Key></Deleted>" for key in objects if key not in codes)
    body = f"<DeleteResult>{gone}{errors}</DeleteResult>"
    assert stack.connection._proved["bucket"].conditional_batch_delete
    stack.server.script(Fault("DeleteObjects", attempts="all", body=body))
    tally = await job.apply()
    assert tally.failed == 3
    assert {key for key, phase in job.phases().items() if phase == "failed"} == codes.keys()
    stack.server.script()
    await job.apply()
    assert set(job.phases().values()) == {"done"}
    assert {key: data for key, data in job.contents.items() if key.startswith("out/")} == {
        f"out/{key[3:]}": data for key, data in objects.items()
    }


@pytest.mark.row("right withdrawn")
@pytest.mark.parametrize("operation", ["CopyObject", "HeadObject", "DeleteObjects"])
async def test_a_right_withdrawn_in_mid_run_stops_it_with_that_error(
    stack: Stack, tmp_path: Path, operation: str
) -> None:
    """Stops, resumable; no source is gone whose copy is not there."""
    objects = {f"in/{number:03}": str(number).encode() for number in range(60)}
    job = await planned(stack, tmp_path, objects)

    def late(request: Any) -> bool:
        return operation == "DeleteObjects" or request.key >= "in/020"

    stack.server.script(
        Fault(operation, attempts="all", where=late, status=403, body=error_xml("AccessDenied", "no"))
    )
    with pytest.raises(S3PermissionError):
        await job.apply()
    for key, data in objects.items():
        assert data in {job.contents.get(key), job.contents.get(f"out/{key[3:]}")}
    stack.server.script()
    await job.apply()
    assert job.contents == {f"out/{key[3:]}": data for key, data in objects.items()}


@pytest.mark.row("journal full")
async def test_a_full_disk_under_the_journal_stops_before_acting(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is deleted whose copy is not written down."""
    objects = {f"in/{number:03}": str(number).encode() for number in range(60)}
    job = await planned(stack, tmp_path, objects)
    execute, commits = Writer._execute, [0]

    def fill_up(self: Writer, *arguments: Any) -> None:
        commits[0] += 1
        if commits[0] > 2:
            raise sqlite3.OperationalError("database or disk is full")
        execute(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Writer, "_execute", fill_up)
        with pytest.raises(JobError, match="full"):
            await job.apply()
    written = {key for key, phase, _ in job.journal() if phase == "copied"}
    assert objects.keys() - job.contents.keys() <= written
    await job.apply()
    assert job.contents == {f"out/{key[3:]}": data for key, data in objects.items()}


@pytest.mark.row("onto itself")
async def test_a_move_onto_itself_leaves_everything_as_it_is(stack: Stack, tmp_path: Path) -> None:
    """Refused where all of it is; where a rule gives an object its own name, nothing happens to it."""
    objects = {"in/a": b"a", "in/b/c": b"c"}
    for key, data in objects.items():
        stack.server.objects["bucket", key] = data
    job = Bulk(stack, tmp_path, "refused")
    asked = Specification(Verb.MOVE, "s3://bucket/in/", "s3://bucket/in/")
    with pytest.raises(ConfigError, match="both source and destination"):
        await conduct.plan(JobFolder.create(str(tmp_path), "refused", asked.to_json()), job.around())
    rules = "[[rule]]\nmatch = '^in/(?P<name>.*)'\nto = '{name}'"
    asked = Specification(Verb.MOVE, "s3://bucket/in/", "s3://bucket/in/", rules)
    job = Bulk(stack, tmp_path)
    await conduct.plan(JobFolder.create(str(tmp_path), "job", asked.to_json()), job.around())
    await job.apply()
    assert job.contents == objects
    touched = {"CopyObject", "DeleteObject", "DeleteObjects", "PutObject"}
    assert not [each for each in stack.server.requests if each.operation in touched and each.key in objects]


@pytest.mark.row("odd keys")
async def test_keys_with_odd_characters_are_moved_and_come_back(stack: Stack, tmp_path: Path) -> None:
    """Each of them, one by one and in a batch."""
    objects = {f"in/{key}": key.encode() for key in ODD}
    job = await planned(stack, tmp_path, objects)
    assert (await job.apply()).failed == 0
    assert job.contents == {f"out/{key[3:]}": data for key, data in objects.items()}
    await conduct.undo(job.folder, ApplyOptions(), job.around())
    assert job.contents == objects


@pytest.mark.row("answers lost")
@pytest.mark.parametrize("operation", ["CopyObject", "DeleteObjects", "DeleteObject"])
async def test_what_was_done_although_nobody_heard_of_it_is_done_once(
    stack: Stack, tmp_path: Path, operation: str
) -> None:
    """The copy is the job's own, and undoing takes it back."""
    objects = {f"in/{number}": str(number).encode() for number in range(1 if operation[-1] == "t" else 5)}
    job = await planned(stack, tmp_path, objects)
    stack.server.script(Fault(operation, before=True, close_without_answer=True))
    assert (await job.apply()).failed == 0
    assert job.contents == {f"out/{key[3:]}": data for key, data in objects.items()}
    assert not any(details.get("made") is False for _, _, details in job.journal())
    stack.server.script()
    await conduct.undo(job.folder, ApplyOptions(), job.around())
    assert job.contents == objects


@pytest.mark.row("archived meanwhile")
async def test_an_object_archived_since_the_plan_is_reported(stack: Stack, tmp_path: Path) -> None:
    """It stays where it is."""
    job = await planned(stack, tmp_path, {"in/a": b"a", "in/b": b"b"})
    cold = error_xml("InvalidObjectState", "archived")
    stack.server.script(Fault("CopyObject", key="out/a", attempts="all", status=403, body=cold))
    await job.apply()
    assert job.contents == {"in/a": b"a", "out/b": b"b"}
    failed = [details["error"] for _, phase, details in job.journal() if phase == "failed"]
    assert failed == ["S3ArchivedError"]
