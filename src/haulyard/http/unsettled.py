"""Writes that nobody waits for any more, and that the server may still carry out."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asyncio import Task
    from collections.abc import Collection

    from haulyard.http.response import HttpResponse


class Unsettled:
    """The abandoned writes, until each has come to its end; its length is how many are left."""

    __slots__ = ("_targets",)

    def __init__(self) -> None:
        self._targets: dict[Task[HttpResponse], str] = {}

    def __len__(self) -> int:
        return len(self._targets)

    def add(self, write: Task[HttpResponse], target: str) -> None:
        """Remember ``write`` until it ends.

        ``target`` is its URL without the query; ``""`` for a write that can do no harm any more.
        """
        self._targets[write] = target
        write.add_done_callback(self._ended)

    async def clear(self, target: str) -> None:
        """Wait until no write is left that could undo, or be undone by, one to ``target``."""
        while rivals := [write for write, other in self._targets.items() if _overlap(target, other)]:
            await asyncio.wait(rivals)

    async def end(self, timeout: float) -> None:  # noqa: ASYNC109 -- the writes are bounded, not the caller
        """Wait ``timeout`` seconds for all of them, then stop watching the others."""
        if self._targets:
            await asyncio.wait(tuple(self._targets), timeout=timeout)
        await _cancelled(tuple(self._targets))

    def _ended(self, write: Task[HttpResponse]) -> None:
        self._targets.pop(write, None)
        if not write.cancelled():
            # Looked at, so that the loop does not report an error that nobody waits for.
            write.exception()


async def _cancelled(writes: Collection[Task[HttpResponse]]) -> None:
    for write in writes:
        write.cancel()
    if writes:
        await asyncio.wait(writes)


def _overlap(one: str, other: str) -> bool:
    """Whether two writes may concern the same object: the batch delete of a bucket names keys below it."""
    if one == other:
        return True
    if not other:
        return False
    return one.startswith(other.rstrip("/") + "/") or other.startswith(one.rstrip("/") + "/")
