"""Streams between the caller's thread and the event loop: a piece at a time, in constant memory."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Generic, TypeVar

from haulyard.client.cancelling import settle, wait_shielded
from haulyard.errors import HaulError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterable, Iterator
    from typing import Any

    from haulyard.client.portal import Portal
    from haulyard.models.body import Buffer

T = TypeVar("T")


def pieces_of(portal: Portal, pieces: AsyncIterator[bytes]) -> Iterator[bytes]:
    """Yield the pieces of a stream; each is fetched when it is asked for.

    `Portal.iterate` would fetch a thousand of them at a time.
    """

    async def fetch() -> bytes | None:
        return await anext(pieces, None)

    try:
        while (piece := portal.call(fetch)) is not None:
            yield piece
    finally:
        close: Callable[[], Coroutine[Any, Any, None]] | None = getattr(pieces, "aclose", None)
        if close is not None:
            # A provider that is closed has let go of it before.
            with suppress(HaulError):
                portal.call(close)


class Feed(Generic[T]):
    """Hands pieces from the caller's thread to a task that consumes them in the loop.

    ``consume`` is given the stream. It runs from `begin` to `end` or `abort`, all of which are called in the
    loop.
    """

    def __init__(self, consume: Callable[[AsyncIterator[Buffer]], Coroutine[Any, Any, T]]) -> None:
        self._consume = consume
        self._given: asyncio.Queue[Buffer | None] = asyncio.Queue(maxsize=1)
        self._task: asyncio.Task[T] | None = None

    async def begin(self) -> None:
        """Start consuming."""
        self._task = asyncio.create_task(self._consume(self._stream()))

    async def send(self, piece: Buffer) -> None:
        """Wait until the consumer is ready for ``piece``; raise its error where it has failed."""
        task = self._running
        putting = asyncio.ensure_future(self._given.put(piece))
        try:
            await asyncio.wait((task, putting), return_when=asyncio.FIRST_COMPLETED)
        finally:
            putting.cancel()
        if task.done():
            task.result()

    async def end(self) -> T:
        """Say that nothing more comes, and return what the consumer made of it."""
        task = self._running
        putting = asyncio.ensure_future(self._given.put(None))
        try:
            await asyncio.wait((task, putting), return_when=asyncio.FIRST_COMPLETED)
            return await settle(task)
        finally:
            putting.cancel()

    async def abort(self) -> None:
        """Cancel the consumer and wait until it has cleaned up."""
        task = self._running
        if not task.done():
            task.cancel()
            await wait_shielded(task)
        if not task.cancelled():
            # Looked at, so that asyncio does not complain that nobody did.
            task.exception()

    @property
    def _running(self) -> asyncio.Task[T]:
        if self._task is None:
            raise RuntimeError("begin comes first")
        return self._task

    async def _stream(self) -> AsyncGenerator[Buffer]:
        while (piece := await self._given.get()) is not None:
            yield piece


def feed(
    portal: Portal,
    stream: Iterable[Buffer],
    consume: Callable[[AsyncIterator[Buffer]], Coroutine[Any, Any, T]],
) -> T:
    """Return what ``consume`` makes of a stream that is iterated in this thread."""
    feeding = Feed(consume)
    portal.call(feeding.begin)
    try:
        for piece in stream:
            portal.call(feeding.send, piece)
        return portal.call(feeding.end)
    except BaseException:
        portal.call(feeding.abort)
        raise
