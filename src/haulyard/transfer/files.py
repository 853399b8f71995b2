"""A local file as the source of an upload: one descriptor, read in pieces, watched for changes."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Final, NamedTuple

from haulyard.checksums import hasher
from haulyard.errors import SourceChanged
from haulyard.stores.walk import etag_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from haulyard.models import ByteRange
    from haulyard.models.body import Buffer

#: Bytes a read. Larger ones do not go faster and hold the event loop for longer (`benchmarks/`).
PIECE: Final = 256 * 1024


class Fingerprint(NamedTuple):
    """What tells one content of a file from the next: bytes, nanoseconds since the epoch, inode, device."""

    size: int
    mtime_ns: int
    inode: int
    device: int

    @classmethod
    def of(cls, status: os.stat_result) -> Fingerprint:
        """Take the fingerprint from what fstat says."""
        return cls(status.st_size, status.st_mtime_ns, status.st_ino, status.st_dev)


class SourceFile:
    """An open file that must not change while it is being sent; ``etag`` is the local store's for it."""

    __slots__ = ("_before", "_fd", "etag", "name", "size")

    def __init__(self, fd: int, name: str) -> None:
        self._fd = fd
        status = os.fstat(fd)
        self._before = Fingerprint.of(status)
        self.name = name
        self.size = status.st_size
        self.etag = etag_of(status)

    @property
    def fingerprint(self) -> Fingerprint:
        """The fingerprint from the time when the file was opened."""
        return self._before

    def read(self) -> bytes:
        """Return the whole of a small file, read in one go and unchanged since it was opened."""
        data = os.pread(self._fd, self.size + 1, 0)
        if len(data) != self.size:
            raise self._changed()
        self.check()
        return data

    async def digest(self, algorithm: str, part: ByteRange) -> bytes:
        """Return the digest of a range of the file; SourceChanged if it changed meanwhile."""
        state = hasher(algorithm)
        async for piece in self.slice(part).open():
            state.update(piece)
            # Hashing a large part would otherwise hold the event loop for milliseconds.
            await asyncio.sleep(0)
        self.check()
        return state.digest()

    def slice(self, part: ByteRange) -> FileSlice:
        """Return a range of the file as a body."""
        return FileSlice(self, self._fd, part.start, self.size if part.end is None else part.end)

    def check(self) -> None:
        """Raise SourceChanged unless the file is as it was when it was opened."""
        if Fingerprint.of(os.fstat(self._fd)) != self._before:
            raise self._changed()

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)

    def _changed(self) -> SourceChanged:
        return SourceChanged(
            f"{self.name} changed while it was read; nothing was stored under its name",
            store="local",
            operation="upload",
            key=self.name,
            hint="Wait until its writer has finished, then run the command again.",
        )


class FileSlice:
    """A range of a file as a `haulyard.models.body.BodySource`."""

    __slots__ = ("_end", "_fd", "_file", "_start", "size")

    def __init__(self, file: SourceFile, fd: int, start: int, end: int) -> None:
        self._file = file
        self._fd = fd
        self._start = start
        self._end = end
        self.size = end - start

    async def open(self) -> AsyncIterator[Buffer]:
        """Yield the range in pieces; SourceChanged where the file has become shorter."""
        at = self._start
        while at < self._end:
            piece = os.pread(self._fd, min(PIECE, self._end - at), at)
            if not piece:
                self._file.check()
                raise OSError(f"{self._file.name} ended at byte {at}")
            at += len(piece)
            yield piece
