"""A coroutine that is awaited again."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from haulyard.http.ongoing import Ongoing

pytestmark = pytest.mark.anyio


async def result_of(ongoing: Ongoing[str]) -> str:
    return await ongoing


class Polled:
    """Like a coroutine of the transport: each poll that finds no answer hands out a waiter of its own."""

    def __init__(self) -> None:
        self.waiters: list[asyncio.Future[None]] = []
        self.answer: str | None = None

    def send(self, _value: None) -> Any:
        if self.answer is not None:
            raise StopIteration(self.answer)
        waiter = asyncio.get_running_loop().create_future()
        waiter._asyncio_future_blocking = True
        self.waiters.append(waiter)
        return waiter


async def test_what_was_cancelled_goes_on_where_it_was() -> None:
    polled = Polled()
    ongoing: Ongoing[str] = Ongoing(cast("Any", polled))
    first = asyncio.ensure_future(result_of(ongoing))
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    second = asyncio.ensure_future(result_of(ongoing))
    await asyncio.sleep(0)
    polled.answer = "done"
    polled.waiters[1].set_result(None)
    assert await second == "done"
    assert len(polled.waiters) == 2


async def test_the_result_is_there_for_who_comes_later() -> None:
    async def work() -> str:
        await asyncio.sleep(0)
        return "done"

    ongoing = Ongoing(work())
    assert await ongoing == "done"
    assert await ongoing == "done"


async def test_so_is_the_error() -> None:
    async def work() -> str:
        await asyncio.sleep(0)
        raise ValueError("broken")

    ongoing = Ongoing(work())
    for _ in range(2):
        with pytest.raises(ValueError, match="broken"):
            await ongoing
