"""Lines out of a file, a pipe or an object, inflated where they are gzip: in pages, in constant memory."""

from __future__ import annotations

import asyncio
import os
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from haulyard.errors import AccessDenied, ConfigError, IntegrityError, NotFound, StoreError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterator

    from haulyard.models.body import Buffer

STDIN: Final = "-"

#: Bytes of a read, and of what is inflated at a time.
_PIECE: Final = 256 * 1024
#: Bytes of a line; only a manifest.json written on one line is longer than some kilobytes.
_MAX_LINE: Final = 16 * 1024**2
_GZIP: Final = b"\x1f\x8b"
#: For zlib: the largest window, in the frame of gzip.
_GZIP_WINDOW: Final = 31


async def file_chunks(path: str) -> AsyncGenerator[bytes]:
    """Yield what is in a local file, or comes out of a pipe; ``-`` is standard input.

    A pipe is waited for, so that a command can be stopped while nothing comes.

    Raises:
        NotFound: There is no such file.
        AccessDenied: It may not be read.
        StoreError: It cannot be read.
    """
    with _translated(path):
        fd = os.dup(0) if path == STDIN else os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        waits = not stat.S_ISREG(os.fstat(fd).st_mode)
        while True:
            if waits:
                waits = await _readable(fd)
            with _translated(path):
                chunk = os.read(fd, _PIECE)
            if not chunk:
                return
            yield chunk
    finally:
        os.close(fd)


async def inflated(chunks: AsyncIterator[Buffer], name: str) -> AsyncGenerator[bytes]:
    """Yield the content of gzip data, of all of its members; anything else as it is.

    A page that inflates to very much is still handed on in pieces of 256 KiB.

    Raises:
        IntegrityError: The gzip data is damaged or cut short.
    """
    head = b""
    async for chunk in chunks:
        head += chunk
        if len(head) >= len(_GZIP):
            break
    if head.startswith(_GZIP):
        async for piece in _gunzipped(head, chunks, name):
            yield piece
        return
    if head:
        yield head
    async for chunk in chunks:
        yield bytes(chunk)


async def line_pages(chunks: AsyncIterator[bytes], name: str) -> AsyncGenerator[list[bytes]]:
    """Yield pages of lines without their line feeds; the last one needs none.

    Raises:
        ConfigError: A line is longer than 16 MiB.
    """
    rest = b""
    async for chunk in chunks:
        lines = (rest + chunk).split(b"\n")
        rest = lines.pop()
        if len(rest) > _MAX_LINE:
            raise ConfigError(f"{name} has a line of more than {_MAX_LINE} bytes", hint="it is no manifest")
        if lines:
            yield lines
    if rest:
        yield [rest]


async def _gunzipped(head: bytes, chunks: AsyncIterator[Buffer], name: str) -> AsyncGenerator[bytes]:
    import zlib

    decoder = zlib.decompressobj(_GZIP_WINDOW)
    data: Buffer = head
    try:
        while True:
            while data:
                if decoder.eof:
                    decoder = zlib.decompressobj(_GZIP_WINDOW)
                if piece := decoder.decompress(data, _PIECE):
                    yield piece
                data = decoder.unused_data if decoder.eof else decoder.unconsumed_tail
            try:
                data = await anext(chunks)
            except StopAsyncIteration:
                break
    except zlib.error as error:
        raise IntegrityError(f"{name} is damaged: {error}", operation="read", key=name) from error
    if not decoder.eof:
        raise IntegrityError(f"{name} is cut short", operation="read", key=name)


async def _readable(fd: int) -> bool:
    """Wait until ``fd`` can be read without blocking; False where nobody can wait for it (``/dev/null``)."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    try:
        loop.add_reader(fd, ready.set)
    except OSError:
        return False
    try:
        await ready.wait()
    finally:
        loop.remove_reader(fd)
    return True


@contextmanager
def _translated(path: str) -> Iterator[None]:
    name = "standard input" if path == STDIN else path
    try:
        yield
    except FileNotFoundError as error:
        raise NotFound(f"{name}: no such file", store="local", operation="read", key=path) from error
    except PermissionError as error:
        raise AccessDenied(f"{name} may not be read", store="local", operation="read", key=path) from error
    except OSError as error:
        raise StoreError(
            f"{name} cannot be read: {error.strerror}", store="local", operation="read", key=path
        ) from error
