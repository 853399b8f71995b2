"""Blocks on their way through threads: a bounded number at a time, in order."""

from __future__ import annotations

import os
from collections import deque
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from haulyard.ingest.text.streams import drop, ended

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from concurrent.futures import Future

    from haulyard.ingest.text.cutting import Block, Cutter
    from haulyard.ingest.text.streams import Lane
    from haulyard.records.reading_streams import Stream

T = TypeVar("T")

#: Bytes of a block: large enough for threads to be busy with parsing alone, small enough for a file of a few
#: megabytes to occupy all of them.
BLOCK: Final = 2 * 1024**2
_SMALLEST: Final = 64 * 1024
#: A row may take this part of the memory, and the blocks in flight another.
_SHARE: Final = 4
#: pyarrow counts the bytes of a block in 32 bits.
_MOST: Final = 1024**3
#: What a block takes while it is in flight: itself, its columns, and what is made on the way.
_COPIES: Final = 3


def most_of(memory: int) -> int:
    """Return how many bytes a row may have."""
    return min(max(memory // _SHARE, _SMALLEST), _MOST)


class Flight(Generic[T]):
    """What is in flight, the oldest first."""

    def __init__(self, lane: Lane, memory: int) -> None:
        self._lane = lane
        self._works: deque[tuple[Future[T], int]] = deque()
        wanted = len(os.sched_getaffinity(0)) + 2 if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        share = memory // _SHARE // _COPIES
        #: How many bytes a block should have.
        self.block = min(max(share // wanted, _SMALLEST), BLOCK)
        self._most = max(min(share // self.block, wanted), 1)

    def __bool__(self) -> bool:
        return bool(self._works)

    @property
    def is_full(self) -> bool:
        """Whether no more should be added."""
        return len(self._works) >= self._most

    @property
    def is_ready(self) -> bool:
        """Whether the next is there already."""
        return bool(self._works) and self._works[0][0].done()

    def add(self, stored: int, work: Callable[..., T], *arguments: object) -> None:
        """Begin ``work``, for which ``stored`` bytes were read."""
        self._works.append((self._lane.begin(work, *arguments), stored))

    async def next(self) -> tuple[T, int]:
        """Return what became of the oldest, and the bytes that were read for it."""
        work, stored = self._works.popleft()
        return await ended(work), stored

    async def close(self) -> None:
        """Wait for the end of all that is in flight, and drop it."""
        await drop(work for work, _ in self._works)


async def blocks(text: Stream, cutter: Cutter, lane: Lane) -> AsyncGenerator[Block]:
    """Yield the blocks of a text."""
    while data := await text.read():
        if cutter.is_easy(data):
            found = list(cutter.feed(data))
        else:
            found = await lane.run(_listed, cutter, data)
        for block in found:
            yield block
    for block in await lane.run(_rest, cutter):
        yield block


def _listed(cutter: Cutter, data: bytes) -> list[Block]:
    return list(cutter.feed(data))


def _rest(cutter: Cutter) -> list[Block]:
    return list(cutter.finish())
