"""Reading files: into memory, as a stream, an older version of one, and its checksum."""

from __future__ import annotations

import time
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Final, cast

from haulyard.checksums import base64_of, etag_is_md5, hasher
from haulyard.client.arguments import byte_range
from haulyard.errors import IntegrityError, NotFound, PreconditionFailed, S3IntegrityError, SourceChanged
from haulyard.fs.conditions import explained
from haulyard.fs.explaining import no_file
from haulyard.fs.metrics import measured
from haulyard.fs.ranged import Ranges, in_ranges
from haulyard.fs.volume import VolumeCalls
from haulyard.models.body import BUFFERS
from haulyard.stores.conditions import resolve_range

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable

    from haulyard.client.arguments import Range
    from haulyard.models import Checksum, GetOptions, ObjectHead
    from haulyard.models.body import Buffer
    from haulyard.stores.base import ObjectReader

    #: Is called with the bytes that are done, and how many there are in all (-1 where nobody knows).
    Progress = Callable[[int, int], None]

#: How often a file is read anew that is replaced while it is read in ranges.
_ROUNDS: Final = 3


class ReadCalls(VolumeCalls):
    """Read files."""

    @measured
    async def read_file(
        self,
        path: str,
        *,
        range: Range | None = None,  # noqa: A002 -- the name that everybody looks for
        version_id: str = "",
        if_match: str = "",
        checksum: Checksum | None = None,
        progress: Progress | None = None,
    ) -> bytes:
        """Return the content of a file, or of ``range`` of it: all of it of one version.

        Files above ``multipart_threshold`` are read in several ranges at a time. One that is replaced
        meanwhile is read anew. What arrived is verified by the checksum that the store has of it.

        Args:
            path: Of the file.
            range: Bytes ``(start, end)``, ``end`` excluded and None for the end of the file; a negative start
                with the end None means the last bytes.
            version_id: A version instead of the current file.
            if_match: Only if the file has this ETag.
            checksum: What the content must have besides, by any algorithm (``SHA256``, ``MD5`` …).
            progress: Is called with the bytes that arrived and those that there are in all.

        Raises:
            NotFound: There is no such file; the error says so where there is a directory of its name.
            PreconditionFailed: ``if_match`` does not hold; both ETags are in the error.
            IntegrityError: What arrived is not what was stored, or does not have ``checksum``.
            SourceChanged: It was replaced again and again while it was read.
            StoreError: It is larger than ``max_file_size`` (code ``EntityTooLarge``), or ``range`` starts
                behind its end (``InvalidRange``).
            UnsafeName: The path is none of a file.

        Example:
            >>> await provider.read_file("notes/today.txt", range=(0, 5))
            b'hello'
        """
        key = self._volume.file_key(path)
        options = replace(
            self._volume.reading, range=byte_range(range), version_id=version_id, if_match=if_match
        )
        try:
            data, _ = await self._read(path, key, options, progress)
        except NotFound as error:
            raise await no_file(self._volume, error, key) from error.__cause__
        if checksum is not None:
            _verify(data, checksum, path)
        return data

    async def stream_read(
        self,
        path: str,
        *,
        chunk_size: int = 0,
        range: Range | None = None,  # noqa: A002 -- as in `read_file`
        version_id: str = "",
        if_match: str = "",
        progress: Progress | None = None,
    ) -> AsyncIterator[bytes]:
        """Yield the content of a file in pieces, in memory that does not grow with it.

        Files above ``multipart_threshold`` are read ahead, ``file_concurrency`` ranges of ``part_size`` at a
        time. The checksum is verified behind the last piece, so an error may come after everything was given.

        Args:
            path: Of the file.
            chunk_size: Bytes of a piece, fewer only in the last one; 0 for pieces as they arrive.
            range: As in `read_file`.
            version_id: As in `read_file`.
            if_match: As in `read_file`.
            progress: As in `read_file`.

        Raises:
            NotFound: There is no such file.
            PreconditionFailed: ``if_match`` does not hold, or the file was replaced while it was read.
            IntegrityError: What arrived is not what was stored.

        Example:
            >>> async for piece in provider.stream_read("video.mp4"):
            ...     await response.write(piece)
        """
        started = time.monotonic()
        error: BaseException | None = None
        try:
            options = replace(
                self._volume.reading, range=byte_range(range), version_id=version_id, if_match=if_match
            )
            async with await self._opened(self._volume.file_key(path), options) as reader:
                pieces = self._pieces(reader, options, progress)
                async with aclosing(_cut(pieces, chunk_size) if chunk_size else pieces) as cut:
                    async for piece in cut:
                        yield piece
        except GeneratorExit:
            raise
        except BaseException as failure:
            error = failure
            raise
        finally:
            self._meter.done("stream_read", time.monotonic() - started, error)

    async def read_version(self, path: str, version_id: str) -> bytes:
        """Return the content of a version of a file; as `read_file`.

        Raises:
            NotFound: There is no such version of it.
        """
        return await self.read_file(path, version_id=version_id)

    @measured
    async def calculate_checksum(self, content: Buffer | str, algorithm: str = "SHA256") -> str:
        """Return the checksum of ``content``, or of the file at that path, as hexadecimal digits.

        A file is streamed, in memory that does not grow with it.

        Args:
            content: Bytes; or a text, which is a path.
            algorithm: ``SHA256``, ``MD5``, ``SHA1``, ``CRC64NVME``, ``CRC32`` or ``CRC32C``.

        Raises:
            ConfigError: An unknown algorithm.
            NotFound: There is no such file.

        Example:
            >>> await provider.calculate_checksum("notes/today.txt", "MD5")
            'e4d7f1b4ed2e42d15898f4b27b019da4'
        """
        state = hasher(algorithm.upper())
        if isinstance(content, BUFFERS):
            state.update(content)
        else:
            async for piece in self.stream_read(content):
                state.update(piece)
        return state.digest().hex()

    async def _read(
        self, path: str, key: str, options: GetOptions, progress: Progress | None = None
    ) -> tuple[bytes, ObjectHead]:
        """Return a content, all of one version, and what is known of it."""
        volume = self._volume
        for is_last in (False,) * (_ROUNDS - 1) + (True,):
            try:
                async with await volume.store.get(key, self._whole(options)) as reader:
                    return await self._content(path, reader, options, progress), reader.head
            except PreconditionFailed as error:
                if options.if_match:
                    raise await explained(volume, error, key, wanted=options.if_match) from error
                if is_last:
                    raise SourceChanged(
                        f"{path} was replaced while it was read, {_ROUNDS} times",
                        store="s3",
                        operation="read_file",
                        bucket=volume.config.bucket,
                        key=key,
                        hint="read it again once its writer pauses, or read a version of it",
                    ) from error
        raise AssertionError  # the last round returns or raises

    async def _opened(self, key: str, options: GetOptions) -> ObjectReader:
        try:
            return await self._volume.store.get(key, self._whole(options))
        except PreconditionFailed as error:
            raise await explained(self._volume, error, key, wanted=options.if_match) from error
        except NotFound as error:
            raise await no_file(self._volume, error, key) from error.__cause__

    async def _content(
        self, path: str, reader: ObjectReader, options: GetOptions, progress: Progress | None
    ) -> bytes:
        volume = self._volume
        if volume.encrypter is None:
            size = _size(reader)
            volume.check_size(size, path)
            if size <= volume.config.multipart_threshold:
                data = await reader.read()
                self._check_md5(reader, data)
                if progress is not None:
                    progress(size, size)
                return data
        else:
            volume.check_size(volume.described(reader.head, path).size, path)
        return b"".join([piece async for piece in self._pieces(reader, options, progress)])

    async def _pieces(
        self, reader: ObjectReader, options: GetOptions, progress: Progress | None
    ) -> AsyncGenerator[bytes]:
        """Yield a content in pieces, in the clear."""
        volume = self._volume
        encrypter, size = volume.encrypter, _size(reader)
        if encrypter is not None:
            unsealed = encrypter.unseal(reader.head, reader.chunks(), bucket=volume.config.bucket)
            pieces = cast("AsyncGenerator[bytes]", unsealed)
            size = volume.described(reader.head, "").size
            if options.range is not None:
                span = resolve_range(options.range, size, store="s3", key=reader.head.key)
                end = size if span.end is None else span.end
                pieces, size = _part(pieces, span.start, end), end - span.start
        elif size > volume.config.multipart_threshold:
            pieces = in_ranges(volume.store, reader, options, self._cut)
        else:
            pieces = _as_bytes(reader)
        if encrypter is None and (expected := self._md5_of(reader)):
            pieces = _verified(pieces, reader.head, expected)
        async with aclosing(_told(pieces, size, progress)) as told:
            async for piece in told:
                yield piece

    def _md5_of(self, reader: ObjectReader) -> str:
        """Return the MD5 that all of a file must have, in hexadecimal digits, where that was asked for.

        Files of a provider that sends MD5 may have no other checksum; the ETag is theirs if it can be one.
        """
        head = reader.head
        stated = any(each.kind == "FULL_OBJECT" for each in head.checksums)
        is_whole = _size(reader) == head.size
        return (
            head.etag
            if self._volume.algorithm == "MD5" and is_whole and not stated and etag_is_md5(head)
            else ""
        )

    def _check_md5(self, reader: ObjectReader, data: bytes) -> None:
        if expected := self._md5_of(reader):
            state = hasher("MD5")
            state.update(data)
            _compare(state.digest().hex(), expected, reader.head)

    def _whole(self, options: GetOptions) -> GetOptions:
        """Return what is asked of the store: all of what is encrypted, for only the whole is verified."""
        return options if self._volume.encrypter is None else replace(options, range=None)

    @property
    def _cut(self) -> Ranges:
        return Ranges(self._volume.config.part_size, self._volume.config.file_concurrency)


