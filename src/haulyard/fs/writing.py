"""Writing files: from memory or from a stream, each of them whole or not at all."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Unpack

from haulyard.checksums import compute
from haulyard.client.arguments import check_bytes
from haulyard.client.cancelling import cancelled_once
from haulyard.errors import ConfigError, Conflict, IntegrityError, NotFound, PreconditionFailed
from haulyard.events import BytesMoved
from haulyard.fs.conditions import ABSENT, explained, nothing_to_match
from haulyard.fs.metrics import measured
from haulyard.fs.volume import VolumeCalls
from haulyard.stores.fate import TOKEN
from haulyard.transfer.unseekable import UnseekableUpload

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable

    from haulyard.events import Event
    from haulyard.fs.config import FileProperties
    from haulyard.fs.nodes import NodeInfo
    from haulyard.fs.reading import Progress
    from haulyard.fs.volume import Volume
    from haulyard.models import Checksum, PutOptions, PutResult
    from haulyard.models.body import Buffer
    from haulyard.stores.s3 import S3Store
    from haulyard.transfer.unseekable import Fill

#: How often a write is made anew that others wrote in the way of (409), where its content is in memory.
_ROUNDS: Final = 5


class WriteCalls(VolumeCalls):
    """Write files."""

    @measured
    @cancelled_once
    async def write_file(
        self,
        path: str,
        content: Buffer,
        *,
        if_absent: bool = False,
        if_match: str = "",
        checksum: Checksum | None = None,
        progress: Progress | None = None,
        **properties: Unpack[FileProperties],
    ) -> NodeInfo:
        """Write a file: readers see the old one or the new one, never a part of either.

        Content above ``multipart_threshold`` goes in parts, several at a time. All of it carries a checksum
        that the store verifies.

        Args:
            path: Of the file. Directories need not be made.
            content: Bytes, not text.
            if_absent: Create only: of several writers exactly one wins, the others get PreconditionFailed.
            if_match: Replace only the file with this ETag (`NodeInfo.etag`).
            checksum: What ``content`` is known to have, by any algorithm; it goes to the store as well.
            progress: Is called with the bytes that are written and those that there are in all.
            properties: Content type (guessed from the path unless given), metadata, tags …; see
                `FileProperties`.

        Raises:
            PreconditionFailed: A condition does not hold; nothing was written. Both ETags are in the error,
                as ``wanted`` and ``found``.
            Unsupported: The endpoint ignores conditions, or could not be proved to honour them.
            IntegrityError: ``content`` does not have ``checksum``, or was changed on its way.
            StoreError: It is larger than ``max_file_size`` (code ``EntityTooLarge``).
            UnsafeName: The path is none of a file.

        Example:
            >>> node = await provider.write_file("notes/today.txt", b"hello, world")
            >>> node.size, node.content_type
            (12, 'text/plain')
        """
        volume = self._volume
        key = volume.file_key(path)
        check_bytes(content)
        options = volume.put_options(key, properties)
        if checksum is not None:
            _verify(content, checksum, path)
            # Of ciphertext nobody but the encrypter knows one.
            options = options if volume.encrypter else replace(options, checksum=checksum)
        condition = _condition(if_match, if_absent=if_absent)
        return await self._write(key, content, options, condition, progress)

    async def _write(
        self,
        key: str,
        content: Buffer,
        options: PutOptions,
        condition: str = "",
        progress: Progress | None = None,
    ) -> NodeInfo:
        """Write a content; ``condition`` is an ETag, `ABSENT` or ``""``."""
        volume = self._volume
        size = memoryview(content).nbytes
        volume.check_size(size, key[len(volume.prefix) :])
        return await _Writer(volume, key, options, condition, progress, size).write(content)

    @measured
    @cancelled_once
    async def stream_write(
        self,
        path: str,
        stream: AsyncIterable[Buffer],
        *,
        if_absent: bool = False,
        if_match: str = "",
        progress: Progress | None = None,
        **properties: Unpack[FileProperties],
    ) -> NodeInfo:
        r"""Write a file from a stream of any length, in memory that does not grow with it (64 MiB of parts).

        Where the stream raises nothing appears, and the upload is given up.

        Args:
            path: Of the file.
            stream: Its bytes, in pieces of any size; `SyncS3Provider` takes a plain iterable.
            if_absent: As in `write_file`.
            if_match: As in `write_file`.
            progress: Is called with the bytes that are written, and how many there are in all: -1 until the
                end of the stream was seen.
            properties: As in `write_file`.

        Raises:
            PreconditionFailed: As in `write_file`, but only when all of it was sent.
            Conflict: Somebody else was writing the file at that moment.
            StoreError: It is larger than ``max_file_size`` (code ``EntityTooLarge``).
            ConfigError: It is longer than 10,000 parts that begin with ``part_size``.

        Example:
            >>> async def numbers():
            ...     for number in range(1_000_000):
            ...         yield b"%d\n" % number
            >>> (await provider.stream_write("numbers.txt", numbers())).size
            6888890
        """
        volume = self._volume
        key = volume.file_key(path)
        options = volume.put_options(key, properties)
        writer = _Writer(volume, key, options, _condition(if_match, if_absent=if_absent), progress, -1)
        return await writer.stream(stream)


class _Writer:
    """One file being written. ``condition`` is an ETag, `ABSENT` or ``""``; ``size`` -1 where unknown."""

    def __init__(
        self,
        volume: Volume,
        key: str,
        options: PutOptions,
        condition: str,
        progress: Progress | None,
        size: int,
    ) -> None:
        self._volume = volume
        self._key = key
        self._path = key[len(volume.prefix) :]
        self._options = options
        self._condition = condition
        self._progress = progress
        self._size = size
        self._moved = 0

    async def write(self, content: Buffer) -> NodeInfo:
        """Write what is in memory, anew where others wrote in its way."""
        encrypter = self._volume.encrypter
        options, body = self._options, content
        if encrypter is not None:
            sealed = await encrypter.seal_bytes(content)
            body = sealed.body
            options = replace(options, metadata={**options.metadata, **sealed.metadata})
        for is_last in (False,) * (_ROUNDS - 1) + (True,):
            try:
                return await self._settled(lambda store, put: self._send(store, body, put), options)
            except Conflict:
                if is_last:
                    raise
        raise AssertionError  # the last round returns or raises

    async def stream(self, stream: AsyncIterable[Buffer]) -> NodeInfo:
        """Write what comes, once."""
        encrypter = self._volume.encrypter
        options, pieces = self._options, self._counted(stream)
        if encrypter is not None:
            sealed = await encrypter.seal(pieces)
            pieces = sealed.chunks
            options = replace(options, metadata={**options.metadata, **sealed.metadata})
        return await self._settled(lambda store, put: self._upload(store, _filled_by(pieces), put), options)

    async def _settled(
        self, send: Callable[[S3Store, PutOptions], Awaitable[PutResult]], options: PutOptions
    ) -> NodeInfo:
        """Send under the condition, and say what was written; the cache forgets what was before."""
        volume, condition = self._volume, self._condition
        store = volume.store
        put = options
        if condition:
            store = await volume.conditional("put")
            # When an answer gets lost, only a token tells whose write it was: others may write the same.
            metadata = {**options.metadata, TOKEN: uuid.uuid4().hex}
            absent = condition == ABSENT
            put = replace(
                options,
                metadata=metadata,
                if_none_match=ABSENT if absent else "",
                if_match="" if absent else condition,
            )
        with volume.cache.writing(self._path):
            try:
                result = await send(store, put)
            except PreconditionFailed as error:
                if not condition:
                    raise
                raise await explained(volume, error, self._key, wanted=condition) from error
            except NotFound as error:
                failed = nothing_to_match(error, self._key, wanted=condition) if put.if_match else None
                if failed is None:
                    raise
                raise failed from error
        return volume.written(result, self._path, self._size, self._options)

    async def _send(self, store: S3Store, body: Buffer, put: PutOptions) -> PutResult:
        self._moved = 0
        view = memoryview(body).cast("B")
        if view.nbytes > self._volume.config.multipart_threshold:
            return await self._upload(store, _filled_from(view), put)
        if put.checksum is None and self._volume.algorithm == "MD5":
            put = replace(put, checksum=compute("MD5", body))
        result = await store.put(self._key, body, put)
        if self._progress is not None:
            self._progress(self._size, self._size)
        return result

    async def _upload(self, store: S3Store, fill: Fill, put: PutOptions) -> PutResult:
        volume = self._volume
        return await UnseekableUpload(
            fill,
            store,
            self._key,
            replace(put, checksum=None),
            part_size=volume.config.part_size,
            algorithm=volume.algorithm,
            emit=self._hear,
            name=f"{store.name}/{self._key}",
        ).run()

    def _hear(self, event: Event) -> None:
        if isinstance(event, BytesMoved) and self._progress is not None:
            self._moved += event.size
            moved = self._moved if self._size < 0 else min(self._moved, self._size)
            self._progress(moved, -1 if self._size < 0 else self._size)
        self._volume.emit(event)

    async def _counted(self, stream: AsyncIterable[Buffer]) -> AsyncIterator[Buffer]:
        """Yield what comes, while the file is not too large; its size is known at the end."""
        seen = 0
        async for piece in stream:
            check_bytes(piece)
            seen += memoryview(piece).nbytes
            self._volume.check_size(seen, self._path)
            yield piece
        self._size = seen


def _condition(if_match: str, *, if_absent: bool) -> str:
    if if_match and if_absent:
        raise ConfigError("if_match and if_absent contradict each other", hint="give one of them")
    return ABSENT if if_absent else if_match


def _filled_from(view: memoryview) -> Fill:
    """Return what fills buffers from memory."""
    at = 0

    async def fill(into: memoryview) -> int:
        nonlocal at
        piece = view[at : at + len(into)]
        into[: len(piece)] = piece
        at += len(piece)
        return len(piece)

    return fill


def _filled_by(pieces: AsyncIterator[Buffer]) -> Fill:
    """Return what fills buffers from a stream."""
    rest = memoryview(b"")

    async def fill(into: memoryview) -> int:
        nonlocal rest
        at = 0
        while at < len(into):
            if not rest:
                piece = await anext(pieces, None)
                if piece is None:
                    break
                rest = memoryview(piece).cast("B")
                continue
            taken = rest[: len(into) - at]
            into[at : at + len(taken)] = taken
            at += len(taken)
            rest = rest[len(taken) :]
        return at

    return fill


def _verify(content: Buffer, expected: Checksum, path: str) -> None:
    actual = compute(expected.algorithm, content)
    if actual.value != expected.value:
        raise IntegrityError(
            f"the content for {path} has {actual.algorithm} {actual.value}, not {expected.value}; "
            "nothing was written",
            store="s3",
            operation="write_file",
            key=path,
            hint="it was changed before it came here",
        )
