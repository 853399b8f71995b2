from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from haulyard.errors import NotFound
from haulyard.records.formats.cutting import Start
from haulyard.records.model import SourceObject
from haulyard.records.reading import ReadOptions
from haulyard.records.reading_ahead import blocks_of
from haulyard.stores.base import GET
from haulyard.stores.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from haulyard.models import GetOptions
    from haulyard.stores.memory import MemoryReader

pytestmark = pytest.mark.anyio


class Slow(MemoryStore):
    """A store in which nobody gets an object before ``together`` of them are asked for at a time."""

    def __init__(self, together: int = 1) -> None:
        super().__init__()
        self.asked = 0
        self._together = together
        self._enough = anyio.Event()

    async def get(self, key: str, options: GetOptions = GET) -> MemoryReader:
        self.asked += 1
        if self.asked >= self._together:
            self._enough.set()
        await self._enough.wait()
        return await super().get(key, options)


async def filled(store: MemoryStore, count: int) -> list[SourceObject]:
    sources = []
    for number in range(1, count + 1):
        data = b"".join(b'{"o":%d,"r":%d}\n' % (number, row) for row in range(20))
        result = await store.put(f"{number}.jsonl", data)
        sources.append(SourceObject(number, f"{number}.jsonl", len(data), result.etag))
    return sources


def expected(numbers: range) -> list[dict[str, int]]:
    return [{"o": number, "r": row} for number in numbers for row in range(20)]


async def read(*arguments: Any, **more: Any) -> list[Any]:
    async with aclosing(blocks_of(*arguments, **more)) as found:
        return [json.loads(row) async for block in found for row in block.rows]


OPTIONS = ReadOptions(grid=64)


async def collect(found: list[Any], store: MemoryStore, sources: Any) -> None:
    """Read until something is wrong; what came before is in ``found``."""
    async with aclosing(blocks_of(store, sources, OPTIONS)) as reading:
        async for block in reading:
            found += [json.loads(row) for row in block.rows]


async def test_objects_come_in_their_order_with_the_next_ones_opened_early() -> None:
    store = Slow(together=5)
    sources = await filled(store, 12)
    with anyio.fail_after(30):
        assert await read(store, sources, OPTIONS, ahead=4) == expected(range(1, 13))


async def test_no_more_objects_than_allowed_are_opened_early() -> None:
    store = Slow()
    sources = await filled(store, 12)
    async with aclosing(blocks_of(store, sources, OPTIONS, ahead=3)) as found:
        await anext(found)
        for _ in range(100):
            await asyncio.sleep(0)
        assert store.asked <= 4


async def test_the_first_object_is_read_from_where_it_was_left() -> None:
    store = MemoryStore()
    sources = await filled(store, 3)
    async with aclosing(blocks_of(store, sources, OPTIONS)) as found:
        first = await anext(found)
    start = Start(first.end, first.end_line)
    assert await read(store, sources, OPTIONS, start=start) == expected(range(1, 4))[len(first.rows) :]


async def test_an_error_is_raised_when_the_turn_of_its_object_comes() -> None:
    store = MemoryStore()
    sources = await filled(store, 4)
    sources.insert(2, SourceObject(9, "gone.jsonl", 10, ""))
    found: list[Any] = []
    with pytest.raises(NotFound):
        await collect(found, store, sources)
    assert found == expected(range(1, 3))


async def test_a_listing_that_fails_is_told_behind_what_it_named() -> None:
    store = MemoryStore()
    sources = await filled(store, 2)

    async def listing() -> AsyncIterator[SourceObject]:
        for each in sources:
            yield each
        raise NotFound("no such bucket")

    found: list[Any] = []
    with pytest.raises(NotFound, match="no such bucket"):
        await collect(found, store, listing())
    assert found == expected(range(1, 3))


async def test_no_task_outlives_reading_that_is_given_up() -> None:
    store = MemoryStore()
    sources = await filled(store, 12)
    before = asyncio.all_tasks()
    async with aclosing(blocks_of(store, sources, OPTIONS)) as found:
        await anext(found)
        assert asyncio.all_tasks() > before
    assert asyncio.all_tasks() == before
