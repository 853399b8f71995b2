"""Shards carried out: every verb, what is taken up again, what ends a run, and what a journal may claim."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

import pytest
from tests.jobs.applying.lab import Lab, able, contents, put_now, store_of, thing, things
from tests.jobs.applying.meddling import MeddledStore

from haulyard.errors import (
    JobError,
    S3ArchivedError,
    S3CredentialsError,
    S3PermissionError,
    S3ServerError,
    TransferError,
)
from haulyard.jobs.applying.running import is_finished
from haulyard.jobs.model import Verb
from haulyard.journal.shard import Shard
from haulyard.journal.writer import Writer
from haulyard.stores.part_file import PartFile

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio

MANY = {f"in/{number:03}": str(number).encode() for number in range(40)}


async def lab_of(
    path: Path, objects: dict[str, Any], verb: Verb = Verb.MOVE, *rest: str, **how: Any
) -> tuple[Lab, MeddledStore]:
    store = store_of(objects, kind=MeddledStore, **how)
    assert isinstance(store, MeddledStore)
    lab = Lab(str(path), {"b": store})
    ends = ("s3://b/in/", "s3://b/out/") if verb.writes_elsewhere else ("s3://b/in/", "")
    await lab.planned(verb, *ends, *rest)
    return lab, store


def failing(error: Exception, *names: str, keys: str = "") -> Any:
    def fail(name: str, key: str) -> None:
        if name in names and key.startswith(keys):
            raise error

    return fail


def nothing(_name: str, _key: str) -> None:
    """Let everything pass."""


async def test_each_object_is_told_of_and_journalled(quick_path: Path) -> None:
    lab, _ = await lab_of(quick_path, {"in/a": b"a", "in/b": b"bb"})
    tally = await lab.apply()
    assert (tally.done, tally.failed, tally.skipped, tally.bytes) == (2, 0, 0, 3)
    told = {each.source: each for each in lab.told}
    assert told["s3://b/in/b"].destination == "s3://b/out/b"
    assert (told["s3://b/in/b"].action, told["s3://b/in/b"].verified) == ("move", "checksum")
    assert (lab.folder.read("state") or {})["stage"] == "applied"


async def test_a_finished_job_applied_again_asks_nothing(quick_path: Path) -> None:
    lab, store = await lab_of(quick_path, {"in/a": b"a"})
    await lab.apply()
    store.calls.clear()
    assert (await lab.apply()).done == 0
    assert store.calls == []


async def test_what_failed_in_passing_is_tried_again_at_the_end(quick_path: Path) -> None:
    lab, store = await lab_of(quick_path, {"in/a": b"a", "in/b": b"b"})
    left = [S3ServerError("once", status=500)]

    def fail_once(name: str, key: str) -> None:
        if name == "copy" and key == "out/a" and left:
            raise left.pop()

    store.before = fail_once
    tally = await lab.apply()
    assert (tally.done, tally.failed) == (2, 0)
    assert contents(store) == {"out/a": b"a", "out/b": b"b"}


async def test_what_failed_for_good_is_taken_up_by_the_next_run(quick_path: Path) -> None:
    lab, store = await lab_of(quick_path, {"in/a": b"a", "in/b": b"b"})
    put_now(store, "out/a", b"other")
    assert (await lab.apply()).failed == 1
    store._versions.bury("out/a")
    tally = await lab.apply()
    assert (tally.done, tally.failed) == (1, 0)
    assert contents(store) == {"out/a": b"a", "out/b": b"b"}


async def test_a_deletion_that_failed_is_tried_again_without_a_second_copy(quick_path: Path) -> None:
    lab, store = await lab_of(quick_path, {"in/a": b"a"})
    store.before = failing(S3ServerError("for a while", status=500), "delete")
    await lab.apply()
    assert contents(store) == {"in/a": b"a", "out/a": b"a"}
    store.before = nothing
    store.calls.clear()
    await lab.apply()
    assert contents(store) == {"out/a": b"a"}
    assert "copy" not in {name for name, _ in store.calls}


async def test_a_copy_that_vanished_is_made_again_before_the_source_goes(quick_path: Path) -> None:
    lab, store = await lab_of(quick_path, {"in/a": b"a"})
    store.before = failing(S3ServerError("for a while", status=500), "delete")
    await lab.apply()
    store.before = nothing
    store._versions.bury("out/a")
    await lab.apply()
    assert contents(store) == {"out/a": b"a"}


async def test_a_copy_that_was_replaced_keeps_the_source(quick_path: Path) -> None:
    lab, store = await lab_of(quick_path, {"in/a": b"a"})
    store.before = failing(S3ServerError("for a while", status=500), "delete")
    await lab.apply()
    store.before = nothing
    put_now(store, "out/a", b"other")
    await lab.apply()
    assert contents(store) == {"in/a": b"a", "out/a": b"other"}


async def test_a_source_that_is_deleted_by_then_is_done(quick_path: Path) -> None:
    """The copy may have been moved on since: that is no matter of this job."""
    lab, store = await lab_of(quick_path, {"in/a": b"a"})
    store.before = failing(S3ServerError("for a while", status=500), "delete")
    await lab.apply()
    store.before = nothing
    store._versions.bury("in/a")
    store._versions.bury("out/a")
    await lab.apply()
    assert lab.phases() == {"in/a": "done"}


async def test_a_right_that_is_withdrawn_stops_the_run(quick_path: Path) -> None:
    lab, store = await lab_of(quick_path, MANY)

    def withdraw(name: str, key: str) -> None:
        if name == "copy" and key >= "out/010":
            raise S3PermissionError("denied", status=403, code="AccessDenied")

    store.before = withdraw
    with pytest.raises(S3PermissionError):
        await lab.apply()
    # Those that were under way by then are told of, too.
    assert 16 <= lab.count()["failed"] <= 16 + 6
    assert (lab.folder.read("state") or {})["stage"] == "applying"
    store.before = nothing
    await lab.apply()
    assert contents(store) == {f"out/{key[3:]}": data for key, data in MANY.items()}


async def test_single_objects_may_be_denied(quick_path: Path) -> None:
    lab, store = await lab_of(quick_path, MANY)

    def deny(name: str, key: str) -> None:
        if name == "copy" and key.endswith("5"):
            raise S3PermissionError("denied", status=403, code="AccessDenied")

    store.before = deny
    tally = await lab.apply()
    assert (tally.done, tally.failed) == (36, 4)


async def test_a_right_to_delete_that_is_withdrawn_stops_the_run_with_every_copy_kept(
    quick_path: Path,
) -> None:
    lab, store = await lab_of(quick_path, MANY)
    store.before = failing(S3PermissionError("denied", status=403), "delete", "delete_many")
    with pytest.raises(S3PermissionError):
        await lab.apply()
    assert {f"in/{key[4:]}" for key in contents(store, "out/")} <= contents(store, "in/").keys()
    store.before = nothing
    await lab.apply()
    assert contents(store) == {f"out/{key[3:]}": data for key, data in MANY.items()}


async def test_what_concerns_all_stops_at_once(quick_path: Path) -> None:
    lab, store = await lab_of(quick_path, MANY)
    store.before = failing(S3CredentialsError("expired", status=400), "copy")
    with pytest.raises(S3CredentialsError):
        await lab.apply()
    assert lab.count()["failed"] <= 6


@pytest.mark.parametrize(("most", "failures", "stops"), [(2, 3, True), (3, 3, False), (0, 1, True)])
async def test_a_run_ends_once_more_have_failed_than_may(
    quick_path: Path, most: int, failures: int, *, stops: bool
) -> None:
    """An object that is tried again at the end of the run counts once."""
    lab, store = await lab_of(quick_path, {f"in/{number}": b"x" for number in range(3)})

    def fail(name: str, key: str) -> None:
        if name == "copy" and int(key[-1]) < failures:
            raise S3ServerError("down", status=500)

    store.before = fail
    if stops:
        with pytest.raises(TransferError, match=f"allows {most}"):
            await lab.apply(max_errors=most)
    else:
        assert (await lab.apply(max_errors=most)).failed == failures


async def test_a_stop_lets_what_is_under_way_end_and_begins_nothing(quick_path: Path) -> None:
    lab, store = await lab_of(quick_path, MANY)
    lab.stopped = lambda: len(lab.entries()) > 5
    tally = await lab.apply()
    assert tally.interrupted
    assert 5 < tally.done < len(MANY)
    assert lab.count().keys() == {"done"}
    assert (lab.folder.read("state") or {})["stage"] == "applying"
    lab.stopped = lambda: False
    await lab.apply()
    assert contents(store) == {f"out/{key[3:]}": data for key, data in MANY.items()}


async def test_nothing_is_deleted_that_is_not_written_down(
    quick_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk under the journal."""
    lab, store = await lab_of(quick_path, MANY)
    execute = Writer._execute
    commits = [0]

    def fill_up(self: Writer, *arguments: Any) -> None:
        commits[0] += 1
        if commits[0] > 3:
            raise sqlite3.OperationalError("database or disk is full")
        execute(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Writer, "_execute", fill_up)
        with pytest.raises(JobError, match="full"):
            await lab.apply()
    journalled = {key for key, phase, _ in lab.entries() if phase == "copied"}
    assert MANY.keys() - contents(store, "in/").keys() <= journalled
    await lab.apply()
    assert contents(store) == {f"out/{key[3:]}": data for key, data in MANY.items()}


