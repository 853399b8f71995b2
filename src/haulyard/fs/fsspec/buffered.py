"""Open files, for those who read and write without an event loop."""

from __future__ import annotations

import asyncio
import io
from typing import TYPE_CHECKING, Any, Final, TypeVar
from weakref import WeakMethod

from fsspec.asyn import sync
from fsspec.spec import AbstractBufferedFile

from haulyard.errors import PreconditionFailed
from haulyard.fs.fsspec import ending
from haulyard.fs.fsspec.ahead import LEAST, ReadAhead
from haulyard.fs.fsspec.buckets import into_bucket
from haulyard.fs.fsspec.entries import etag_of
from haulyard.fs.fsspec.errors import exists_error, os_errors
from haulyard.fs.fsspec.peers import IN_OPEN
from haulyard.models import ByteRange

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future
    from types import TracebackType

    from haulyard.client.files import AsyncWriter
    from haulyard.fs.fsspec.appending import AppendWriter
    from haulyard.fs.fsspec.properties import PropertyMethods
    from haulyard.models.body import Buffer

T = TypeVar("T")

#: Bytes of small writes that are gathered before they are handed to the event loop's thread.
_GATHERED: Final = 1024 * 1024
#: Bytes of a request at most for what a read asks for: small blocks have little fetched ahead, no more.
_REQUESTED: Final = 8 * 1024 * 1024
MODES: Final = frozenset(("rb", "wb", "xb", "ab"))


