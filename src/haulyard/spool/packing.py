"""Compressed files that are written bit by bit and read up to where they were torn."""

from __future__ import annotations

import zlib
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Protocol

from haulyard.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

COMPRESSIONS: Final = ("gzip", "zstd")
_GZIP: Final = 31
_PIECE: Final = 1 << 16


class Packer(Protocol):
    """One compressed file; what the three return, in this order, is its content."""

    def add(self, data: bytes) -> bytes:
        """Compress."""
        ...

    def settle(self) -> bytes:
        """Return what makes all that was added readable, should nothing follow."""
        ...

    def end(self) -> bytes:
        """Return the end of the file."""
        ...


class Plain:
    """A file that is not compressed."""

    def add(self, data: bytes) -> bytes:
        """Return it as it is."""
        return data

    def settle(self) -> bytes:
        """Return nothing."""
        return b""

    def end(self) -> bytes:
        """Return nothing."""
        return b""


class Gzip:
    """The same content is always the same file: no time, no name."""

    def __init__(self) -> None:
        self._packer = zlib.compressobj(6, zlib.DEFLATED, _GZIP)

    def add(self, data: bytes) -> bytes:
        """Compress."""
        return self._packer.compress(data)

    def settle(self) -> bytes:
        """End a block."""
        return self._packer.flush(zlib.Z_SYNC_FLUSH)

    def end(self) -> bytes:
        """End the file, with its checksum."""
        return self._packer.flush(zlib.Z_FINISH)


class Zstd:
    """Zstandard, level 3, with a checksum."""

    def __init__(self) -> None:
        import zstandard

        self._packer = zstandard.ZstdCompressor(level=3, write_checksum=True).compressobj()
        self._block = zstandard.COMPRESSOBJ_FLUSH_BLOCK

    def add(self, data: bytes) -> bytes:
        """Compress."""
        return self._packer.compress(data)

    def settle(self) -> bytes:
        """End a block."""
        return self._packer.flush(self._block)

    def end(self) -> bytes:
        """End the frame."""
        return self._packer.flush()


def packer(compress: str) -> Packer:
    """Return the packer for ``gzip``, ``zstd`` or ``""``.

    Raises:
        ConfigError: It is none of these, or it is not installed.
    """
    if not compress:
        return Plain()
    if compress == "gzip":
        return Gzip()
    if compress != "zstd":
        raise ConfigError(f"{compress} is no compression", hint=f"one of {', '.join(COMPRESSIONS)}")
    try:
        return Zstd()
    except ImportError:
        raise ConfigError("zstd is not installed", hint="pip install 'haulyard[data]'") from None


def unpacked(path: str, compress: str) -> Iterator[bytes]:
    """Yield the content of a file, up to where it was torn. Raises OSError, ConfigError."""
    decompress, ended = _unpacker(compress)
    done = 0
    with open(path, "rb") as file:
        while piece := file.read(_PIECE):
            try:
                content = decompress(piece)
            except ended:
                yield from _byte_by_byte(path, compress, done)
                return
            done += len(piece)
            if content:
                yield content


def _byte_by_byte(path: str, compress: str, done: int) -> Iterator[bytes]:
    """Yield the content behind ``done`` bytes of the file, where damage is near: with it comes nothing."""
    decompress, ended = _unpacker(compress)
    with open(path, "rb") as file, suppress(*ended):
        while done:
            piece = file.read(min(done, _PIECE))
            done -= len(piece)
            decompress(piece)
        for byte in file.read(_PIECE):
            if content := decompress(bytes((byte,))):
                yield content


def _unpacker(compress: str) -> tuple[Callable[[bytes], bytes], tuple[type[Exception], ...]]:
    if not compress:
        return bytes, ()
    if compress == "gzip":
        return zlib.decompressobj(_GZIP).decompress, (zlib.error, EOFError)
    packer(compress)
    import zstandard

    return zstandard.ZstdDecompressor().decompressobj().decompress, (zstandard.ZstdError, EOFError)
