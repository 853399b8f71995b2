from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from haulyard.errors import NotFound
from haulyard.records.model import SourceObject
from haulyard.records.reading import ReadOptions, blocks
from haulyard.records.reading_ahead import AHEAD, opened_ahead
from haulyard.stores.base import GET
from haulyard.stores.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable

    from haulyard.models import GetOptions
    from haulyard.records.model import Block
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


OPTIONS = ReadOptions(grid=64)


async def blocks_of(
    store: MemoryStore, sources: Iterable[SourceObject], ahead: int = AHEAD
) -> AsyncGenerator[Block]:
    async with aclosing(
        opened_ahead(sources, lambda source: blocks(store, source, OPTIONS), ahead=ahead)
    ) as opened:
        async for each in opened:
            async with aclosing(each.blocks()) as found:
                async for block in found:
                    assert block.object == each.source.id
                    yield block


async def collect(
    found: list[Any], store: MemoryStore, sources: Iterable[SourceObject], ahead: int = AHEAD
) -> None:
    """Read until something is wrong; what came before is in ``found``."""
    async with aclosing(blocks_of(store, sources, ahead)) as reading:
        async for block in reading:
            found += [json.loads(row) for row in block.rows]


async def test_objects_come_in_their_order_with_the_next_ones_opened_early() -> None:
    store = Slow(together=5)
    sources = await filled(store, 12)
    with anyio.fail_after(30):
        found: list[Any] = []
        await collect(found, store, sources, ahead=4)
    assert found == expected(range(1, 13))


async def test_no_more_objects_than_allowed_are_opened_early() -> None:
    store = Slow()
    sources = await filled(store, 12)
    async with aclosing(blocks_of(store, sources, ahead=3)) as found:
        await anext(found)
        for _ in range(100):
            await asyncio.sleep(0)
        assert store.asked <= 4


async def test_an_error_is_raised_when_the_turn_of_its_object_comes() -> None:
    store = MemoryStore()
    sources = await filled(store, 4)
    sources.insert(2, SourceObject(9, "gone.jsonl", 10, ""))
    found: list[Any] = []
    with pytest.raises(NotFound):
        await collect(found, store, sources)
    assert found == expected(range(1, 3))


async def test_no_task_outlives_reading_that_is_given_up() -> None:
    store = MemoryStore()
    sources = await filled(store, 12)
    before = asyncio.all_tasks()
    async with aclosing(blocks_of(store, sources)) as found:
        await anext(found)
        assert asyncio.all_tasks() > before
    assert asyncio.all_tasks() == before