class HaulFile(AbstractBufferedFile):  # type: ignore[misc]  # fsspec has no types
    """An open object; made by `HaulFileSystem.open`.

    Reading: all of it is of the version that was opened; where another takes its place, reading raises
    OSError (EBUSY). Small reads are served from memory, see `haulyard.fs.fsspec.ahead`.

    Writing: what is larger than a block goes up in parts while it is written. The object appears, complete,
    when the file is closed; where an error leaves the ``with`` block nothing appears.
    """

    fs: Any
    buffer: Any

    def __init__(
        self,
        fs: PropertyMethods,
        path: str,
        mode: str = "rb",
        block_size: int | None = None,
        autocommit: bool = True,
        cache_type: str | None = None,
        cache_options: dict[str, Any] | None = None,
        size: int | None = None,
        version_id: str | None = None,
        **properties: Any,
    ) -> None:
        # Until it is open there is nothing to close.
        self.closed = True
        if mode not in MODES:
            raise NotImplementedError(f"{mode!r} is no mode of an object: rb, wb, xb or ab")
        self._target = fs._object(path, version_id)
        self._etag = ""
        self._writer: Any = None
        #: Bytes of an object that is appended to; None where there is none.
        self._kept: int | None = None
        self.version_id = self._target.version_id or None
        cache_type = cache_type or fs.default_cache_type
        first = b""
        if mode == "rb":
            if properties.keys() - IN_OPEN:
                raise TypeError(f"{', '.join(sorted(properties))}: only for writing")
            if size is None:
                first, details = sync(
                    fs.loop, fs._opened, path, self._target, min(block_size or LEAST, LEAST)
                )
                self._etag, size, self._details = etag_of(details), details["size"], details
                if fs.version_aware:
                    self.version_id = details.get("VersionId") or self.version_id
        is_ours = cache_type == ReadAhead.name
        super().__init__(
            fs,
            path,
            mode,
            block_size or fs.default_block_size,
            autocommit=autocommit,
            cache_type="none" if is_ours else cache_type,
            cache_options=cache_options,
            size=size,
        )
        if mode != "rb":
            # What cannot be opened has nothing to be completed once nobody has it any more.
            self.closed = True
            self._writer, self._kept = sync(
                fs.loop, fs._opened_writer, path, self._target, mode, block_size or 0, properties
            )
            self.closed = False
            self.loc = self._kept or 0
        elif is_ours:
            self.cache = ReadAhead(self.blocksize, _weakly(self._begin), self.size, first, _REQUESTED)
        else:
            self.cache.fetcher = _weakly(self._fetch_range)
        ending.files[id(self)] = self

    # Reading

    def _fetch_range(self, start: int, end: int) -> bytes:
        return self._begin(start, end).result()

    def _begin(self, start: int, end: int) -> Future[bytes]:
        return asyncio.run_coroutine_threadsafe(self._fetched(start, end), self.fs.loop)

    async def _fetched(self, start: int, end: int) -> bytes:
        if (task := asyncio.current_task()) is not None:
            task.add_done_callback(_look_at)
        try:
            data: bytes = await self.fs._bound(self._target, ByteRange(start, end), self._etag)
        except OSError as error:
            if isinstance(error.__cause__, PreconditionFailed):
                # What was remembered of it may be what was wrong.
                self.fs.invalidate_cache(self.path)
            raise
        return data

    # Writing

    def write(self, data: Buffer) -> int:
        """Add ``data`` and return its length in bytes; waits while the store is slower than the writer."""
        if not self.writable():
            raise ValueError("the file is not open for writing")
        view = memoryview(data).cast("B")
        self.loc += len(view)
        if self.buffer.tell() + len(view) < _GATHERED:
            self.buffer.write(view)
            return len(view)
        self._hand_over()
        if len(view) < _GATHERED:
            self.buffer.write(view)
        else:
            sync(self.fs.loop, _write, self._writer, view)
        return len(view)

    def flush(self, force: bool = False) -> None:  # noqa: ARG002 -- fsspec's signature
        """Do nothing: an object appears when it is complete, and what fills a part is on its way."""
        if self.closed:
            raise ValueError("flush of a closed file")

    def close(self) -> None:
        """Close the file; one that was written appears now, or with ``autocommit=False`` at `commit`."""
        if self.closed:
            return
        if self.mode == "rb":
            super().close()
            return
        self.closed = True
        try:
            self._hand_over()
            if self.autocommit:
                self.commit()
        except BaseException:
            self.discard()
            raise

    def commit(self) -> None:
        """Let the object appear.

        Raises:
            ValueError: It was given up before.
        """
        if not self.closed:
            self.close()
        if self._writer is None:
            raise ValueError(f"{self.path} was given up, or had nothing to add")
        sync(self.fs.loop, self._commit)

    def discard(self) -> None:
        """Give up what was written: nothing appears. Harmless after `commit`."""
        self.closed = True
        sync(self.fs.loop, self._discard)

    @os_errors
    @into_bucket
    async def _commit(self) -> None:
        if self.loc == self._kept:
            # Nothing was appended.
            await self._discard()
            return
        if self.buffer is not None and self.buffer.tell():
            await self._writer.write(self.buffer.getvalue())
        self.buffer = None
        try:
            await self._writer.close()
        except PreconditionFailed as error:
            if self.mode == "xb":
                raise exists_error(self.path) from error
            raise
        finally:
            self.fs._forget(self.path)
        if self.fs.version_aware:
            self.version_id = self._writer.result.version_id or None

    async def _discard(self) -> None:
        self.buffer = None
        writer, self._writer = self._writer, None
        if writer is not None:
            await writer.abort()

    def _hand_over(self) -> None:
        if self.buffer.tell():
            gathered, self.buffer = self.buffer.getvalue(), io.BytesIO()
            sync(self.fs.loop, _write, self._writer, gathered)

    # The object

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle an open file as what opens the same content, at the same place.

        Raises:
            RuntimeError: It is being written.
        """
        if self.mode != "rb":
            raise RuntimeError("a file that is being written cannot be pickled")
        options = {"cache_type": self.cache.name, "size": self.size, "version_id": self._target.version_id}
        return _reopened, (self.fs, self.path, self.blocksize, options, self._etag, self.loc)

    def metadata(self) -> dict[str, str]:
        """Return the metadata of the object."""
        return self.fs.metadata(self.path)  # type: ignore[no-any-return]  # a mirror of the other face

    def getxattr(self, name: str) -> str | None:
        """Return one value of the object's metadata; None where it has none of that name."""
        return self.fs.getxattr(self.path, name)  # type: ignore[no-any-return]  # as above

    def setxattr(self, **values: str | None) -> None:
        """Set values of the object's metadata; None removes one. The object is copied onto itself."""
        if self.mode != "rb":
            raise NotImplementedError("the metadata of a file that is being written are given to open()")
        self.fs.setxattr(self.path, **values)
        # The ETag of a copy may be another.
        self.fs.invalidate_cache(self.path)
        self._etag = etag_of(self.fs.info(self.path))

    def url(self, **kwargs: Any) -> str:
        """Return a signed URL of the object."""
        return self.fs.url(self.path, **kwargs)  # type: ignore[no-any-return]  # as above

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None and self.mode != "rb":
            self.discard()
        else:
            self.close()

    def __del__(self) -> None:
        # As files of this machine: what nobody closed is closed when nobody has it any more.
        if self.closed:
            return
        if self.mode == "rb" or not _on_loop_thread(self.fs.loop):
            self.close()
        else:
            # Where the collector runs in the thread of the requests, nothing may wait for them.
            self.closed = True
            self.fs.loop.create_task(self._commit() if self.autocommit else self._discard())


def _weakly(fetch: Callable[[int, int], T]) -> Callable[[int, int], T]:
    """Return ``fetch``, a method of a file, for its cache: a file that nobody has is gone at once.

    In a cycle with its cache it would keep its blocks until the garbage collector comes by.
    """
    method = WeakMethod(fetch)

    def call(start: int, end: int) -> T:
        bound = method()
        if bound is None:
            raise ValueError("I/O operation on closed file.")
        return bound(start, end)

    return call


def _look_at(task: asyncio.Task[Any]) -> None:
    """Look at how reading ahead ended, so that asyncio does not complain that nobody did.

    Where the file was closed meanwhile nobody does, as its future is cancelled by then.
    """
    if not task.cancelled():
        task.exception()


def _reopened(
    fs: PropertyMethods, path: str, block_size: int, options: dict[str, Any], etag: str, loc: int
) -> HaulFile:
    file = HaulFile(fs, path, block_size=block_size, **options)
    file._etag = etag
    file.seek(loc)
    return file


def _on_loop_thread(loop: asyncio.AbstractEventLoop) -> bool:
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False


@os_errors
async def _write(writer: AsyncWriter | AppendWriter, data: Buffer) -> None:
    await writer.write(data)
