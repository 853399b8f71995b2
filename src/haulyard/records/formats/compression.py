"""Compressed text, inflated in small pieces, and no further than it is worth."""

from __future__ import annotations

import bz2
import zlib
from typing import TYPE_CHECKING, Final, Protocol

from haulyard.errors import ConfigError, RecordError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from haulyard.records.model import Compression

#: Bytes that are inflated at a time; of zstd up to 1 MiB.
_PIECE: Final = 256 * 1024
#: Of zstd so many bytes are given at a time: a block of 4 may inflate to 128 KiB, and the library, which has
#: no limit of its own, hands out all that its input gives.
_ZSTD_BYTES: Final = 32
#: For zlib: the largest window, in the frame of gzip.
_GZIP_WINDOW: Final = 31
#: Bytes that may come out of nothing, and how many more for each that is read: gzip reaches 1,032.
FREE: Final = 64 * 1024**2
RATIO: Final = 1000


class _Member(Protocol):
    """One gzip member, zstd frame or bzip2 stream being inflated; ``rest`` is input that it did not take."""

    ended: bool
    rest: bytes

    def inflate(self, data: bytes) -> bytes:
        """Return a piece of output; what was not needed for it is in ``rest``."""
        ...


class Inflater:
    """Inflates an object: all its members, in pieces of at most 1 MiB.

    ``name`` is for messages. ``ratio`` bounds what comes out for a byte that goes in, beyond ``free`` bytes.
    """

    def __init__(self, compression: Compression, name: str, *, free: int = FREE, ratio: int = RATIO) -> None:
        self._make = _MEMBERS[compression]
        self._name = name
        self._free = free
        self._ratio = ratio
        self._taken = 0
        self._given = 0
        self._member: _Member | None = None
        self._members = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield what ``data`` inflates to.

        Raises:
            RecordError: It is damaged, or inflates to more than anyone can have meant.
            ConfigError: zstd without its library.
        """
        self._taken += len(data)
        while data:
            if self._member is None:
                if self._members and not (data := data.lstrip(b"\0")):
                    return  # tapes and tar pad with zeros
                self._member = self._make()
                self._members += 1
            piece, data = self._inflate(self._member, data)
            if piece:
                yield piece

    def finish(self) -> None:
        """Raise RecordError where the last member is not complete."""
        if self._member is not None:
            raise RecordError(
                f"{self._name} is cut short: its compressed data ends behind byte {self._given} of its text",
                hint="upload it again",
            )

    def _inflate(self, member: _Member, data: bytes) -> tuple[bytes, bytes]:
        try:
            piece = member.inflate(data)
        except _damages() as error:
            raise RecordError(
                f"{self._name} is damaged behind byte {self._given} of its text: {error}",
                hint="upload it again",
            ) from error
        if member.ended:
            self._member = None
        self._given += len(piece)
        if self._given > self._free + self._ratio * self._taken:
            raise RecordError(
                f"{self._name} inflates to more than {self._ratio} times its size: "
                f"{self._given} bytes of text out of {self._taken}",
                hint="it was made to fill memory or disks; if not, inflate it first",
            )
        return piece, member.rest


class _Gzip:
    def __init__(self) -> None:
        self._decoder = zlib.decompressobj(_GZIP_WINDOW)
        self.ended = False
        self.rest = b""

    def inflate(self, data: bytes) -> bytes:
        piece = self._decoder.decompress(data, _PIECE)
        self.ended = self._decoder.eof
        self.rest = self._decoder.unused_data if self.ended else self._decoder.unconsumed_tail
        return piece


class _Bzip2:
    def __init__(self) -> None:
        self._decoder = bz2.BZ2Decompressor()
        self._given = b""
        self.ended = False
        self.rest = b""

    def inflate(self, data: bytes) -> bytes:
        # It keeps what it did not need; the same bytes must not be given twice.
        new = b"" if data is self._given and not self._decoder.needs_input else data
        piece = self._decoder.decompress(new, _PIECE)
        self.ended = self._decoder.eof
        self.rest = self._decoder.unused_data
        if not self.ended and not self._decoder.needs_input:
            self._given = self.rest = data
        return piece


class _Zstd:
    def __init__(self) -> None:
        try:
            import zstandard
        except ImportError:
            raise ConfigError(
                "zstd needs the library zstandard, which is not installed",
                hint="pip install 'haulyard[data]'",
            ) from None
        self._decoder = zstandard.ZstdDecompressor().decompressobj()
        self.ended = False
        self.rest = b""

    def inflate(self, data: bytes) -> bytes:
        pieces = []
        size = at = 0
        while at < len(data) and not self._decoder.eof and size < _PIECE:
            piece = self._decoder.decompress(data[at : at + _ZSTD_BYTES])
            at += _ZSTD_BYTES
            size += len(piece)
            pieces.append(piece)
        self.ended = self._decoder.eof
        self.rest = self._decoder.unused_data + data[at:]
        return b"".join(pieces)


_MEMBERS: Final[dict[str, Callable[[], _Member]]] = {"gzip": _Gzip, "bz2": _Bzip2, "zstd": _Zstd}


def _damages() -> tuple[type[Exception], ...]:
    """Return what the libraries raise for damaged data; zstandard's error only where it is installed."""
    try:
        import zstandard
    except ImportError:
        return (zlib.error, OSError, ValueError, EOFError)
    return (zlib.error, OSError, ValueError, EOFError, zstandard.ZstdError)
