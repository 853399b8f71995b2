"""Plaintext, once it is verified: the ciphertext waits where nobody reads it, then any part is decrypted.

What waits is ciphertext, so that no plaintext touches the disk: small ones in memory, others in a file that
has no name from the start and ends with the process.
"""

from __future__ import annotations

import os
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING, Self

from anyio import to_thread

from haulyard.errors import StoreError
from haulyard.fs.encryption.envelope import refusal
from haulyard.fs.encryption.suites import TAG_BYTES, ContentKey, Opening, decrypt_at, open_at_once

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator

    from haulyard.models import ObjectHead
    from haulyard.models.body import Buffer

#: Bytes that are encrypted or decrypted, and given, at a time.
PIECE = 256 * 1024
_CHANGED = "its bytes are not those that were written"
#: Bytes that go to the file, or come from it, at a time: each needs a thread.
_BATCH = 1024 * 1024


class _Waiting:
    """The ciphertext of one object while it is verified, and afterwards for reading in any order."""

    def __init__(self, size: int, memory: int, directory: str) -> None:
        self._in_memory = size <= memory
        # Filled again and again: fresh memory for each batch takes longer than encrypting it.
        self._held = bytearray(size if self._in_memory else _BATCH)
        self._filled = 0
        self._directory = directory or None
        self._file: IO[bytes] | None = None
        self._reading = 0
        self._is_closed = False

    async def add(self, chunk: memoryview) -> None:
        while chunk.nbytes:
            room = len(self._held) - self._filled
            if not room:
                await self.flush()
                continue
            taken = chunk[:room]
            self._held[self._filled : self._filled + taken.nbytes] = taken
            self._filled += taken.nbytes
            chunk = chunk[room:]

    async def flush(self) -> None:
        """Write what is held; only in memory there is nothing to do."""
        if self._in_memory or not self._filled:
            return
        filled, self._filled = self._filled, 0
        # A thread is awaited to its end also where the task is cancelled: closing the file under it would
        # let it write to whatever has the descriptor next.
        await to_thread.run_sync(self._write, memoryview(self._held)[:filled])

    async def read_into(self, place: memoryview, start: int) -> None:
        """Fill ``place`` with what begins at ``start``, which is there."""
        if self._is_closed:
            raise ValueError("the plaintext is closed")
        if self._file is None:
            place[:] = memoryview(self._held)[start : start + place.nbytes]
            return
        self._reading += 1
        try:
            await to_thread.run_sync(_pread_into, self._file.fileno(), place, start)
        finally:
            self._reading -= 1
            self._let_go()

    def close(self) -> None:
        self._is_closed = True
        self._held = bytearray()
        self._let_go()

    def _let_go(self) -> None:
        """Close the file when nobody reads it any more."""
        if self._is_closed and not self._reading and self._file is not None:
            self._file.close()

    def _write(self, data: memoryview) -> None:
        try:
            if self._file is None:
                self._file = TemporaryFile(dir=self._directory, prefix="haulyard-", buffering=0)  # noqa: SIM115 -- open until `close`
            while data.nbytes:
                data = data[self._file.write(data) :]
        except OSError as error:
            raise StoreError(
                f"no room for ciphertext that waits to be verified: {error.strerror or error}",
                store="local",
                operation="decrypt",
                hint="give spool_dir a directory with room for the whole object",
            ) from error


