"""A local file as the source of an upload: one descriptor, read in pieces, watched for changes."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Final, NamedTuple

from haulyard.checksums import hasher
from haulyard.errors import SourceChanged, StoreError
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
        data = self.pread(self.size + 1, 0)
        if len(data) != self.size:
            raise self.changed()
        self.check()
        return data

    async def digest(self, algorithm: str, part: ByteRange) -> bytes:
        """Return the digest of a range of the file; SourceChanged if it changed meanwhile."""
        state = hasher(algorithm)
        async for piece in self.slice(part).open():
            state.update(piece)
            # Hashing a large part would otherwise hold the event loop for milliseconds.
            await asyncio.sleep(0)
        return state.digest()

    def pread(self, size: int, at: int) -> bytes:
        """Return up to ``size`` bytes from offset ``at``; StoreError where they cannot be read."""
        try:
            return os.pread(self._fd, size, at)
        except OSError as error:
            raise StoreError(
                f"{self.name} cannot be read: {error.strerror}",
                store="local",
                operation="get",
                key=self.name,
                hint="check the disk; the kernel's log says more",
            ) from error

    def slice(self, part: ByteRange) -> FileSlice:
        """Return a range of the file as a body."""
        return FileSlice(self, part.start, self.size if part.end is None else part.end)

    def check(self) -> None:
        """Raise SourceChanged unless the file is as it was when it was opened."""
        if Fingerprint.of(os.fstat(self._fd)) != self._before:
            raise self.changed()

    def close(self) -> None:
        """Close the file; a body of it that is still asked for more then fails."""
        fd, self._fd = self._fd, -1
        os.close(fd)

    def changed(self) -> SourceChanged:
        """Return the error for a file that is not, or has not the bytes, that it said."""
        if Fingerprint.of(os.fstat(self._fd)) == self._before:
            # As those of /proc and /sys, which are made while they are read.
            message = f"{self.name} does not have the {self.size} bytes that it says it has"
            hint = f"read it as a pipe: cat {self.name} | haul put - s3://…"
        else:
            message = f"{self.name} changed while it was read; nothing was stored under its name"
            hint = "wait until its writer has finished, then run the command again"
        return SourceChanged(message, store="local", operation="upload", key=self.name, hint=hint)


class FileSlice:
    """A range of a file as a `haulyard.models.body.BodySource`."""

    __slots__ = ("_end", "_file", "_start", "size")

    def __init__(self, file: SourceFile, start: int, end: int) -> None:
        self._file = file
        self._start = start
        self._end = end
        self.size = end - start

    async def open(self) -> AsyncIterator[Buffer]:
        """Yield the range in pieces; SourceChanged, before the last one, if the file is not as it was.

        A body that lacks its last piece is never taken for an object, not even by a store that compares no
        checksums.
        """
        at = self._start
        while at < self._end:
            piece = self._file.pread(min(PIECE, self._end - at), at)
            at += len(piece)
            if at == self._end or not piece:
                self._file.check()
            if not piece:
                # A file system that promises bytes which it does not have.
                raise self._file.changed()
            yield piece
