"""A large file in ranges, several of them under way at a time and all of one version of it.

Each range carries If-Match. The first comes from the answer that told how large the file is, so that finding
out costs no request. What arrives is verified as a whole: by the checksums of the ranges where those combine,
else by reading over all of it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import aclosing
from typing import TYPE_CHECKING, NamedTuple, cast

from haulyard.checksums import ALGORITHMS, checksum_of, combine, hasher, supports_full_object
from haulyard.errors import S3IntegrityError
from haulyard.models import ByteRange, Checksum, GetOptions
from haulyard.transfer.download import refuse_another

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from haulyard.models import ObjectHead
    from haulyard.models.body import Buffer
    from haulyard.stores.base import ObjectReader, Store


class Ranges(NamedTuple):
    """How a file is cut: pieces of ``size`` bytes, ``ahead`` of them under way."""

    size: int
    ahead: int


async def in_ranges(
    store: Store, reader: ObjectReader, options: GetOptions, cut: Ranges
) -> AsyncGenerator[bytes]:
    """Yield the bytes of ``reader.range`` in order, each piece while the next ones are being read.

    Takes ``reader`` over and closes it. Memory: ``cut.ahead`` pieces of ``cut.size``, and the one yielded.

    Raises:
        PreconditionFailed: The file was replaced meanwhile.
        IntegrityError: All of it has another checksum than the store says; raised after the last piece.
    """
    head, span = reader.head, reader.range
    end = head.size if span.end is None else span.end
    check = _Check(head, whole=span.start == 0 and end == head.size)
    starts = iter(range(span.start, end, cut.size))
    pieces: deque[asyncio.Task[bytes]] = deque()

    async def read(piece: ByteRange) -> bytes:
        if piece.start == span.start:
            return await _first(reader, (piece.end or 0) - piece.start)
        asked = GetOptions(
            range=piece,
            if_match=head.etag,
            version_id=options.version_id,
            encryption=options.encryption,
            want_checksum=False,
        )
        async with await store.get(head.key, asked) as other:
            refuse_another(head, other.head)
            return await other.read()

    def begin() -> None:
        start = next(starts, None)
        if start is not None:
            piece = ByteRange(start, min(start + cut.size, end))
            pieces.append(asyncio.create_task(read(piece)))

    try:
        for _ in range(cut.ahead):
            begin()
        while pieces:
            data = await pieces[0]
            pieces.popleft()
            begin()
            check.add(data)
            yield data
        check.verify()
    finally:
        await _give_up(pieces)
        await reader.close()


async def _give_up(pieces: deque[asyncio.Task[bytes]]) -> None:
    for task in pieces:
        task.cancel()
    if pieces:
        await asyncio.wait(pieces)
    for task in pieces:
        if not task.cancelled():
            # Looked at, so that asyncio does not complain that nobody did.
            task.exception()


async def _first(reader: ObjectReader, size: int) -> bytes:
    """Return the beginning of an answer, and give up the rest of it."""
    data = bytearray()
    async with aclosing(cast("AsyncGenerator[Buffer]", reader.chunks())) as chunks:
        async for chunk in chunks:
            data += chunk
            if len(data) >= size:
                break
    return bytes(memoryview(data)[:size])


class _Check:
    """The checksum of pieces that come in order, and what the store says that it is."""

    def __init__(self, head: ObjectHead, *, whole: bool) -> None:
        self._head = head
        self._expected = _stated(head) if whole else None
        algorithm = self._expected.algorithm if self._expected else ""
        self._combines = supports_full_object(algorithm)
        self._parts: list[tuple[bytes, int]] = []
        self._state = hasher(algorithm) if self._expected and not self._combines else None

    def add(self, data: bytes) -> None:
        """Count the next piece."""
        if self._state is not None:
            self._state.update(data)
        elif self._expected is not None:
            state = hasher(self._expected.algorithm)
            state.update(data)
            self._parts.append((state.digest(), len(data)))

    def verify(self) -> None:
        """Raise IntegrityError where all pieces together have another checksum."""
        expected = self._expected
        if expected is None:
            return
        if self._state is not None:
            actual = checksum_of(expected.algorithm, self._state.digest())
        else:
            actual = combine(expected.algorithm, self._parts)
        if actual.value != expected.value:
            raise S3IntegrityError(
                f"GetObject {self._head.key}: it came with {actual.algorithm} {actual.value}, the store says "
                f"{expected.value}",
                operation="GetObject",
                key=self._head.key,
                hint="read it again; if it stays so, the object is damaged in the store",
            )


def _stated(head: ObjectHead) -> Checksum | None:
    """Return what the whole can be verified by, the fastest first; None where there is no such thing."""
    stated = [each for each in head.checksums if each.kind == "FULL_OBJECT" and each.algorithm in ALGORITHMS]
    stated.sort(key=lambda each: not supports_full_object(each.algorithm))
    return stated[0] if stated else None
