"""The bytes of an object on their way to its records: pulled piece by piece, inflated, recoded, looked at."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol, TypeVar

from haulyard.records.formats.encoding import Recoder

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from concurrent.futures import Executor

    from haulyard.models.body import Buffer
    from haulyard.records.formats.compression import Inflater
    from haulyard.records.formats.encoding import Charset

T = TypeVar("T")


class Stream(Protocol):
    """Bytes that come piece by piece."""

    async def read(self) -> bytes:
        """Return the next piece; ``b""`` behind the last."""
        ...


async def in_thread(
    work: Callable[[], T], give_up: Callable[[], None] = lambda: None, *, lanes: Executor | None = None
) -> T:
    """Return what ``work`` does in a thread, one of ``lanes`` where they are given.

    Cancelled, it calls ``give_up`` and waits for the end: no thread outlives its caller.
    """
    running = asyncio.get_running_loop().run_in_executor(lanes, work)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        give_up()
        await asyncio.wait([running])
        if not running.cancelled():
            # Asked for, so that asyncio does not complain that nobody did.
            running.exception()
        raise


class Stored:
    """The stored bytes of an object, at least ``least`` at a time; ``count`` is told of each piece."""

    def __init__(self, chunks: AsyncIterator[Buffer], least: int, count: Callable[[int], None]) -> None:
        self._chunks = chunks
        self._least = least
        self._count = count

    async def read(self) -> bytes:
        """Return the next piece."""
        pieces: list[Buffer] = []
        size = 0
        async for chunk in self._chunks:
            pieces.append(chunk)
            size += len(chunk)
            if size >= self._least:
                break
        self._count(size)
        return b"".join(pieces)


class Inflated:
    """The text of a compressed object; ``apart`` inflates in a thread, for bzip2, whose blocks take 20 ms."""

    def __init__(self, stream: Stream, inflater: Inflater, *, apart: bool = False) -> None:
        self._stream = stream
        self._apart = apart
        self._inflater = inflater
        self._pieces: Iterator[bytes] = iter(())

    async def read(self) -> bytes:
        """Return the next piece of at most 1 MiB."""
        while True:
            piece = await in_thread(self._next) if self._apart else self._next()
            if piece:
                return piece
            data = await self._stream.read()
            if not data:
                self._inflater.finish()
                return b""
            self._pieces = self._inflater.feed(data)

    def _next(self) -> bytes:
        return next(self._pieces, b"")


class Recoded:
    """Text in another encoding as UTF-8."""

    def __init__(self, stream: Stream, charset: Charset) -> None:
        self._stream = stream
        self._recoder = Recoder(charset)

    async def read(self) -> bytes:
        """Return the next piece."""
        while data := await self._stream.read():
            if text := self._recoder.feed(data):
                return text
        return self._recoder.feed(b"", final=True)


class Ahead:
    """A stream whose beginning can be looked at before it is read."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._head = b""
        self.ended = False

    async def head(self, size: int) -> bytes:
        """Return the next ``size`` bytes or more without taking them; fewer only where all has ``ended``."""
        pieces = [self._head]
        held = len(self._head)
        while held < size and not self.ended:
            piece = await self._stream.read()
            self.ended = not piece
            pieces.append(piece)
            held += len(piece)
        self._head = b"".join(pieces)
        return self._head

    async def read(self) -> bytes:
        """Return the next piece."""
        head, self._head = self._head, b""
        if head or self.ended:
            return head
        return await self._stream.read()

    async def skip(self, size: int) -> None:
        """Pass over ``size`` bytes."""
        while size > 0 and (piece := await self.read()):
            self._head = piece[size:]
            size -= len(piece)