def _size(reader: ObjectReader) -> int:
    end = reader.head.size if reader.range.end is None else reader.range.end
    return end - reader.range.start


async def _as_bytes(reader: ObjectReader) -> AsyncGenerator[bytes]:
    async for chunk in reader.chunks():
        yield bytes(chunk)


async def _told(pieces: AsyncGenerator[bytes], size: int, progress: Progress | None) -> AsyncGenerator[bytes]:
    """Yield the pieces, and say how far they are."""
    done = 0
    async with aclosing(pieces):
        async for piece in pieces:
            if progress is not None:
                done += len(piece)
                progress(done, size)
            yield piece


async def _verified(pieces: AsyncGenerator[bytes], head: ObjectHead, md5: str) -> AsyncGenerator[bytes]:
    """Yield the pieces, and at their end raise where they do not have that MD5."""
    state = hasher("MD5")
    async with aclosing(pieces):
        async for piece in pieces:
            state.update(piece)
            yield piece
    _compare(state.digest().hex(), md5, head)


def _compare(actual: str, md5: str, head: ObjectHead) -> None:
    if actual != md5:
        raise S3IntegrityError(
            f"GetObject {head.key}: it came with MD5 {actual}, the store says {md5}",
            operation="GetObject",
            key=head.key,
            hint="read it again; if it stays so, the object is damaged in the store",
        )


