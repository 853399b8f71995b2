"""Many objects in their order, the next ones opened early: small ones do not wait for a round trip each."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import aclosing
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable

#: Objects that are opened before their turn.
AHEAD: Final = 4

Source = TypeVar("Source")
Block = TypeVar("Block")


class Opened(Generic[Source, Block]):
    """An object that is being read, up to a block ahead of who takes its blocks; ``source`` says which."""

    def __init__(self, source: Source, blocks: AsyncGenerator[Block]) -> None:
        self.source = source
        self._blocks: asyncio.Queue[Block | Exception | None] = asyncio.Queue(1)
        self._task = asyncio.create_task(self._read(blocks))

    async def blocks(self) -> AsyncGenerator[Block]:
        """Yield its blocks; raises what reading them raises."""
        while (block := await self._blocks.get()) is not None:
            if isinstance(block, Exception):
                raise block
            yield block

    async def close(self) -> None:
        """Read no more of it."""
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _read(self, found: AsyncGenerator[Block]) -> None:
        try:
            async with aclosing(found):
                async for block in found:
                    await self._blocks.put(block)
        except Exception as error:  # noqa: BLE001 -- raised again where the blocks are awaited
            await self._blocks.put(error)
        else:
            await self._blocks.put(None)


async def opened_ahead(
    objects: Iterable[Source],
    read: Callable[[Source], AsyncGenerator[Block]],
    *,
    ahead: int = AHEAD,
    weigh: Callable[[Source], int] = lambda _source: 0,
    most: int = 0,
) -> AsyncGenerator[Opened[Source, Block]]:
    """Yield each object, opened, in order; while one is read, the first blocks of the next are fetched.

    Those ahead of the first weigh at most ``most`` together, by ``weigh``. Close the generator where it is
    not read to its end: what runs ahead ends with it.
    """
    upcoming = iter(objects)
    following = next(upcoming, None)
    opened: deque[Opened[Source, Block]] = deque()
    weight = 0
    try:
        while True:
            while following is not None and len(opened) <= ahead:
                more = weigh(following)
                if opened and weight + more > most:
                    break
                weight += more
                opened.append(Opened(following, read(following)))
                following = next(upcoming, None)
            if not opened:
                return
            yield opened[0]
            await opened[0].close()
            weight -= weigh(opened.popleft().source)
    finally:
        for each in opened:
            await each.close()