async def test_without_an_etag_a_source_is_never_deleted(quick_path: Path) -> None:
    lab, store = await lab_of(quick_path, {"in/a": b"a"})

    def conceal(_name: str, _key: str) -> None:
        version = store._versions.current("in/a")
        if version is not None:
            version.head = version.head._replace(etag="")

    store.before = conceal
    await lab.apply()
    assert contents(store)["in/a"] == b"a"
    assert lab.phases() == {"in/a": "failed"}


@pytest.mark.parametrize(
    "key", ["a//b", "./dot", "up/../up", "trailing/", "/leading", "🚚", "e\u0301", "<&'\">", "+ %2F"]
)
async def test_odd_keys_are_moved_and_come_back(quick_path: Path, key: str) -> None:
    lab, store = await lab_of(quick_path, {f"in/{key}": b"odd", "in/even": b"even"})
    await lab.apply()
    assert contents(store) == {f"out/{key}": b"odd", "out/even": b"even"}
    await lab.undo()
    assert contents(store) == {f"in/{key}": b"odd", "in/even": b"even"}


async def test_keys_with_control_characters_are_deleted_as_others_are(quick_path: Path) -> None:
    lab, store = await lab_of(quick_path, {"in/new\nline": b"1", "in/t\tab": b"2"}, Verb.DELETE)
    await lab.apply()
    assert contents(store) == {}


