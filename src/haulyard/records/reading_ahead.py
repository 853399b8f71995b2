"""Many objects in their order, the next ones opened early: small ones do not wait for a round trip each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable
from contextlib import aclosing
from typing import TYPE_CHECKING

from haulyard.records.reading import NOBODY, Listeners, ReadOptions, blocks

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable

    from haulyard.records.formats.cutting import Start
    from haulyard.records.model import Block, SourceObject
    from haulyard.stores.base import Store


async def blocks_of(
    store: Store,
    objects: AsyncIterable[SourceObject] | Iterable[SourceObject],
    options: ReadOptions,
    *,
    start: Start | None = None,
    ahead: int = 4,
    listeners: Listeners = NOBODY,
) -> AsyncGenerator[Block]:
    """Yield the blocks of all objects, those of the first one from ``start`` on; see `blocks`.

    While one is read, the first block of each of the next ``ahead`` ones is fetched. What is wrong with an
    object, or with naming it, is raised when its turn comes. Close the generator where it is not read to its
    end: what runs ahead ends with it.
    """
    turns: asyncio.Queue[_Turn | Exception | None] = asyncio.Queue(max(ahead - 1, 1))
    begun: set[_Turn] = set()

    async def begin() -> None:
        first = start
        try:
            async for source in _each(objects):
                turn = _Turn(store, source, options, first, listeners)
                begun.add(turn)
                await turns.put(turn)
                first = None
        except Exception as error:  # noqa: BLE001 -- raised again where the blocks are awaited
            await turns.put(error)
        else:
            await turns.put(None)

    beginning = asyncio.create_task(begin())
    try:
        while (turn := await turns.get()) is not None:
            if isinstance(turn, Exception):
                raise turn
            while (block := await turn.take()) is not None:
                yield block
            begun.discard(turn)
    finally:
        await _end(beginning, *(turn.task for turn in begun))


class _Turn:
    """An object being read, up to a block ahead."""

    def __init__(
        self,
        store: Store,
        source: SourceObject,
        options: ReadOptions,
        start: Start | None,
        listeners: Listeners,
    ) -> None:
        self._blocks: asyncio.Queue[Block | Exception | None] = asyncio.Queue(1)
        self.task = asyncio.create_task(
            self._read(blocks(store, source, options, start=start, listeners=listeners))
        )

    async def take(self) -> Block | None:
        """Return the next block; None behind the last."""
        block = await self._blocks.get()
        if isinstance(block, Exception):
            raise block
        return block

    async def _read(self, found: AsyncGenerator[Block]) -> None:
        try:
            async with aclosing(found):
                async for block in found:
                    await self._blocks.put(block)
        except Exception as error:  # noqa: BLE001 -- raised again where the blocks are awaited
            await self._blocks.put(error)
        else:
            await self._blocks.put(None)


async def _each(
    objects: AsyncIterable[SourceObject] | Iterable[SourceObject],
) -> AsyncGenerator[SourceObject]:
    if isinstance(objects, AsyncIterable):
        async for source in objects:
            yield source
        return
    for source in objects:
        yield source


async def _end(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
