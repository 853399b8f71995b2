from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from haulyard.errors import StoreError
from haulyard.transfer.ahead import Ahead

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

pytestmark = pytest.mark.anyio


class Listing:
    """Counts what was asked of it, and knows how it ended."""

    def __init__(self, pages: int, *, stalls_at: int = -1, fails_at: int = -1) -> None:
        self.asked = 0
        self.ended = asyncio.Event()
        self.stalled = asyncio.Event()
        self._pages, self._stalls_at, self._fails_at = pages, stalls_at, fails_at

    async def pages(self) -> AsyncGenerator[int]:
        try:
            for number in range(self._pages):
                self.asked += 1
                if number == self._stalls_at:
                    self.stalled.set()
                    await asyncio.Event().wait()
                if number == self._fails_at:
                    raise StoreError("cut off")
                yield number
        finally:
            self.ended.set()


async def test_all_pages_come_in_order_then_none() -> None:
    ahead = Ahead(Listing(3).pages())
    assert [await ahead.take() for _ in range(5)] == [0, 1, 2, None, None]
    await ahead.close()


async def test_the_next_page_is_fetched_meanwhile_and_no_more_than_that() -> None:
    listing = Listing(5, stalls_at=1)
    ahead = Ahead(listing.pages())
    assert await ahead.take() == 0
    await listing.stalled.wait()
    assert listing.asked == 2
    await ahead.close()


async def test_closing_ends_what_is_under_way() -> None:
    listing = Listing(5, stalls_at=0)
    ahead = Ahead(listing.pages())
    await listing.stalled.wait()
    await ahead.close()
    assert listing.ended.is_set()
    await ahead.close()


async def test_closing_between_pages_closes_the_listing() -> None:
    listing = Listing(5)
    ahead = Ahead(listing.pages())
    assert await ahead.take() == 0
    await ahead.close()
    assert listing.ended.is_set()


async def test_an_error_comes_when_its_page_is_taken() -> None:
    listing = Listing(3, fails_at=1)
    ahead = Ahead(listing.pages())
    assert await ahead.take() == 0
    with pytest.raises(StoreError, match="cut off"):
        await ahead.take()
    await ahead.close()


async def test_an_error_that_nobody_waits_for_is_dropped_on_closing() -> None:
    listing = Listing(3, fails_at=0)
    ahead = Ahead(listing.pages())
    await listing.ended.wait()
    await ahead.close()
