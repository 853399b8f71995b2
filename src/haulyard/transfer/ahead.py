"""One page ahead: the next page is fetched while the one before it is worked on."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

T = TypeVar("T")


class Ahead(Generic[T]):
    """The pages of a listing, the next of which is being fetched while one is worked on.

    Two listings then wait for their stores at the same time. `close` ends what is under way.
    """

    def __init__(self, pages: AsyncGenerator[T]) -> None:
        self._pages = pages
        self._next: asyncio.Task[T | None] | None = asyncio.create_task(self._pull())

    async def take(self) -> T | None:
        """Return the next page; None after the last."""
        if self._next is None:
            return None
        page = await self._next
        self._next = None if page is None else asyncio.create_task(self._pull())
        return page

    async def close(self) -> None:
        """Stop fetching."""
        task, self._next = self._next, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
            if not task.cancelled():
                # Asked for, so that asyncio does not complain that nobody did.
                task.exception()
        await self._pages.aclose()

    async def _pull(self) -> T | None:
        return await anext(self._pages, None)
