from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, TypeVar

import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.pacing.server_log import most_in_any_window

from haulyard.pacing.concurrency import FIRST
from haulyard.pacing.window import MARGIN
from haulyard.records.pacer import CAP, Limit, Pacer

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

T = TypeVar("T")

START = 1000.0
WALL = 1_800_000_000.0
ARRIVALS = Path(__file__).with_name("arrivals.py")


class VirtualLoop(asyncio.SelectorEventLoop):
    """Its clock goes to the next timer when there is nothing else to do: no time passes."""

    now = START
    _ready: Any
    _scheduled: Any

    def time(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.now - START + WALL

    def stall(self, seconds: float) -> None:
        """Be busy for so long."""
        self.now += seconds

    def _run_once(self) -> None:
        if not self._ready and self._scheduled:
            self.now = max(self.now, self._scheduled[0].when())
        super()._run_once()  # type: ignore[misc]


class Run:
    """A pacer on a virtual loop, what was sent by it, and when it arrived."""

    def __init__(self, *limits: Limit, cap: int = CAP) -> None:
        self.loop = VirtualLoop()
        self.pacer = Pacer(limits, clock=self.loop.time, wall=self.loop.wall, cap=cap)
        self.sent: list[float] = []
        self.arrived: list[float] = []

    def of(self, main: Coroutine[Any, Any, T]) -> T:
        with asyncio.Runner(loop_factory=lambda: self.loop) as runner:
            return runner.run(main)

    async def call(self, there: float = 0.0005, back: float = 0.0005) -> None:
        grant = await self.pacer.turn()
        self.sent.append(self.loop.now)
        self.arrived.append(self.loop.now + there)
        await asyncio.sleep(there + back)
        self.pacer.ended(grant)

    async def calls(self, number: int, there: float = 0.0005, back: float = 0.0005) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(number):
                group.create_task(self.call(there, back))


def is_free(pacer: Pacer) -> bool:
    """Whether a turn comes at once; takes it."""
    turn = pacer.turn()
    try:
        turn.send(None)
    except StopIteration:
        return True
    turn.close()
    return False


def test_without_limits_a_turn_does_not_suspend_until_the_places_are_taken() -> None:
    pacer = Pacer()
    for _ in range(FIRST):
        assert is_free(pacer)
    assert pacer.in_flight == pacer.limit_in_flight == FIRST
    assert pacer.rate is None


def test_turns_come_in_the_order_in_which_they_were_asked_for() -> None:
    run = Run(Limit(100, 1))
    order: list[int] = []

    async def call(number: int) -> None:
        grant = await run.pacer.turn()
        order.append(number)
        run.pacer.ended(grant)

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(50):
                group.create_task(call(number))

    run.of(main())
    assert order == list(range(50))


def test_one_a_second_starts_at_once_and_goes_on_after_a_period() -> None:
    run = Run(Limit(1, 1))
    run.of(run.calls(4))
    gaps = [later - earlier for earlier, later in zip(run.sent, run.sent[1:], strict=False)]
    assert run.sent[0] == START
    assert all(1.0 <= gap <= 1.03 for gap in gaps)


def test_ten_a_minute_are_spread_over_the_minute() -> None:
    run = Run(Limit(10, 60))
    run.of(run.calls(31))
    assert run.sent[-1] - run.sent[0] == pytest.approx(180, rel=0.01)
    assert most_in_any_window(run.arrived, 60) == 10


def test_a_quota_is_used_as_fast_as_the_other_limit_allows_and_then_waited_for() -> None:
    run = Run(Limit(100, 1), Limit(1000, 86_400))
    run.of(run.calls(1001))
    assert run.sent[999] - START == pytest.approx(10, rel=0.03)
    assert run.sent[1000] - START == pytest.approx(86_400, rel=0.001)


def test_a_quota_alone_is_spaced() -> None:
    run = Run(Limit(3600, 3600))
    run.of(run.calls(100))
    assert run.sent[-1] - START == pytest.approx(99, rel=0.01)


@settings(deadline=None, max_examples=40)
@given(
    limits=st.sampled_from([[Limit(1, 1)], [Limit(50, 1)], [Limit(500, 1)], [Limit(20, 1), Limit(60, 10)]]),
    seed=st.integers(0, 2**32),
    slowest=st.floats(0.001, 0.4),
    trouble=st.lists(st.sampled_from(["refused", "wait", "pause", "stall", "idle", "cancel"]), max_size=12),
)
def test_the_server_never_sees_more_than_the_limits_whatever_happens(
    limits: list[Limit], seed: int, slowest: float, trouble: list[str]
) -> None:
    run = Run(*limits)
    random = Random(seed)
    happenings: dict[str, Callable[[], object]] = {
        "refused": run.pacer.refused,
        "wait": lambda: run.pacer.refused(random.uniform(0, 2)),
        "pause": lambda: run.pacer.pause(random.uniform(0, 1)),
        "stall": lambda: run.loop.stall(random.uniform(0, 0.2)),
    }

    async def batch(stopped: float) -> None:
        tasks = []
        for _ in range(max(5, limits[0].calls // 4)):
            there, back = (0.001 + random.uniform(0, slowest) for _ in "ab")
            tasks.append(asyncio.create_task(run.call(there, back)))
        await asyncio.sleep(stopped)
        for task in tasks:
            if random.random() < stopped:
                task.cancel()
        await asyncio.wait(tasks)

    async def main() -> None:
        for what in trouble:
            await batch(0.3 if what == "cancel" else 0.0)
            happenings.get(what, int)()
            if what == "idle":
                await asyncio.sleep(random.uniform(0, 3))
        await batch(0.0)

    run.of(main())
    for limit in limits:
        assert most_in_any_window(sorted(run.arrived), limit.seconds) <= limit.calls


def test_whoever_stops_waiting_takes_nothing_along() -> None:
    run = Run(Limit(10, 1), cap=1)

    async def main() -> None:
        first = await run.pacer.turn()
        waiting = [asyncio.create_task(run.pacer.turn()) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        await asyncio.sleep(0.5)
        # Its turn has come, and it has not run yet.
        run.pacer.ended(first)
        waiting[1].cancel()
        second = await waiting[2]
        assert run.pacer.in_flight == 1
        run.pacer.ended(second)
        assert run.pacer.in_flight == 0
        assert run.loop.now - START < 0.65

    run.of(main())


def test_calls_in_flight_stay_below_the_cap() -> None:
    run = Run(cap=3)

    async def main() -> None:
        calls = asyncio.create_task(run.calls(10, 0.5, 0.5))
        await asyncio.sleep(0.5)
        assert run.pacer.in_flight == 3
        await calls

    run.of(main())
    assert run.loop.now - START == pytest.approx(4, rel=0.01)


def test_what_the_rate_needs_in_flight_is_allowed() -> None:
    run = Run(Limit(1000, 1))
    run.of(run.calls(6000, 0.1, 0.1))
    late = [at for at in run.sent if at >= START + 3]
    assert len(late) / (late[-1] - late[0]) >= 0.97 * 1000


def test_a_refusal_pauses_everyone_and_slows_down() -> None:
    run = Run(Limit(100, 1))

    async def main() -> None:
        await run.calls(200)
        run.pacer.refused(5.0)
        refused = run.loop.now
        await run.calls(50)
        assert run.sent[200] >= refused + 5
        assert run.sent[-1] - run.sent[200] == pytest.approx(49 / 71, rel=0.05)
        assert run.pacer.pauses == 1
        assert run.pacer.paused_seconds == pytest.approx(5)
        assert run.pacer.rate == pytest.approx(73, abs=2)
        await asyncio.sleep(10)
        assert run.pacer.rate == 100

    run.of(main())


def test_a_pause_counts_as_far_as_it_has_passed_and_two_at_once_count_once() -> None:
    run = Run()

    async def main() -> None:
        run.pacer.pause(4)
        await asyncio.sleep(1)
        run.pacer.pause(1)
        run.pacer.pause(5)
        assert run.pacer.paused_seconds == pytest.approx(1)
        await run.calls(1)

    run.of(main())
    assert run.sent == [pytest.approx(START + 6, abs=0.002)]
    assert run.pacer.pauses == 1
    assert run.pacer.paused_seconds == pytest.approx(6, abs=0.002)


def test_a_later_run_goes_on_with_what_is_left_of_the_day() -> None:
    limits = [Limit(100, 1), Limit(500, 86_400)]
    run = Run(*limits)

    async def main() -> Any:
        await run.calls(300)
        grant = await run.pacer.turn()
        saved = json.loads(json.dumps(run.pacer.snapshot()))
        run.pacer.ended(grant)
        return saved

    saved = run.of(main())
    assert sum(count for _, count in saved) == 301
    later = Run(*limits)
    later.loop.now += 600
    later.pacer.restore(saved, unrecorded=9)
    later.of(later.calls(191))
    assert later.sent[189] < START + 600 + 3
    assert later.sent[190] == pytest.approx(START + 86_400 + MARGIN, abs=5)


def test_a_limit_that_can_be_waited_out_is_not_kept() -> None:
    run = Run(Limit(100, 60))
    run.of(run.calls(20))
    assert run.pacer.snapshot() == []


async def _drive(pacer: Pacer, port: int, count: int) -> None:
    """Call so many times, over one connection at a time; a connection is opened where none is free."""
    free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
    calls = iter(range(count))

    async def call() -> None:
        for _ in calls:
            grant = await pacer.turn()
            reader, writer = free.pop() if free else await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"record\n")
            await reader.readline()
            pacer.ended(grant)
            free.append((reader, writer))

    async with asyncio.TaskGroup() as group:
        for _ in range(64):
            group.create_task(call())
    for _, writer in free:
        writer.close()
        await writer.wait_closed()


def test_a_server_of_its_own_process_logs_no_second_above_the_limit() -> None:
    with subprocess.Popen(
        [sys.executable, ARRIVALS], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as server:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        uvloop.run(_drive(Pacer([Limit(2000, 1)]), port, 5000))
        log, _ = server.communicate()
    arrived = [float(line) for line in log.split()]
    assert len(arrived) == 5000
    # That no turn is wasted is tested above, on a clock that stands still while others have the processor.
    assert most_in_any_window(arrived, 1.0) <= 2000
