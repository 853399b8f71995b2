"""Lists of batches: durable before anything else, delivered at least once."""

from __future__ import annotations

import asyncio
import errno
import json
import os
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from haulyard.errors import S3NetworkError, SpoolError
from haulyard.events import Warned
from haulyard.spool.batch_files import Listed, Place
from haulyard.spool.batches import Batches
from haulyard.spool.webhook import Webhook
from haulyard.testing.api import ApiServer, Rule

if TYPE_CHECKING:
    from pathlib import Path

    from haulyard.events import Event

pytestmark = pytest.mark.anyio

_PLACE = Place("b", "xml-events/", source="test", host="here")
_NOON = 1753805700.0  # 2025-07-29 16:15:00 UTC
_SECRET = "correct horse battery staple"
_A, _B, _C = (Listed(f"xml-events/2025/07/29/{name}.xml", 10, "aa", "ee", _NOON) for name in "abc")


class Shelf:
    """A store that never overwrites."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.failures = 0

    async def put(self, key: str, body: bytes) -> bool:
        if self.failures:
            self.failures -= 1
            raise S3NetworkError("the network is down", operation="PutObject")
        return self.objects.setdefault(key, body) == body

    def lists(self) -> dict[str, dict[str, Any]]:
        return {key: json.loads(body) for key, body in self.objects.items()}

    def keys(self) -> list[str]:
        """Return the keys of all files that stand in a list."""
        return [one["key"] for told in self.lists().values() for one in told["files"]]


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


def _open(directory: Path, shelf: Shelf | None = None, place: Place = _PLACE, **more: Any) -> Batches:
    options = {"clock": lambda: _NOON, "random": lambda: 0.0, **more}
    return Batches(str(directory), place, put=shelf.put if shelf else None, **options)


async def test_a_batch_becomes_a_list_beside_the_files(tmp_path: Path, shelf: Shelf) -> None:
    batches = _open(tmp_path, shelf)
    await batches.note(_A, _B)
    assert await batches.finish(10) == 0
    ((key, told),) = shelf.lists().items()
    assert key == "xml-events/_manifests/20250729_161500-1.json"
    assert told.pop("id")
    assert told == {
        "batch": "20250729_161500-1",
        "bucket": "b",
        "prefix": "xml-events/",
        "source": "test",
        "host": "here",
        "count": 2,
        "bytes": 20,
        "files": [
            {
                "path": f"2025/07/29/{name}.xml",
                "size": 10,
                "key": f"xml-events/2025/07/29/{name}.xml",
                "sha256": "aa",
                "etag": "ee",
                "shipped_at": "2025-07-29T16:15:00.000Z",
            }
            for name in "ab"
        ],
    }
    assert os.listdir(tmp_path) == ["outbox"]
    assert os.listdir(tmp_path / "outbox") == []


async def test_nothing_shipped_is_no_list(tmp_path: Path, shelf: Shelf) -> None:
    assert await _open(tmp_path, shelf).finish(10) == 0
    assert shelf.objects == {}


async def test_what_was_noted_before_a_crash_stands_in_a_list_of_the_next_run(
    tmp_path: Path, shelf: Shelf
) -> None:
    await _open(tmp_path, shelf).note(_A)
    again = _open(tmp_path, shelf)
    await again.note(_B)
    await again.finish(10)
    assert shelf.keys() == [_A.key, _B.key]


@pytest.mark.parametrize("torn", [b'{"key": "x', b'{"key": "x"}', b"\0\0\0\n", b"\0" * 4096])
async def test_a_torn_end_is_cut_off(tmp_path: Path, shelf: Shelf, torn: bytes) -> None:
    await _open(tmp_path, shelf).note(_A)
    with (tmp_path / "batch.jsonl").open("ab") as file:
        file.write(torn)
    again = _open(tmp_path, shelf)
    await again.note(_B)
    await again.finish(10)
    assert shelf.keys() == [_A.key, _B.key]


async def test_a_beginning_that_is_torn_is_begun_again(tmp_path: Path, shelf: Shelf) -> None:
    (tmp_path / "batch.jsonl").write_bytes(b'{"id": "12')
    batches = _open(tmp_path, shelf)
    await batches.note(_A)
    await batches.finish(10)
    assert shelf.keys() == [_A.key]


async def test_a_file_that_was_noted_twice_stands_in_the_list_once(tmp_path: Path, shelf: Shelf) -> None:
    await _open(tmp_path, shelf).note(_A)
    again = _open(tmp_path, shelf)
    await again.note(_A._replace(etag="new"))
    await again.finish(10)
    (told,) = shelf.lists().values()
    assert [(one["key"], one["etag"]) for one in told["files"]] == [(_A.key, "new")]
    assert (told["count"], told["bytes"]) == (1, 10)


async def test_a_list_never_has_more_files_than_copy_into_takes(tmp_path: Path, shelf: Shelf) -> None:
    batches = _open(tmp_path, shelf, most=10)
    async with anyio.create_task_group() as group:
        for number in range(35):
            group.start_soon(batches.note, Listed(f"xml-events/{number}", 1))
    await batches.note(*(Listed(f"xml-events/{number}", 1) for number in range(35, 60)))
    await batches.finish(10)
    assert sorted(told["count"] for told in shelf.lists().values()) == [10] * 6
    assert len(set(shelf.keys())) == 60


async def test_those_who_note_together_share_a_sync(
    tmp_path: Path, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    syncs: list[int] = []
    sync = os.fsync

    def counted(descriptor: int) -> None:
        syncs.append(descriptor)
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", counted)
    batches = _open(tmp_path, shelf)
    async with anyio.create_task_group() as group:
        for number in range(200):
            group.start_soon(batches.note, Listed(f"xml-events/{number}", 1))
    assert len(syncs) <= 6
    await batches.finish(10)
    assert len(shelf.keys()) == 200


async def test_a_file_that_cannot_be_noted_is_told_and_stands_in_the_list_once_it_can(
    tmp_path: Path, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches = _open(tmp_path, shelf)
    await batches.note(_A)
    write = os.pwrite

    def full(descriptor: int, content: bytes, at: int) -> int:
        if len(content) > 7:
            return write(descriptor, content[:7], at)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        with pytest.raises(SpoolError, match="No space left"):
            await batches.note(_B)
    await batches.note(_C)
    await batches.finish(10)
    assert shelf.keys() == [_A.key, _B.key, _C.key]


async def test_who_is_cancelled_while_noting_spoils_nothing(tmp_path: Path, shelf: Shelf) -> None:
    batches = _open(tmp_path, shelf)
    tasks = [asyncio.create_task(batches.note(Listed(f"xml-events/{number}", 1))) for number in range(20)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    tasks[7].cancel()
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert [one for one in ended if one is not None and not isinstance(one, asyncio.CancelledError)] == []
    await batches.note(_A)
    await batches.finish(10)
    lines = shelf.keys()
    assert len(lines) == len(set(lines)) == 21


async def test_two_batches_of_a_second_and_one_of_another_machine_get_numbers(
    tmp_path: Path, shelf: Shelf
) -> None:
    first = "xml-events/_manifests/20250729_161500-1.json"
    shelf.objects[first] = b'{"files": [{"key": "of another machine"}]}'
    batches = _open(tmp_path, shelf)
    for one in (_A, _B):
        await batches.note(one)
        await batches.seal()
    assert await batches.deliver() == 0
    assert sorted(shelf.objects) == [first, first.replace("-1", "-2"), first.replace("-1", "-3")]
    assert all(key.endswith(f"/{told['batch']}.json") for key, told in shelf.lists().items() if key != first)
    assert set(shelf.keys()) == {_A.key, _B.key, "of another machine"}


async def test_a_list_that_was_put_before_a_crash_is_not_put_twice(tmp_path: Path, shelf: Shelf) -> None:
    batches = _open(tmp_path, shelf)
    await batches.note(_A)
    await batches.seal()
    (name,) = os.listdir(tmp_path / "outbox")
    content = (tmp_path / "outbox" / name).read_bytes()
    await batches.deliver()
    (tmp_path / "outbox" / name).write_bytes(content)  # as if it had not been removed
    assert await _open(tmp_path, shelf).deliver() == 0
    assert len(shelf.objects) == 1


async def test_a_list_waits_for_the_store_and_then_goes(tmp_path: Path, shelf: Shelf) -> None:
    told: list[Event] = []
    batches = _open(tmp_path, shelf, emit=told.append)
    await batches.note(_A)
    shelf.failures = 3
    assert await batches.finish(10) == 0
    assert shelf.keys() == [_A.key]
    assert told == [Warned("the list of a batch waits: the network is down", "it is sent again by itself")]


async def test_a_receiver_is_told_until_it_takes_it_with_the_same_id(tmp_path: Path, shelf: Shelf) -> None:
    async with ApiServer(Rule(503, times=2), Rule(close=True, times=1)) as api:
        webhook = Webhook(api.url, _SECRET)
        batches = _open(tmp_path, shelf, webhook=webhook)
        await batches.note(_A)
        assert await batches.finish(10) == 0
        await webhook.close()
    assert len(api.calls) == 4
    (body,) = shelf.objects.values()
    assert {call.body for call in api.calls[:2]} | {api.calls[-1].body} == {body}
    assert {call.key for call in api.calls if call.status} == {json.loads(body)["id"]}


async def test_what_no_receiver_took_is_told_in_the_next_run_with_the_same_id(tmp_path: Path) -> None:
    async with ApiServer(Rule(500, times=1)) as api:
        webhook = Webhook(api.url, _SECRET)
        batches = _open(tmp_path, webhook=webhook)
        await batches.note(_A)
        await batches.seal()
        assert await batches.deliver() == 1
        assert await _open(tmp_path, webhook=webhook).deliver() == 0
        await webhook.close()
    assert len({(call.key, call.body) for call in api.calls}) == 1
    assert len(api.calls) == 2


async def test_a_list_that_is_refused_holds_up_no_other(tmp_path: Path) -> None:
    async with ApiServer(Rule(400, contains="/a.xml")) as api:
        webhook = Webhook(api.url, _SECRET)
        batches = _open(tmp_path, webhook=webhook)
        for one in (_A, _B, _C):
            await batches.note(one)
            await batches.seal()
        assert await batches.deliver() == batches.waiting == 1
        await webhook.close()
    assert [call.status for call in api.calls] == [400, 200, 200]


async def test_a_receiver_that_is_away_is_asked_once_a_round(tmp_path: Path) -> None:
    async with ApiServer(Rule(close=True)) as api:
        webhook = Webhook(api.url, _SECRET)
        batches = _open(tmp_path, webhook=webhook)
        for one in (_A, _B, _C):
            await batches.note(one)
            await batches.seal()
        assert await batches.deliver() == 3
        await webhook.close()
    assert len({call.body for call in api.calls}) == 1


async def test_patience_has_an_end_and_nothing_is_lost(tmp_path: Path, shelf: Shelf) -> None:
    shelf.failures = 10**9
    batches = _open(tmp_path, shelf, random=lambda: 1.0)
    await batches.note(_A)
    with anyio.fail_after(10):
        assert await batches.finish(0.05) == 1
    shelf.failures = 0
    assert await _open(tmp_path, shelf).finish(10) == 0
    assert shelf.keys() == [_A.key]


async def test_a_run_delivers_full_batches_at_once_and_others_when_it_is_time(
    tmp_path: Path, shelf: Shelf
) -> None:
    came = anyio.Event()

    async def put(key: str, body: bytes) -> bool:
        came.set()
        return await shelf.put(key, body)

    for options in ({"most": 1, "every": 3600.0}, {"every": 0.01}):
        came = anyio.Event()
        batches = Batches(str(tmp_path), _PLACE, put=put, clock=lambda: _NOON, **options)  # type: ignore[arg-type]
        async with anyio.create_task_group() as group:
            group.start_soon(batches.run)
            await batches.note(_A)
            with anyio.fail_after(10):
                await came.wait()
            group.cancel_scope.cancel()
    assert shelf.keys() == [_A.key, _A.key]


async def test_a_run_outlives_a_disk_that_is_full(
    tmp_path: Path, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Event] = []
    failed, came = anyio.Event(), anyio.Event()

    def emit(event: Event) -> None:
        told.append(event)
        failed.set()

    async def put(key: str, body: bytes) -> bool:
        came.set()
        return await shelf.put(key, body)

    def no_rename(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    batches = Batches(str(tmp_path), _PLACE, put=put, every=0.01, emit=emit)
    await batches.note(_A)
    async with anyio.create_task_group() as group:
        with monkeypatch.context() as patch:
            patch.setattr(os, "rename", no_rename)
            group.start_soon(batches.run)
            with anyio.fail_after(10):
                await failed.wait()
        with anyio.fail_after(10):
            await came.wait()
        group.cancel_scope.cancel()
    assert isinstance(told[0], Warned)
    assert "No space left" in told[0].message


async def test_another_destination_begins_another_batch(tmp_path: Path, shelf: Shelf) -> None:
    await _open(tmp_path, shelf).note(_A)
    elsewhere = _open(tmp_path, shelf, _PLACE._replace(prefix="other/"))
    await elsewhere.note(Listed("other/x.xml", 1))
    await elsewhere.finish(10)
    assert [(key, told["prefix"], told["count"]) for key, told in shelf.lists().items()] == [
        ("xml-events/_manifests/20250729_161500-1.json", "xml-events/", 1),
        ("other/_manifests/20250729_161500-2.json", "other/", 1),
    ]


async def test_a_list_for_another_bucket_waits_for_a_run_that_ships_there(
    tmp_path: Path, shelf: Shelf
) -> None:
    await _open(tmp_path, shelf).note(_A)
    other = Shelf()
    told: list[Event] = []
    elsewhere = _open(tmp_path, other, _PLACE._replace(bucket="c"), emit=told.append)
    await elsewhere.note(_B)
    assert await elsewhere.deliver() == 1
    assert "belongs to s3://b/" in str(told)
    assert await elsewhere.finish(0.01) == 1
    assert other.keys() == [_B.key]
    assert await _open(tmp_path, shelf).deliver() == 0
    assert shelf.keys() == [_A.key]


async def test_a_list_that_somebody_spoilt_is_told_and_holds_up_no_other(
    tmp_path: Path, shelf: Shelf
) -> None:
    told: list[Event] = []
    batches = _open(tmp_path, shelf, emit=told.append)
    (tmp_path / "outbox" / "20250101_000000-1.jsonl").write_text("[]\n")
    await batches.note(_A)
    await batches.seal()
    assert await batches.deliver() == 1
    assert shelf.keys() == [_A.key]
    assert "is no list of a batch" in str(told)


def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "outbox").write_text("")
    with pytest.raises(SpoolError, match="File exists"):
        _open(tmp_path)


async def test_it_ends_when_it_is_cancelled_at_the_moment_in_which_there_is_something_to_do(
    tmp_path: Path, shelf: Shelf
) -> None:
    for turns in range(6):
        batches = _open(tmp_path, shelf)
        running = asyncio.create_task(batches.run())
        for _ in range(5):
            # Until it waits.
            await asyncio.sleep(0)
        batches._urge.set()
        for _ in range(turns):
            await asyncio.sleep(0)
        running.cancel()
        done, _ = await asyncio.wait({running}, timeout=5)
        assert done, f"it went on {turns} turns of the loop later"
