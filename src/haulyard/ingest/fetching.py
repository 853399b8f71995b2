"""The stored bytes of one file, fetched ahead of who takes them: in order, in parallel ranges, bounded.

Every request is bound to the very object that was listed: a file is never put together of two.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, Self

from haulyard.errors import IngestError, PreconditionFailed, SourceChanged
from haulyard.models import ByteRange, GetOptions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from haulyard.ingest.model import SourceFile
    from haulyard.models.body import Buffer
    from haulyard.stores.base import ObjectReader

#: Bytes that are asked for by one request, at most. A connection to S3 brings some 80 MB a second
#: ("Performance design patterns", byte-range fetches), so that several are wanted; more and smaller ones cost
#: the server more: SeaweedFS gave 31 MB in 0.15 s by ranges of 16 MiB and in 0.37 s by ranges of 2 MiB.
PART: Final = 16 * 1024**2
#: Ranges that are under way or wait to be taken, at most.
AHEAD: Final = 4
#: Bytes at the end of a file that are asked for where its size is not known yet.
TAIL: Final = 32 * 1024
#: Bytes of a piece, at least, but for the last of a range.
_PIECE: Final = 1024**2
_SMALLEST: Final = 64 * 1024


class Stream:
    """The bytes of ``source`` as they are stored, in order. Use it as an async context manager.

    ``taken`` is the number of bytes handed out so far. ``memory`` bounds what is held, in bytes. What runs
    ahead ends with the block.
    """

    def __init__(self, source: SourceFile, memory: int = AHEAD * PART) -> None:
        self.source = source
        self.taken = 0
        self._spans = iter(parts_of(source.size, memory))
        self._parts: deque[_Part] = deque()
        self._head: Buffer = b""

    async def read(self) -> Buffer:
        """Return the next piece, mostly 1 MiB or more, which nobody changes; ``b""`` behind the last.

        Raises:
            IngestError: The object was replaced since it was listed.
            S3Error: The store gave up.
        """
        if self._head:
            head, self._head = self._head, b""
            self.taken += len(head)
            return head
        while self._parts:
            piece = await self._parts[0].take()
            if piece:
                self.taken += len(piece)
                return piece
            self._parts.popleft()
            self._ask()
        return b""

    async def head(self) -> Buffer:
        """Return what `read` will return next, without taking it."""
        if not self._head:
            self._head = await self.read()
            self.taken -= len(self._head)
        return self._head

    async def __aiter__(self) -> AsyncIterator[Buffer]:
        """Yield all pieces."""
        while piece := await self.read():
            yield piece

    async def __aenter__(self) -> Self:
        for _ in range(AHEAD):
            self._ask()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await _end([part.task for part in self._parts])

    def _ask(self) -> None:
        """Ask for one more range."""
        for span in self._spans:
            self._parts.append(_Part(self.source, span))
            break


class _Part:
    """A range on its way in; its pieces wait until they are taken."""

    def __init__(self, source: SourceFile, span: ByteRange | None) -> None:
        self._source = source
        self._span = span
        self._pieces: asyncio.Queue[Buffer | Exception] = asyncio.Queue()
        self.task = asyncio.create_task(self._run())

    async def take(self) -> Buffer:
        """Return the next piece; ``b""`` behind the last; raises what fetching raises."""
        piece = await self._pieces.get()
        if isinstance(piece, Exception):
            raise piece
        return piece

    async def _run(self) -> None:
        try:
            async with opened(self._source, self._span) as reader:
                await self._receive(reader)
        except Exception as error:  # noqa: BLE001 -- raised again where the pieces are awaited
            self._pieces.put_nowait(error)
        else:
            self._pieces.put_nowait(b"")

    async def _receive(self, reader: ObjectReader) -> None:
        gathered: list[Buffer] = []
        size = 0
        async for chunk in reader.chunks():
            gathered.append(chunk)
            size += len(chunk)
            if size >= _PIECE:
                self._pieces.put_nowait(_joined(gathered))
                gathered, size = [], 0
                # A local file never waits, and who parses shall begin with what is there.
                await asyncio.sleep(0)
        if size:
            self._pieces.put_nowait(_joined(gathered))


async def fetch(source: SourceFile, span: ByteRange | None = None) -> Buffer:
    """Return the bytes of a range, or of the whole file.

    Raises:
        IngestError: The object was replaced since it was listed.
        S3Error: The store gave up.
    """
    async with opened(source, span) as reader:
        return await reader.read()


@asynccontextmanager
async def opened(source: SourceFile, span: ByteRange | None = None) -> AsyncIterator[ObjectReader]:
    """Open the very object that was listed, or a range of it; as `fetch`."""
    options = GetOptions(range=span, if_match=source.etag, version_id=source.version_id)
    try:
        async with await source.store.get(source.key, options) as reader:
            yield reader
    except (PreconditionFailed, SourceChanged) as error:
        raise IngestError(
            f"{source.uri} was replaced since it was listed",
            hint="run it again; nothing was mixed of old and new",
        ) from error


def parts_of(size: int, memory: int) -> list[ByteRange | None]:
    """Return the ranges by which a file of ``size`` bytes is read; None is all of it in one request.

    As many as may be ahead fit into ``memory``, in bytes.
    """
    part = max(min(PART, memory // AHEAD), _SMALLEST)
    if not size:
        return []
    if size <= part:
        return [None]
    return [ByteRange(start, min(start + part, size)) for start in range(0, size, part)]


def _joined(chunks: Sequence[Buffer]) -> Buffer:
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


async def _end(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)
