"""Tells a progress bar of work while it is being found."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from haulyard.transfer.items import Job


def nobody(objects: int, size: int) -> None:
    """Take no note of work: what is told where no bar is shown."""


def foreseen(
    pages: AsyncIterator[Sequence[Job]], expect: Callable[[int, int], None]
) -> AsyncIterator[Sequence[Job]]:
    """Return ``pages``, each of which is told to ``expect`` (objects, bytes) when it comes."""
    return pages if expect is nobody else _told(pages, expect)


async def _told(
    pages: AsyncIterator[Sequence[Job]], expect: Callable[[int, int], None]
) -> AsyncIterator[Sequence[Job]]:
    async for page in pages:
        expect(len(page), sum(max(job.item.size, 0) for job in page))
        yield page
