"""Signals: once to stop taking work, twice to stop now."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING

import pytest

from haulyard.cli import commands
from haulyard.cli.detached import detached
from haulyard.cli.stop import Stop

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import Box, Probe

    from haulyard.cli.context import Context


_load = commands.load


def interrupt(number: int = signal.SIGINT) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_command_that_does_not_look_is_cancelled_by_the_first(
    haul: Box, probe: Probe, number: signal.Signals
) -> None:
    async def work(context: Context) -> int:
        context.connection()
        interrupt(number)
        await asyncio.Event().wait()
        raise AssertionError

    probe.does = work
    result = haul("probe")
    assert (result.code, result.err) == (130, "interrupted\n")
    assert haul.connections[0].closed == 1


def test_a_command_that_looks_finishes_what_is_in_flight(haul: Box, probe: Probe) -> None:
    async def work(context: Context) -> int:
        with context.stop.attended():
            assert not context.stop.is_requested()
            interrupt()
            await context.stop.wait()
            await context.stop.wait()
            context.output.lines(["in flight, finished"])
            return 130

    probe.does = work
    result = haul("probe")
    assert (result.code, result.out) == (130, "in flight, finished\n")
    assert result.err.startswith("stopping: what is in flight is finished or parked")


def test_what_takes_longer_than_the_grace_is_cancelled_by_the_first_too(haul: Box, probe: Probe) -> None:
    async def work(context: Context) -> int:
        context.stop.grace = 0.01
        with context.stop.attended():
            interrupt()
            await asyncio.Event().wait()
        raise AssertionError

    probe.does = work
    result = haul("probe")
    assert result.code == 130
    assert result.err.endswith("interrupted\n")


def test_the_second_signal_cancels(haul: Box, probe: Probe) -> None:
    parked: list[bool] = []

    async def work(context: Context) -> int:
        with context.stop.attended():
            interrupt()
            await context.stop.wait()
            interrupt()
            try:
                await asyncio.Event().wait()
            finally:
                parked.append(True)
        raise AssertionError

    probe.does = work
    assert haul("probe").code == 130
    assert parked == [True]


def test_the_third_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[int] = []
    monkeypatch.setattr(os, "_exit", ended.append)
    stop = Stop()
    for count in range(3):
        assert len(ended) == 0, count
        stop.on_arrival(signal.SIGINT, None)
    assert ended == [130]


def test_signals_are_counted_while_the_loop_hears_nothing(
    haul: Box, probe: Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[int] = []
    monkeypatch.setattr(os, "_exit", ended.append)

    async def work(_: Context) -> int:
        for _number in range(3):
            signal.raise_signal(signal.SIGINT)
        assert ended == [130]
        return 0

    probe.does = work
    haul("probe")
    assert ended == [130]


def test_signals_are_what_they_were_once_the_command_has_ended(haul: Box, probe: Probe) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]

    async def work(_: Context) -> int:
        return 0

    probe.does = work
    haul("probe")
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_lines_of_run_finish_and_no_more_are_taken(haul: Box, probe: Probe) -> None:
    begun: list[str] = []

    async def work(context: Context) -> int:
        begun.append("line")
        interrupt()
        await context.stop.wait()
        context.output.lines(["finished"])
        return 0

    probe.does = work
    haul_lines = haul.cwd / "lines"
    haul_lines.write_text("probe 1\n" * 10)
    monkey = pytest.MonkeyPatch()
    with monkey.context() as patch:
        patch.setattr("haulyard.cli.script.load", lambda _: probe)
        patch.setattr("haulyard.cli.commands.load", _load)
        result = haul("run", "--jobs", "1", str(haul_lines))
    assert (result.code, result.out, begun) == (130, "finished\n", ["line"])
    assert "the first line that was not begun is line 2" in result.err


def test_run_does_not_wait_for_lines_once_it_is_to_stop(haul: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()

    async def interrupted(call: Callable[[], bytes]) -> bytes:
        interrupt()
        return await detached(call)

    monkeypatch.setattr("haulyard.cli.run._STDIN", reading)
    monkeypatch.setattr("haulyard.cli.run.detached", interrupted)
    result = haul("run", "-")
    os.close(writing)
    assert result.code == 130


def test_cancelled_by_nobody_is_an_error_of_its_own(haul: Box, probe: Probe) -> None:
    async def work(_: Context) -> int:
        raise asyncio.CancelledError

    probe.does = work
    assert haul("probe").code == 1


def test_a_thread_that_never_returns_is_left_behind(haul: Box, probe: Probe) -> None:
    reading, writing = os.pipe()

    async def work(_: Context) -> int:
        task = asyncio.create_task(detached(lambda: os.read(reading, 1)))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return 0

    probe.does = work
    assert haul("probe").code == 0
    # Now it returns, and the loop is gone.
    os.write(writing, b"x")
    os.close(writing)


def test_what_a_thread_raises_is_raised() -> None:
    async def work() -> None:
        with pytest.raises(OSError, match="Bad file descriptor"):
            await detached(lambda: os.read(987, 1))

    asyncio.run(work())