async def test_an_object_that_was_archived_since_the_plan_is_reported(quick_path: Path) -> None:
    lab, store = await lab_of(quick_path, {"in/a": b"a"})
    store.before = failing(S3ArchivedError("archived", status=403, code="InvalidObjectState"), "copy")
    await lab.apply()
    assert contents(store) == {"in/a": b"a"}
    assert lab.errors() == {"in/a": "S3ArchivedError"}


async def test_an_older_version_is_moved_without_touching_the_current_one(quick_path: Path) -> None:
    store = store_of({}, kind=MeddledStore, versioned=True)
    assert isinstance(store, MeddledStore)
    put_now(store, "in/a", b"a")
    old = (await store.head("in/a")).version_id
    # The same content: only the version tells them apart.
    put_now(store, "in/a", thing(b"a"))
    put_now(store, "list.csv", f"b,in/a,{old}\n".encode())
    lab = Lab(str(quick_path), {"b": store})
    await lab.planned(Verb.MOVE, "s3://b/in/", "s3://b/out/", manifest="s3://b/list.csv")
    await lab.apply()
    found = things(store)
    assert found["in/a"] == thing(b"a")
    assert found["out/a"].data == b"a"
    assert store._versions.drop("in/a", old) is None


async def test_what_a_manifest_named_before_it_was_there_is_not_deleted(quick_path: Path) -> None:
    store = store_of({"in/a": b"a"}, kind=MeddledStore)
    put_now(store, "list.csv", b"b,in/a\nb,in/late\nb,in/never\n")
    lab = Lab(str(quick_path), {"b": store})
    await lab.planned(Verb.DELETE, "s3://b/in/", manifest="s3://b/list.csv")
    put_now(store, "in/late", b"precious")
    tally = await lab.apply()
    assert (tally.done, tally.skipped, tally.failed) == (1, 1, 1)
    assert contents(store, "in/") == {"in/late": b"precious"}
    assert lab.errors() == {"in/late": "SourceChanged"}


