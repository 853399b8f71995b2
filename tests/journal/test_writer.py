from __future__ import annotations

import asyncio
import sqlite3
import threading
from typing import TYPE_CHECKING, Any

import pytest

from haulyard.errors import JobError
from haulyard.journal import writer as module
from haulyard.journal.shard import Shard
from haulyard.journal.writer import Writer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

pytestmark = pytest.mark.anyio


class Gate:
    """Stands before every transaction of a shard: counts them, holds them back, fails a certain one."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.open = threading.Event()
        self.open.set()
        self.arrived = threading.Event()
        self.statements: list[str] = []
        self.fail_at = -1
        self.error: Exception = sqlite3.OperationalError("disk I/O error")
        real = Writer._execute

        def execute(writer: Writer, statement: str, parameters: Sequence[str | int]) -> None:
            self.arrived.set()
            self.open.wait()
            self.statements.append(statement)
            if len(self.statements) == self.fail_at:
                raise self.error
            real(writer, statement, parameters)

        monkeypatch.setattr(Writer, "_execute", execute)

    async def hold(self, shard: Shard) -> asyncio.Task[None]:
        """Let one commit begin, and keep it from ending; return who waits for it."""
        self.open.clear()
        self.arrived.clear()
        held = asyncio.create_task(shard.record([1, "held", 0.0, {}]))
        await asyncio.to_thread(self.arrived.wait)
        return held


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Gate:
    return Gate(monkeypatch)


@pytest.fixture
async def shard(make_shard: Callable[..., str], gate: Gate) -> AsyncIterator[Shard]:
    shard = Shard.open(make_shard(1000, batch=1000), owner="test")
    yield shard
    gate.open.set()
    try:
        await shard.close()
    except JobError:
        assert gate.fail_at > 0


def _entry(item: int, phase: str = "copied") -> list[Any]:
    return [item, phase, 1.0, {"n": item}]


def _items(shard: Shard) -> list[int]:
    with Shard.open(shard.path, owner="test", read_only=True) as reader:
        return [entry.item for entry in reader.entries()]


async def test_what_was_recorded_is_there_when_record_returns(shard: Shard) -> None:
    await shard.record(_entry(1), _entry(2))
    assert _items(shard) == [1, 2]


async def test_all_that_wait_share_one_commit_and_keep_their_order(shard: Shard, gate: Gate) -> None:
    held = await gate.hold(shard)
    waiting = [asyncio.create_task(shard.record(_entry(item))) for item in range(2, 102)]
    await asyncio.sleep(0)
    gate.open.set()
    await asyncio.gather(held, *waiting)
    assert len(gate.statements) == 2
    assert _items(shard) == list(range(1, 102))


async def test_nobody_is_told_before_its_commit_has_ended(shard: Shard, gate: Gate) -> None:
    held = await gate.hold(shard)
    await asyncio.sleep(0)
    assert not held.done()
    assert _items(shard) == []
    gate.open.set()
    await held
    assert _items(shard) == [1]


async def test_what_was_noted_goes_before_what_is_recorded_after_it(shard: Shard, gate: Gate) -> None:
    for item in range(1, 6):
        shard.note(_entry(item))
    await shard.record(_entry(6))
    assert _items(shard) == [1, 2, 3, 4, 5, 6]
    assert len(gate.statements) == 1


async def test_flush_returns_when_all_notes_are_written(shard: Shard) -> None:
    shard.note(_entry(1))
    await shard.flush()
    assert _items(shard) == [1]


async def test_flush_with_nothing_to_write_writes_nothing(shard: Shard, gate: Gate) -> None:
    await shard.flush()
    assert gate.statements == []


async def test_notes_are_written_although_nobody_waits(shard: Shard, gate: Gate) -> None:
    gate.arrived.clear()
    shard.note(_entry(1))
    await asyncio.to_thread(gate.arrived.wait)
    await shard.flush()
    assert _items(shard) == [1]


async def test_a_crowd_of_notes_does_not_wait_for_company(
    shard: Shard, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LINGER", 3600)
    gate.arrived.clear()
    for item in range(1, module._CROWD + 1):
        shard.note(_entry(item))
    await asyncio.to_thread(gate.arrived.wait)
    await shard.flush()
    assert _items(shard) == list(range(1, module._CROWD + 1))


async def test_who_notes_too_much_waits_until_it_is_taken(
    shard: Shard, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BOUND", 10)
    held = await gate.hold(shard)
    beyond = threading.Event()

    def note() -> None:
        for item in range(2, 12):
            shard.note(_entry(item))
        beyond.set()
        shard.note(_entry(12))

    noting = asyncio.create_task(asyncio.to_thread(note))
    await asyncio.to_thread(beyond.wait)
    assert shard._writer
    assert len(shard._writer._group.entries) == 10
    gate.open.set()
    await asyncio.gather(held, noting)
    await shard.flush()
    assert _items(shard) == list(range(1, 13))


async def test_closing_writes_what_was_noted(make_shard: Callable[..., str]) -> None:
    path = make_shard()
    async with Shard.open(path, owner="test") as shard:
        shard.note(_entry(1))
    assert _items(shard) == [1]


async def test_who_is_cancelled_disturbs_nobody_else(shard: Shard, gate: Gate) -> None:
    held = await gate.hold(shard)
    tasks = [asyncio.create_task(shard.record(_entry(item))) for item in (2, 3, 4)]
    await asyncio.sleep(0)
    tasks[1].cancel()
    gate.open.set()
    done = await asyncio.gather(held, *tasks, return_exceptions=True)
    assert [type(result) for result in done] == [type(None), type(None), asyncio.CancelledError, type(None)]
    assert _items(shard) == [1, 2, 3, 4]


async def test_after_a_failure_nothing_is_written_and_everybody_hears_of_it(shard: Shard, gate: Gate) -> None:
    await shard.record(_entry(1))
    gate.fail_at = 2
    results = await asyncio.gather(
        *(shard.record(_entry(item)) for item in (2, 3, 4)), return_exceptions=True
    )
    for result in results:
        assert isinstance(result, JobError)
        assert f"the journal {shard.path} cannot be written: disk I/O error" in str(result)
        assert "nothing further was done" in str(result)
        assert "run the same command again" in result.hint
    for _ in range(2):
        with pytest.raises(JobError, match="disk I/O error"):
            await shard.record(_entry(5))
        with pytest.raises(JobError, match="disk I/O error"):
            shard.note(_entry(5))
        with pytest.raises(JobError, match="disk I/O error"):
            await shard.flush()
        with pytest.raises(JobError, match="disk I/O error"):
            await shard.finish({})
    assert len(gate.statements) == 2
    assert _items(shard) == [1]


async def test_a_failed_note_is_heard_of_by_closing(make_shard: Callable[..., str], gate: Gate) -> None:
    shard = Shard.open(make_shard(), owner="test")
    gate.fail_at = 1
    shard.note(_entry(1))
    with pytest.raises(JobError, match="cannot be written"):
        await shard.close()
    Shard.open(shard.path, owner="test").release()


async def test_who_waits_for_room_hears_of_a_failure(
    shard: Shard, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BOUND", 1)
    gate.fail_at = 1
    held = await gate.hold(shard)
    shard.note(_entry(2))
    blocked = asyncio.create_task(asyncio.to_thread(shard.note, _entry(3)))
    gate.open.set()
    results = await asyncio.gather(held, blocked, return_exceptions=True)
    assert isinstance(results[0], JobError)
    with pytest.raises(JobError):
        await shard.flush()


async def test_a_full_disk_loses_nothing_that_was_acknowledged(make_shard: Callable[..., str]) -> None:
    path = make_shard(1000, batch=1000)
    acknowledged: list[int] = []

    async def fill(shard: Shard) -> None:
        for item in range(1, 1000):
            await shard.record([item, "copied", 1.0, {"etag": "x" * 1000}])
            acknowledged.append(item)

    shard = Shard.open(path, owner="test")
    assert shard._writer
    (pages,) = shard._writer._connection.execute("PRAGMA page_count").fetchone()
    shard._writer._connection.execute(f"PRAGMA max_page_count={pages + 50}")
    with pytest.raises(JobError, match="database or disk is full") as caught:
        await fill(shard)
    assert "make room" in caught.value.hint
    with pytest.raises(JobError):
        await shard.close()
    assert len(acknowledged) > 10
    async with Shard.open(path, owner="test") as again:
        assert [entry.item for entry in again.entries()] == acknowledged
        await again.record(_entry(1000))


@pytest.mark.parametrize("bad", [object(), {1, 2}, b"bytes"])
async def test_an_entry_that_no_journal_can_keep_stops_it_with_another_hint(
    shard: Shard, gate: Gate, bad: object
) -> None:
    gate.fail_at = 1
    with pytest.raises(JobError, match="cannot keep an entry") as caught:
        await shard.record([1, "copied", 1.0, {"bad": bad}])
    assert "report" in caught.value.hint
    assert _items(shard) == []


@pytest.mark.parametrize("text", ["é", "\0", "'", '"', "\udcff", "\u2028", "𝄞", "\n"])
async def test_any_text_survives(shard: Shard, text: str) -> None:
    await shard.record([1, "failed", 1.0, {"message": text}])
    with Shard.open(shard.path, owner="test", read_only=True) as reader:
        assert [entry.details["message"] for entry in reader.entries()] == [text]


async def test_an_abandoned_loop_does_not_stop_the_writer(make_shard: Callable[..., str]) -> None:
    path = make_shard()
    shard = Shard.open(path, owner="test")

    async def abandon() -> None:
        waiting = asyncio.ensure_future(shard.record(_entry(1)))
        await asyncio.sleep(0)
        waiting.cancel()

    await asyncio.to_thread(asyncio.run, abandon())
    await asyncio.to_thread(shard.release)
    assert _items(shard) == [1]


async def test_many_tasks_lose_and_double_nothing(shard: Shard) -> None:
    async def work(first: int) -> None:
        for item in range(first, 1001, 50):
            await shard.record(_entry(item))
            shard.note(_entry(item, "done"))

    async with asyncio.TaskGroup() as group:
        for first in range(1, 51):
            group.create_task(work(first))
    await shard.flush()
    assert shard.last_phases().counts() == {"done": 1000}
    items = _items(shard)
    assert sorted(items) == sorted([*range(1, 1001), *range(1, 1001)])