class Plaintext:
    """A verified object, of which any range can be read. Use it as an async context manager.

    ``size`` is in bytes. Reads may run at the same time.
    """

    def __init__(self, key: ContentKey, size: int, waiting: _Waiting) -> None:
        self.size = size
        self._key = key
        self._waiting = waiting

    async def read(self, start: int = 0, end: int | None = None) -> bytes:
        """Return bytes ``start`` up to, but not including, ``end``; cut at the end of the object.

        Raises:
            ValueError: It is closed, or ``start`` is negative.
        """
        return b"".join([piece async for piece in self.chunks(start, end)])

    async def chunks(self, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """Yield the same in pieces of at most 256 KiB. Raises as `read`."""
        if start < 0:
            raise ValueError("start is negative")
        last = self.size if end is None else min(end, self.size)
        batch = memoryview(bytearray(min(_BATCH, max(last - start, 0))))
        for at in range(start, last, _BATCH):
            found = batch[: last - at]
            await self._waiting.read_into(found, at)
            for inner in range(0, found.nbytes, PIECE):
                yield decrypt_at(self._key, at + inner, found[inner : inner + PIECE])

    async def close(self) -> None:
        """Let go of what waits in memory or on the disk; closing twice is harmless."""
        self._waiting.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()


async def verified(
    key: ContentKey,
    head: ObjectHead,
    chunks: AsyncIterable[Buffer],
    bucket: str,
    *,
    memory: int,
    directory: str,
) -> Plaintext:
    """Return the plaintext of a whole ciphertext, once its tag is right.

    Raises:
        S3IntegrityError: The tag is wrong, or fewer or more bytes come than the object has.
        StoreError: There is no room for what waits.
    """
    waiting = _Waiting(head.size, memory, directory)
    try:
        await _receive(waiting, key, head, chunks, bucket)
    except BaseException:
        waiting.close()
        raise
    return Plaintext(key, head.size - TAG_BYTES, waiting)


async def _receive(
    waiting: _Waiting, key: ContentKey, head: ObjectHead, chunks: AsyncIterable[Buffer], bucket: str
) -> None:
    tag = _Tail()
    opening = Opening(key)
    # What comes out is looked at by nobody: only the tag counts here.
    unseen = memoryview(bytearray(PIECE + TAG_BYTES))
    async for content in tag.before(chunks, head, bucket):
        for start in range(0, len(content), PIECE):
            opening.update_into(content[start : start + PIECE], unseen)
        await waiting.add(content)
    await waiting.flush()
    if not opening.verify(tag.value):
        raise refusal(head, bucket, _CHANGED)


async def verified_at_once(
    key: ContentKey, head: ObjectHead, chunks: AsyncIterable[Buffer], bucket: str
) -> bytes:
    """Return the plaintext of a ciphertext that is small enough for one piece. Raises as `verified`."""
    held = bytearray()
    async for chunk in chunks:
        held += chunk
        if len(held) > head.size:
            break
    _check_length(len(held), head, bucket)
    plaintext = open_at_once(key, held)
    if plaintext is None:
        raise refusal(head, bucket, _CHANGED)
    return plaintext


async def release_early(
    key: ContentKey, head: ObjectHead, chunks: AsyncIterable[Buffer], bucket: str
) -> AsyncIterator[bytes]:
    """Yield plaintext as it is decrypted, and only at the end say whether it can be trusted.

    Raises:
        S3IntegrityError: As `verified`, when everything has been given.
    """
    tag = _Tail()
    opening = Opening(key)
    async for content in tag.before(chunks, head, bucket):
        for start in range(0, len(content), PIECE):
            yield opening.update(content[start : start + PIECE])
    if not opening.verify(tag.value):
        raise refusal(
            head,
            bucket,
            _CHANGED,
            "delayed_auth was asked for: throw away what was read of it",
        )


class _Tail:
    """Parts a ciphertext from the tag behind it, and counts: a cut object is named as such."""

    def __init__(self) -> None:
        self.value = b""

    async def before(
        self, chunks: AsyncIterable[Buffer], head: ObjectHead, bucket: str
    ) -> AsyncIterator[memoryview]:
        left = head.size - TAG_BYTES
        tag = bytearray()
        seen = 0
        async for chunk in chunks:
            view = memoryview(chunk).cast("B")
            seen += view.nbytes
            if seen > head.size:
                break
            content, rest = view[:left], view[left:]
            left -= content.nbytes
            tag += rest
            if content.nbytes:
                yield content
        _check_length(seen, head, bucket)
        self.value = bytes(tag)


def _check_length(seen: int, head: ObjectHead, bucket: str) -> None:
    if seen != head.size:
        more = "more than its" if seen > head.size else f"{seen} of its"
        raise refusal(head, bucket, f"{more} {head.size} bytes came")


def _pread_into(descriptor: int, place: memoryview, offset: int) -> None:
    while place.nbytes:
        count = os.preadv(descriptor, [place], offset)
        if not count:
            raise StoreError("the file with waiting ciphertext was cut", store="local", operation="decrypt")
        place, offset = place[count:], offset + count
