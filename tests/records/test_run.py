"""What a run does from its first call to its last commit: stopped, cancelled, limited, and gone on with."""

from __future__ import annotations

import asyncio
import gzip
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import anyio
import pytest
from tests.records.working import csv_of, delivered, working

from haulyard.errors import JobError
from haulyard.events import CallFailed, CallsPaused, RecordsEnded
from haulyard.records import processing
from haulyard.records.ledger import Ledger
from haulyard.records.pacer import Limit, Pacer
from haulyard.stores.memory import MemoryStore
from haulyard.testing.api import ApiServer, Rule

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from haulyard.models import ListOptions, ListPage

pytestmark = pytest.mark.anyio

#: Seconds; what would go wrong takes minutes.
PATIENCE = 30


async def test_stopped_it_finishes_what_is_in_flight_and_begins_nothing(tmp_path: Path) -> None:
    async with ApiServer(Rule(hang=True, where=lambda call: call.number > 100)) as api:
        work = await working(tmp_path, api.url, {"a.csv": csv_of(1000)})
        work.carried_out(max_in_flight=10)
        running = asyncio.create_task(work.run())
        await api.wait_for_async(count=110)
        work.stop()
        await asyncio.sleep(0)
        api.release()
        outcome = await running
        assert not outcome.is_finished
        assert (len(api.calls), outcome.account.delivered, work.marked()) == (110, 110, 110)
        assert work.around.stopping is not None
        work.around.stopping.clear()
        api.script()
        assert (await work.run()).account.delivered == 1000
        assert sorted(delivered(api.calls)) == list(range(1000))


async def test_what_is_in_flight_gets_its_grace_and_no_more(tmp_path: Path) -> None:
    async with ApiServer(Rule(hang=True, where=lambda call: call.number > 100)) as api:
        work = await working(tmp_path, api.url, {"a.csv": csv_of(1000)})
        work.carried_out(max_in_flight=10, grace=0.05, timeout=60.0)
        running = asyncio.create_task(work.run())
        await api.wait_for_async(count=110)
        work.stop()
        outcome = await asyncio.wait_for(running, PATIENCE)
        assert (outcome.is_finished, outcome.account.delivered) == (False, 100)


async def test_stopped_in_a_long_pause_it_ends_at_once(tmp_path: Path) -> None:
    async with ApiServer(Rule(429, retry_after=3600, where=lambda call: call.number > 50)) as api:
        work = await working(tmp_path, api.url, {"a.csv": csv_of(1000)})
        running = asyncio.create_task(work.run())
        paused = await api.wait_for_async(lambda call: call.status == 429)
        work.stop()
        outcome = await asyncio.wait_for(running, PATIENCE)
        assert not outcome.is_finished
        assert outcome.account.delivered == len(delivered(api.calls)) < paused.number


async def test_a_call_that_fails_after_the_stop_is_not_made_again(tmp_path: Path) -> None:
    async with ApiServer(Rule(500, hang=True, where=lambda call: call.number > 50)) as api:
        work = await working(tmp_path, api.url, {"a.csv": csv_of(1000)})
        work.carried_out(max_in_flight=5, attempts=10)
        running = asyncio.create_task(work.run())
        await api.wait_for_async(count=55)
        work.stop()
        await asyncio.sleep(0)
        api.release()
        await asyncio.wait_for(running, PATIENCE)
        assert len(api.calls) == 55
        assert work.letters() == []


class _Endless(MemoryStore):
    """A store whose listing does not come to its end."""

    def __init__(self) -> None:
        super().__init__()
        self.listing = asyncio.Event()

    async def list(self, prefix: str = "", options: ListOptions | None = None) -> AsyncIterator[ListPage]:
        del options
        async for page in super().list(prefix):
            yield page
            self.listing.set()
            await asyncio.Event().wait()


async def test_stopped_while_it_lists_it_ends_and_lists_again(tmp_path: Path) -> None:
    async with ApiServer() as api:
        work = await working(tmp_path, api.url, {"a.csv": csv_of(10)})
        store = _Endless()
        await store.put("a.csv", csv_of(10))
        whole, around = work.around, work.around
        work.around = replace(around, source=around.source._replace(store=store))
        running = asyncio.create_task(work.run())
        await store.listing.wait()
        work.stop()
        outcome = await asyncio.wait_for(running, PATIENCE)
        assert (outcome.is_finished, len(api.calls)) == (False, 0)
        work.around = replace(whole, stopping=asyncio.Event())
        assert (await work.run()).account.delivered == 10


