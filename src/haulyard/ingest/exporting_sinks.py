"""Where the bytes of a file go that is written from start to end: S3, a local file, or standard output."""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING, BinaryIO, Protocol

from haulyard.client.files import AsyncWriter
from haulyard.errors import AccessDenied, ConfigError, IngestError, NotFound
from haulyard.models import PutOptions
from haulyard.url import LocalPath, S3Url

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from haulyard.client.session import Session
    from haulyard.models.body import Buffer
    from haulyard.url import StdStream


class Sink(Protocol):
    """Takes the bytes of a file, in order."""

    async def write(self, data: Buffer, /) -> object:
        """Take more of them."""
        ...


@asynccontextmanager
async def open_sink(
    end: S3Url | LocalPath | StdStream, session: Session, raw: Callable[[Buffer], Awaitable[None]] | None
) -> AsyncIterator[Sink]:
    """Open what is written; it appears, complete, when the block is left, and not at all after an error.

    ``raw`` takes what goes to standard output, which knows no such thing.

    Raises:
        ConfigError: Standard output, and there is no ``raw``.
        IngestError: It cannot be written.
    """
    if isinstance(end, S3Url):
        async with AsyncWriter(session, str(end), PutOptions()) as writer:
            yield writer
    elif isinstance(end, LocalPath):
        async with _local(end.path) as sink:
            yield sink
    elif raw is None:
        raise ConfigError("- stands for standard output", hint="name a file, or s3://bucket/key")
    else:
        yield _Stream(raw)


class _Stream:
    def __init__(self, raw: Callable[[Buffer], Awaitable[None]]) -> None:
        self._raw = raw

    async def write(self, data: Buffer, /) -> None:
        await self._raw(data)


class _File:
    def __init__(self, path: str, file: BinaryIO) -> None:
        self._path = path
        self._file = file

    async def write(self, data: Buffer, /) -> None:
        with _translated(self._path):
            await asyncio.to_thread(self._file.write, data)


@asynccontextmanager
async def _local(path: str) -> AsyncIterator[_File]:
    directory, name = os.path.split(path)
    # One name for all runs: what a run that was killed has left is written over by the next.
    partial = os.path.join(directory, f".{name}.haul-partial")
    with _translated(path):
        file = open(partial, "wb", buffering=0)  # noqa: SIM115, ASYNC230 -- closed below; one call
    try:
        with file:
            yield _File(path, file)
            with _translated(path):
                await asyncio.to_thread(os.fsync, file.fileno())
        with _translated(path):
            os.replace(partial, path)
    finally:
        with suppress(OSError):
            os.unlink(partial)


@contextmanager
def _translated(path: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise NotFound(
            f"{path}: there is no such directory",
            store="local",
            operation="write",
            key=path,
            hint="make it first",
        ) from None
    except PermissionError:
        raise AccessDenied(f"{path} may not be written", store="local", operation="write", key=path) from None
    except OSError as error:
        raise IngestError(f"{path}: {error.strerror}; nothing of it was kept") from None
