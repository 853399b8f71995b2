"""Objects as files of the standard library: read by ranges with seek, or written piece by piece."""

from __future__ import annotations

import io
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final
from warnings import warn

from haulyard.client.arguments import byte_range
from haulyard.errors import HaulError
from haulyard.stores.conditions import resolve_range

if TYPE_CHECKING:
    from collections.abc import Callable

    from haulyard.client.arguments import Range
    from haulyard.client.async_client import AsyncClient
    from haulyard.client.files import AsyncReader, AsyncWriter
    from haulyard.client.portal import Portal
    from haulyard.models import Encryption, ObjectHead, PutResult
    from haulyard.models.body import Buffer

    #: Opens a range of the object, from the first offset up to the second.
    OpenRange = Callable[[int, int], AsyncReader]

#: Bytes that readers and writers hold, so that small reads and writes cost no call into the loop.
BUFFER: Final = 256 * 1024
#: The largest range that is fetched ahead of a reader who jumps; it doubles up to this while he does not.
_LARGEST: Final = 8 * 1024 * 1024


class ObjectReader(io.BufferedReader):
    """An object as a binary file, with seek; made by `Client.open`.

    Read from start to end it is one request. After a jump, ranges are fetched ahead: small ones first, up to
    8 MiB while reading goes on in order. All of them are bound to the ETag of the object that was opened.
    """

    def __init__(self, raw: RangeReader) -> None:
        super().__init__(raw, BUFFER)
        self.head: ObjectHead = raw.head
        """What the store says of the object: size in bytes, ETag, metadata."""


class RangeReader(io.RawIOBase):
    """The unbuffered file below an `ObjectReader`; positions count from ``start``, up to ``end``."""

    def __init__(self, portal: Portal, head: ObjectHead, start: int, end: int, open_range: OpenRange) -> None:
        super().__init__()
        self.head = head
        self.name = head.key
        self._portal = portal
        self._start = start
        self._size = end - start
        self._open_range = open_range
        self._at = 0
        self._stream: AsyncReader | None = None
        self._stream_at = 0
        self._ahead = memoryview(b"")
        self._ahead_at = 0
        self._step = BUFFER
        self._jumped = False

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Set the position, which costs nothing until something is read there."""
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}.get(whence)
        if origin is None:
            raise ValueError(f"{whence!r} is no whence")
        if origin + offset < 0:
            raise ValueError(f"{origin + offset} lies before the start")
        self._at = origin + offset
        return self._at

    def readinto(self, buffer: Any, /) -> int:  # noqa: ANN401 -- whatever has a writable buffer
        """Read at most as many bytes as ``buffer`` has, and return how many came; 0 at the end."""
        self._check_open()
        view = memoryview(buffer).cast("B")
        wanted = min(len(view), self._size - self._at)
        if wanted <= 0:
            return 0
        data = self._read(wanted)
        view[: len(data)] = data
        self._at += len(data)
        return len(data)

    def readall(self) -> bytes:
        """Read to the end, in one call into the loop."""
        self._check_open()
        if self._at >= self._size:
            return b""
        data = self._stream_on(-1)
        self._at = self._size
        return data

    def close(self) -> None:
        """Let go of the connection; closing twice is harmless."""
        # A client that is closed has let go of it before.
        with suppress(HaulError):
            self._close_stream()
        super().close()

    def _read(self, wanted: int) -> Buffer:
        """Return some bytes from the position on, at most ``wanted``."""
        if not self._jumped and self._at == self._stream_at:
            return self._stream_on(wanted)
        self._jumped = True
        self._close_stream()
        offset = self._at - self._ahead_at
        if not 0 <= offset < len(self._ahead):
            self._fetch(wanted, in_order=offset == len(self._ahead))
            offset = 0
        return self._ahead[offset : offset + wanted]

    def _fetch(self, wanted: int, *, in_order: bool) -> None:
        """Fetch what is read next, and more the longer reading goes on in order."""
        self._step = min(2 * self._step, _LARGEST) if in_order else BUFFER
        end = min(self._at + max(wanted, self._step), self._size)
        self._ahead = memoryview(self._portal.call(_read_all, self._range(self._at, end)))
        self._ahead_at = self._at

    def _stream_on(self, size: int) -> bytes:
        """Return ``size`` bytes, or all if that is negative, of a stream that begins at the position."""
        if self._stream is None or self._stream_at != self._at:
            self._close_stream()
            self._stream = self._portal.call(self._range(self._at, self._size).__aenter__)
            self._stream_at = self._at
        try:
            data = self._portal.call(self._stream.read, size)
        except BaseException:
            # Nobody knows how far it got; the next read opens another.
            self._close_stream()
            raise
        self._stream_at += len(data)
        return data

    def _range(self, start: int, end: int) -> AsyncReader:
        return self._open_range(self._start + start, self._start + end)

    def _close_stream(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            self._portal.call(stream.close)

    def _check_open(self) -> None:
        if self.closed:
            raise ValueError("I/O operation on closed file")


class ObjectWriter(io.BufferedWriter):
    """An object as a binary file to write; made by `Client.open`.

    The object appears, complete, when the ``with`` block is left or `close` is called. Where an error leaves
    the block, or the file is closed because of one or dropped without being closed, nothing appears and the
    upload is aborted.
    """

    def __init__(self, raw: UploadWriter) -> None:
        super().__init__(raw, BUFFER)
        self._upload = raw
        self._handled = sys.exc_info()[1]

    @property
    def result(self) -> PutResult:
        """What the store says of the object (ETag, version, checksums), once it is closed."""
        return self._upload.writer.result

    def close(self) -> None:
        """Complete the object; closing twice is harmless.

        Raises:
            S3Error: The upload failed, and nothing appears.
        """
        if self.closed:
            return
        error = sys.exc_info()[1]
        if error is not None and error is not self._handled:
            # A wrapper such as io.TextIOWrapper closes its file whatever it was that left its block.
            self.abort()
            text = f"{self.name} was closed while an error was handled: nothing was written"
            warn(text, RuntimeWarning, stacklevel=2)
            return
        try:
            self.flush()
        except BaseException:
            # The base class would go on, and complete an object whose end is missing.
            self.abort()
            raise
        super().close()

    def abort(self) -> None:
        """Give the upload up: nothing appears under the object's name."""
        # What is buffered here goes nowhere, as the file below takes no more.
        self._upload.abort()

    def __exit__(self, kind: type[BaseException] | None, *exc: object) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()

    def __del__(self) -> None:
        # The base class would close, and thereby complete, an object that an error left half-written.
        if not self.closed:
            with suppress(HaulError):
                self.abort()
            text = f"{self.name} was never closed: nothing was written"
            warn(text, ResourceWarning, stacklevel=2, source=self)