async def test_stopped_while_it_waits_for_a_period_it_sends_nothing(tmp_path: Path) -> None:
    async with ApiServer() as api:
        work = await working(tmp_path, api.url, {"a.csv": csv_of(100)})
        await work.run(limit=10)
        waiting = asyncio.Event()
        work.around = replace(
            work.around, emit=lambda event: waiting.set() if isinstance(event, CallsPaused) else None
        )
        work.carried_out(limits=[Limit(5, 60.0)])
        running = asyncio.create_task(work.run())
        await waiting.wait()
        work.stop()
        outcome = await asyncio.wait_for(running, PATIENCE)
        assert (outcome.is_finished, len(api.calls)) == (False, 10)


@pytest.mark.parametrize("by", ["task", "scope"])
async def test_cancelled_it_leaves_nothing_alive_and_keeps_what_was_answered(tmp_path: Path, by: str) -> None:
    async with ApiServer(Rule(hang=True, where=lambda call: call.number > 100)) as api:
        work = await working(tmp_path, api.url, {"a.csv": csv_of(1000)})
        work.carried_out(max_in_flight=10, timeout=60.0)
        before = asyncio.all_tasks()
        with anyio.CancelScope() as scope:
            running = asyncio.create_task(work.run())
            await api.wait_for_async(count=110)
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running
        if by == "scope":
            async with anyio.create_task_group() as group:

                async def run() -> None:
                    with anyio.CancelScope() as inner:
                        group.start_soon(_cancel_at, api, inner, 111)
                        await work.run()

                group.start_soon(run)
        assert not scope.cancel_called
        assert asyncio.all_tasks() == before
        assert work.marked() == 100
        api.script()
        assert (await work.run()).account.delivered == 1000


async def _cancel_at(api: ApiServer, scope: anyio.CancelScope, count: int) -> None:
    await api.wait_for_async(count=count)
    scope.cancel()


async def test_a_source_replaced_between_runs_is_refused_by_name(tmp_path: Path) -> None:
    async with ApiServer() as api:
        work = await working(tmp_path, api.url, {"a.csv": csv_of(5000), "b.csv": csv_of(10)})
        await work.run(limit=3000)
        await work.store.put("a.csv", csv_of(5001))
        with pytest.raises(JobError, match=r"a\.csv was replaced since the job began"):
            await work.run()
        assert work.marked() == 3000


async def test_a_source_replaced_during_the_run_ends_it_and_keeps_what_was_done(tmp_path: Path) -> None:
    async with ApiServer(Rule(hang=True, where=lambda call: call.number == 5)) as api:
        # More of them than are opened ahead.
        objects = {f"{number}.csv": csv_of(10, first=10 * number) for number in range(10)}
        work = await working(tmp_path, api.url, objects)
        work.carried_out(max_in_flight=1, timeout=60.0)
        running = asyncio.create_task(work.run())
        await api.wait_for_async(count=5)
        await work.store.put("9.csv", csv_of(11, first=90))
        api.release()
        with pytest.raises(JobError, match=r"9\.csv was replaced"):
            await running
        # What was on its way when that was found has its answer, and that is kept.
        assert work.marked() == len(delivered(api.calls)) > 80


async def test_a_source_that_is_gone_is_unread_and_the_others_go_on(tmp_path: Path) -> None:
    async with ApiServer() as api:
        objects = {"a.csv": csv_of(5000), "b.csv": csv_of(10, first=5000), "c.csv": csv_of(10, first=5010)}
        work = await working(tmp_path, api.url, objects)
        await work.run(limit=3000)
        for key in ("a.csv", "b.csv"):
            await work.store.delete(key)
        outcome = await work.run()
        assert (outcome.is_finished, outcome.unread) == (True, 2)
        assert sorted(delivered(api.calls)[-10:]) == list(range(5010, 5020))


async def test_a_source_that_goes_while_calls_of_it_are_open_is_unread_the_next_time(tmp_path: Path) -> None:
    async with ApiServer(Rule(hang=True, contains='"id":"3"')) as api:
        work = await working(tmp_path, api.url, {"a.csv": csv_of(100), "b.csv": csv_of(10, first=100)})
        work.carried_out(max_in_flight=4, grace=0.0, timeout=60.0)
        running = asyncio.create_task(work.run())
        await api.wait_for_async(count=50)
        work.stop()
        await running
        assert work.marked() > 0
        await work.store.delete("a.csv")
        work.around = replace(work.around, stopping=asyncio.Event())
        outcome = await work.run()
        assert (outcome.is_finished, outcome.unread) == (True, 1)


