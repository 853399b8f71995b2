from __future__ import annotations

import asyncio

import anyio
import pytest

from haulyard.client.cancelling import cancelled_once

pytestmark = pytest.mark.anyio


class Work:
    """Runs until it is cancelled, and then needs two more turns to clean up."""

    def __init__(self) -> None:
        self.started = asyncio.Event()
        self.cancellations = 0
        self.is_clean = False

    @cancelled_once
    async def run(self) -> None:
        try:
            self.started.set()
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            for _ in range(2):
                try:
                    await asyncio.sleep(0)
                except asyncio.CancelledError:
                    self.cancellations += 1
            self.is_clean = True
            raise


async def test_a_scope_that_is_cancelled_cancels_a_call_once_and_waits_for_it() -> None:
    work = Work()
    async with anyio.create_task_group() as group:
        group.start_soon(work.run)
        await work.started.wait()
        group.cancel_scope.cancel()
    assert (work.is_clean, work.cancellations) == (True, 0)


async def test_a_task_that_is_cancelled_waits_for_its_call() -> None:
    work = Work()
    task = asyncio.ensure_future(work.run())
    await work.started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert work.is_clean


async def test_results_errors_and_signatures_pass_through() -> None:
    @cancelled_once
    async def divide(one: int, *, by: int) -> float:
        """Divide."""
        return one / by

    assert await divide(6, by=3) == 2
    with pytest.raises(ZeroDivisionError):
        await divide(6, by=0)
    assert divide.__doc__ == "Divide."


async def test_a_call_that_fails_while_it_is_cancelled_is_cancelled() -> None:
    started = asyncio.Event()

    @cancelled_once
    async def fail() -> None:
        try:
            started.set()
            await asyncio.sleep(3600)
        finally:
            raise OSError

    task = asyncio.ensure_future(fail())
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
