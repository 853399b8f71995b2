"""A few tasks over one queue of work, none of which outlives the call, and what they may hold in memory."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine


async def run_workers(work: Callable[[], Coroutine[object, object, None]], count: int) -> None:
    """Run ``work`` in ``count`` tasks until all have returned.

    The first error cancels the others and is raised as it is, without a group around it.
    """
    if count == 1:
        # One needs no task of its own; `haul run` does so for each of its lines.
        await work()
        return
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(count):
                group.create_task(work())
    except BaseExceptionGroup as errors:
        raise first_error(errors) from None


def first_error(error: BaseException) -> BaseException:
    """Return the first error of a group, of whatever depth."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


class Room:
    """Bytes that may be held in memory at a time; who wants more waits."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._free = size
        self._given = asyncio.Event()

    async def take(self, count: int) -> None:
        """Wait until there is room for ``count`` bytes, at most ``size``, and take it."""
        while self._free < count:
            self._given.clear()
            await self._given.wait()
        self._free -= count

    def give(self, count: int) -> None:
        """Give ``count`` bytes back."""
        self._free += count
        self._given.set()

    @asynccontextmanager
    async def held(self, count: int) -> AsyncIterator[None]:
        """Hold ``count`` bytes meanwhile; what is larger than all the room takes all of it."""
        count = min(count, self.size)
        await self.take(count)
        try:
            yield
        finally:
            self.give(count)