async def test_columns_of_the_same_name_make_their_object_unread_and_the_others_go_on(tmp_path: Path) -> None:
    async with ApiServer() as api:
        objects = {"a.csv": csv_of(3), "b.csv": b"id,id\n1,2\n", "c.csv": csv_of(3)}
        work = await working(tmp_path, api.url, objects)
        outcome = await work.run()
        assert (outcome.is_finished, outcome.unread, outcome.account.delivered) == (True, 1, 6)
        with Ledger.open(work.folder, read_only=True) as ledger:
            (reason,) = ledger.unread().values()
        assert "several columns named 'id' (--columns gives" in reason


async def test_damaged_gzip_is_unread_with_the_reason_and_the_others_go_on(tmp_path: Path) -> None:
    packed = gzip.compress(csv_of(3000))
    async with ApiServer() as api:
        objects = {"a.csv.gz": packed[: len(packed) // 2], "b.csv": csv_of(10, first=5000)}
        work = await working(tmp_path, api.url, objects)
        outcome = await work.run()
        assert (outcome.is_finished, outcome.unread) == (True, 1)
        assert sorted(delivered(api.calls)[-10:]) == list(range(5000, 5010))


async def test_two_cannot_work_on_one_job(tmp_path: Path) -> None:
    async with ApiServer(Rule(hang=True)) as api:
        work = await working(tmp_path, api.url, {"a.csv": csv_of(10)})
        running = asyncio.create_task(work.run())
        await api.wait_for_async()
        with pytest.raises(JobError, match="haul process"):
            await work.run()
        api.script()
        api.release()
        assert (await running).account.delivered == 10


@pytest.mark.parametrize(
    ("name", "most"), [("_MOST_OPEN", 50), ("_MOST_BYTES", 49 * len('{"id":"1000","name":"n1000"}'))]
)
async def test_calls_that_wait_for_another_attempt_are_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, most: int
) -> None:
    monkeypatch.setattr(f"haulyard.records.run.{name}", most)
    async with ApiServer(Rule(500, where=lambda call: call.number % 4 != 1)) as api:
        work = await working(tmp_path, api.url, {"a.csv": csv_of(1000, first=1000)})
        # So long that none of them is made again.
        work.carried_out(retry_base=1e9, attempts=10)
        open_calls = set()

        def emit(event: object) -> None:
            if isinstance(event, CallFailed):
                open_calls.add(sum(_is_a_call(task) for task in asyncio.all_tasks()))

        work.around = replace(work.around, emit=emit)
        running = asyncio.create_task(work.run())
        await api.wait_for_async(count=48)
        with pytest.raises(TimeoutError):
            await api.wait_for_async(timeout=0.3, count=200)
        work.stop()
        await running
        assert max(open_calls) == 50


def _is_a_call(task: asyncio.Task[object]) -> bool:
    return getattr(task.get_coro(), "__qualname__", "") == "Delivery.deliver"


class Time:
    """A clock that is moved by tests."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead


async def test_calls_of_a_run_that_was_killed_count_in_a_long_period(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Time()
    monkeypatch.setattr(
        processing,
        "Pacer",
        lambda limits, cap: Pacer(limits, clock=clock, wall=lambda: clock() + 1e9, cap=cap),
    )
    async with ApiServer() as api:
        work = await working(tmp_path, api.url, {"a.csv": csv_of(100)})
        work.carried_out(limits=[Limit(100, 0.1), Limit(10, 61.0)], grace=0.1)

        async def kill_at(count: int) -> None:
            """Leave the ledger as a kill does: nothing is written any more once the last call is made."""
            running = asyncio.create_task(work.run())
            await api.wait_for_async(count=count)
            with monkeypatch.context() as context:
                context.setattr("haulyard.records.books.Books.close", _nothing)
                running.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await running

        await kill_at(6)
        clock.ahead += 30.0
        running = asyncio.create_task(work.run())
        with pytest.raises(TimeoutError):
            await api.wait_for_async(timeout=0.5, count=11)
        work.stop()
        await running
        # Once the first ones are older than the period, there is room again.
        clock.ahead += 32.0
        work.around = replace(work.around, stopping=asyncio.Event())
        running = asyncio.create_task(work.run())
        await api.wait_for_async(count=11)
        with pytest.raises(TimeoutError):
            await api.wait_for_async(timeout=0.5, count=21)
        work.stop()
        await running


async def _nothing(_: object) -> None:
    return


async def test_events_tell_of_progress_with_each_commit(tmp_path: Path) -> None:
    async with ApiServer() as api:
        work = await working(tmp_path, api.url, {"a.csv": csv_of(500)})
        await work.run()
        ended = [event for event in work.events if isinstance(event, RecordsEnded)]
        assert ended[-1].done == 500
