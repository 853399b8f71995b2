"""Open files for programs with an event loop: ``await fs.open_async(path)``."""

from __future__ import annotations

import asyncio
import warnings
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from fsspec.asyn import AbstractAsyncStreamedFile

from haulyard.errors import HaulError, PreconditionFailed
from haulyard.fs.fsspec.errors import exists_error, os_errors
from haulyard.models import ByteRange, GetOptions

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import TracebackType

    from haulyard.client.files import AsyncWriter
    from haulyard.fs.fsspec.appending import AppendWriter
    from haulyard.fs.fsspec.base import Target
    from haulyard.fs.fsspec.properties import PropertyMethods
    from haulyard.models import ObjectHead
    from haulyard.models.body import Buffer
    from haulyard.stores.base import ObjectReader


class AsyncFile(AbstractAsyncStreamedFile):  # type: ignore[misc]  # fsspec has no types
    """An object being read; made by `HaulFileSystem.open_async`. Use it by ``async with``.

    Reads from start to end come from one answer; after a `seek` the next read asks anew, for the same
    content.
    """

    def __init__(self, fs: PropertyMethods, path: str, target: Target, head: ObjectHead) -> None:
        self.fs = fs
        self.path = path
        self.mode = "rb"
        self.loc = 0
        self.size = head.size
        self.closed = False
        self._target = target
        self._head = head
        self._reader: ObjectReader | None = None
        self._chunks: Any = None
        self._rest = memoryview(b"")
        self._loop = asyncio.get_running_loop()

    @os_errors
    async def read(self, length: int = -1) -> bytes:
        """Return the next ``length`` bytes, fewer only at the end; all that is left if it is negative."""
        if self.closed:
            raise ValueError("I/O operation on closed file.")
        left = max(self.size - self.loc, 0)
        wanted = left if length is None or length < 0 else min(length, left)
        pieces: list[Buffer] = []
        while wanted:
            if not self._rest:
                self._rest = memoryview(await self._next())
            piece = self._rest[:wanted]
            self._rest = self._rest[len(piece) :]
            wanted -= len(piece)
            self.loc += len(piece)
            pieces.append(piece)
        return b"".join(pieces)

    def seek(self, loc: int, whence: int = 0) -> int:
        """Read on from elsewhere."""
        before = self.loc
        super().seek(loc, whence)
        if self.loc != before:
            self._rest = memoryview(b"")
            self._chunks = None
        return int(self.loc)

    def __del__(self) -> None:
        # fsspec's would call `close`, which nobody awaits. An answer not read to its end keeps a slot.
        self.closed = True
        if self._reader is not None:
            _later(self._loop, self._reader.close)

    @os_errors
    async def close(self) -> None:
        """Give up the rest."""
        self.closed = True
        await self._let_go()

    async def _next(self) -> Buffer:
        if self._chunks is None:
            await self._let_go()
            options = GetOptions(
                ByteRange(self.loc) if self.loc else None,
                if_match=self._head.etag,
                version_id=self._target.version_id,
                encryption=self.fs._customer_key,
            )
            self._reader = await self.fs._store(self._target.bucket).get(self._target.key, options)
            self._chunks = self._reader.chunks()
        chunk: Buffer = await anext(self._chunks)
        return chunk

    async def _let_go(self) -> None:
        reader, self._reader, self._chunks = self._reader, None, None
        if reader is not None:
            await reader.close()


class AsyncWrittenFile(AbstractAsyncStreamedFile):  # type: ignore[misc]  # fsspec has no types
    """An object being written; made by `HaulFileSystem.open_async`. Use it by ``async with``.

    It appears, complete, when the block is left; where an error leaves the block nothing appears.
    """

    def __init__(
        self, fs: PropertyMethods, path: str, mode: str, writer: AsyncWriter | AppendWriter, kept: int | None
    ) -> None:
        self.fs = fs
        self.path = path
        self.mode = mode
        self.loc = kept or 0
        self.closed = False
        self._writer = writer
        self._kept = kept
        self._loop = asyncio.get_running_loop()

    @os_errors
    async def write(self, data: Buffer) -> int:
        """Add ``data`` and return its length in bytes."""
        if self.closed:
            raise ValueError("I/O operation on closed file.")
        count = await self._writer.write(data)
        self.loc += count
        return count

    async def flush(self, force: bool = False) -> None:
        """Do nothing: an object appears when it is complete."""

    @os_errors
    async def close(self) -> None:
        """Let the object appear."""
        if self.closed:
            return
        self.closed = True
        try:
            await (self._writer.abort() if self.loc == self._kept else self._writer.close())
        except PreconditionFailed as error:
            if self.mode == "xb":
                raise exists_error(self.path) from error
            raise
        finally:
            self.fs._forget(self.path)

    async def discard(self) -> None:
        """Give up what was written."""
        self.closed = True
        await self._writer.abort()

    def __del__(self) -> None:
        if self.closed:
            return
        self.closed = True
        warnings.warn(
            f"{self.path} was not closed: nothing appears", ResourceWarning, source=self, stacklevel=1
        )
        _later(self._loop, self._writer.abort)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await (self.close() if kind is None else self.discard())


def _later(loop: asyncio.AbstractEventLoop, call: Callable[[], Awaitable[None]]) -> None:
    """Let a loop await ``call``, which may happen in any thread; not at all where the loop has ended."""

    async def awaited() -> None:
        with suppress(HaulError):
            await call()

    def begin() -> None:
        task = loop.create_task(awaited())
        _closing.add(task)
        task.add_done_callback(_closing.discard)

    with suppress(RuntimeError):
        loop.call_soon_threadsafe(begin)


#: What goes on after its file is gone; a loop holds its tasks weakly.
_closing: set[asyncio.Task[None]] = set()