async def _part(pieces: AsyncGenerator[bytes], start: int, end: int) -> AsyncGenerator[bytes]:
    """Yield bytes ``start`` to ``end`` of all; the others are read, for the whole is what is verified."""
    at = 0
    async with aclosing(pieces):
        async for piece in pieces:
            wanted = piece[max(start - at, 0) : max(end - at, 0)]
            at += len(piece)
            if wanted:
                yield wanted


async def _cut(pieces: AsyncGenerator[bytes], size: int) -> AsyncGenerator[bytes]:
    """Yield the same bytes in pieces of ``size``, the last one maybe smaller."""
    rest = bytearray()
    async with aclosing(pieces):
        async for piece in pieces:
            view = memoryview(piece)
            if rest:
                missing = size - len(rest)
                rest += view[:missing]
                view = view[missing:]
                if len(rest) < size:
                    continue
                yield bytes(rest)
                rest = bytearray()
            whole = len(view) - len(view) % size
            for start in range(0, whole, size):
                yield bytes(view[start : start + size])
            rest += view[whole:]
    if rest:
        yield bytes(rest)


def _verify(data: bytes, expected: Checksum, path: str) -> None:
    state = hasher(expected.algorithm)
    state.update(data)
    actual = base64_of(state.digest())
    if actual != expected.value:
        raise IntegrityError(
            f"{path} has {expected.algorithm} {actual}, not {expected.value}",
            store="s3",
            operation="read_file",
            key=path,
            hint="it is another content than was expected, and what the store holds",
        )
