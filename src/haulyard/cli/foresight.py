"""Tells a progress bar of work while it is being found."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from haulyard.transfer.items import Job


async def foreseen(
    pages: AsyncIterator[Sequence[Job]], expect: Callable[[int, int], None]
) -> AsyncIterator[Sequence[Job]]:
    """Yield ``pages``, and tell ``expect`` of the objects and bytes of each."""
    async for page in pages:
        expect(len(page), sum(max(job.item.size, 0) for job in page))
        yield page