class UploadWriter(io.RawIOBase):
    """The unbuffered file below an `ObjectWriter`."""

    def __init__(self, portal: Portal, writer: AsyncWriter, name: str) -> None:
        super().__init__()
        self.writer = writer
        self.name = name
        self._portal = portal
        self._at = 0
        portal.call(writer.__aenter__)

    def writable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return how many bytes were written."""
        return self._at

    def write(self, data: Any, /) -> int:  # noqa: ANN401 -- whatever has a buffer
        """Add ``data``; waits while the store is slower than the writer."""
        count = self._portal.call(self.writer.write, memoryview(data))
        self._at += count
        return count

    def close(self) -> None:
        """Complete the object; closing twice is harmless."""
        if not self.closed:
            try:
                self._portal.call(self.writer.close)
            finally:
                super().close()

    def abort(self) -> None:
        """Give the upload up."""
        if not self.closed:
            try:
                self._portal.call(self.writer.abort)
            finally:
                super().close()


async def _read_all(reader: AsyncReader) -> bytes:
    async with reader:
        return await reader.read()


def open_reader(
    portal: Portal,
    client: AsyncClient,
    uri: str,
    span: Range | None,
    version_id: str,
    if_match: str,
    encryption: Encryption | None,
) -> ObjectReader:
    """Return an object as a file; all that is read of it is of the object that is there now.

    Raises:
        NotFound: There is no such object.
        StoreError: ``span`` begins behind its end.
    """
    head = portal.call(client.head, uri, version_id=version_id, encryption=encryption)
    start, end = resolve_range(byte_range(span), head.size, store="s3", key=head.key)
    version_id, etag = version_id or head.version_id, if_match or head.etag

    def open_range(first: int, last: int) -> AsyncReader:
        # All of it is asked for without a range: only so is its checksum told, and verified.
        part = None if (first, last) == (0, head.size) else (first, last)
        return client.open(uri, range=part, version_id=version_id, if_match=etag, encryption=encryption)

    return ObjectReader(RangeReader(portal, head, start, head.size if end is None else end, open_range))