async def test_objects_go_to_a_directory_and_survive_a_power_failure(
    quick_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[bool] = []
    commit = PartFile.commit

    def note(self: PartFile, *arguments: Any, **named: Any) -> None:
        synced.append(bool(named.get("durable")))
        commit(self, *arguments, **named)

    monkeypatch.setattr(PartFile, "commit", note)
    store = store_of({"in/a": b"a", "in/b/c": b"c"}, kind=MeddledStore)
    lab = Lab(str(quick_path), {"b": store})
    target = quick_path / "target"
    await lab.planned(Verb.MOVE, "s3://b/in/", f"{target}/")
    await lab.apply()
    assert contents(store) == {}
    assert (target / "b" / "c").read_bytes() == b"c"
    assert synced == [True, True]
    await lab.undo()
    assert contents(store) == {"in/a": b"a", "in/b/c": b"c"}
    assert not (target / "a").exists()


async def test_files_are_moved_up_and_come_back(quick_path: Path) -> None:
    source = quick_path / "source"
    source.mkdir()
    (source / "a.txt").write_bytes(b"a")
    store = store_of({}, kind=MeddledStore)
    lab = Lab(str(quick_path), {"b": store})
    await lab.planned(Verb.MOVE, f"{source}/", "s3://b/up/", recursive=True)
    await lab.apply()
    assert contents(store) == {"up/a.txt": b"a"}
    assert not (source / "a.txt").exists()
    await lab.undo()
    assert contents(store) == {}
    assert (source / "a.txt").read_bytes() == b"a"


async def test_a_shard_with_nothing_left_is_not_read_again(quick_path: Path) -> None:
    lab, _ = await lab_of(quick_path, {"in/a": b"a"})
    await lab.apply()
    with Shard.open(lab.folder.shard_paths()[0], owner="", read_only=True) as shard:
        assert shard.tally() == {"phases": {"done": 1}, "sizes": {"done": 1}, "failures": []}


async def test_a_shard_with_failures_tells_them_without_its_journal_and_is_not_finished(
    quick_path: Path,
) -> None:
    lab, store = await lab_of(quick_path, {"in/a": b"a", "in/b": b"b2"})
    await store.put("in/b", b"another")
    await lab.apply()
    path = lab.folder.shard_paths()[0]
    with Shard.open(path, owner="", read_only=True) as shard:
        tally = shard.tally()
    assert tally is not None
    assert tally["phases"] == {"done": 1, "failed": 1}
    assert tally["sizes"] == {"done": 1, "failed": 2}
    (failure,) = tally["failures"]
    assert failure[0] == "in/b"
    assert "was replaced since the plan was made" in failure[1]
    assert not is_finished(path)


async def test_chains_wait_for_what_failed(quick_path: Path) -> None:
    rules = """
        [[rule]]
        match = '^q/1$'
        to = "q/2"
        [[rule]]
        match = '^q/2$'
        to = "q/3"
    """
    store = able(store_of({"q/1": b"same", "q/2": b"same"}, kind=MeddledStore))
    assert isinstance(store, MeddledStore)
    lab = Lab(str(quick_path), {"b": store})
    await lab.planned(Verb.MOVE, "s3://b/", "s3://b/", rules)
    store.before = failing(S3ServerError("for a while", status=500), "copy", keys="q/3")
    await lab.apply()
    # Alike as they are, the one that is there is not the copy of the other.
    assert contents(store) == {"q/1": b"same", "q/2": b"same"}
    store.before = nothing
    await lab.apply()
    assert contents(store) == {"q/2": b"same", "q/3": b"same"}
