"""A large file in ranges, several of them under way at a time and all of one version of it.

Each range carries If-Match. The first comes from the answer that told how large the file is, so that finding
out costs no request. What arrives is verified as a whole.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import aclosing
from typing import TYPE_CHECKING, NamedTuple, cast

from haulyard.checksums import ALGORITHMS, checksum_of, hasher, supports_full_object
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
    """Yield the bytes of ``reader.range`` in order as they arrived, while the next ranges are being read.

    Takes ``reader`` over and closes it. Memory: ``cut.ahead`` ranges of ``cut.size``, the one that is being
    yielded among them.

    Raises:
        PreconditionFailed: The file was replaced meanwhile.
        IntegrityError: All of it has another checksum than the store says; raised after the last piece.
    """
    head, span = reader.head, reader.range
    end = head.size if span.end is None else span.end
    check = _Check(head, whole=span.start == 0 and end == head.size)
    starts = iter(range(span.start, end, cut.size))
    ranges: deque[asyncio.Task[deque[bytes]]] = deque()

    async def read(wanted: ByteRange) -> deque[bytes]:
        if wanted.start == span.start:
            return await _first(reader, (wanted.end or 0) - wanted.start)
        asked = GetOptions(
            range=wanted,
            if_match=head.etag,
            version_id=options.version_id,
            encryption=options.encryption,
            want_checksum=False,
        )
        async with await store.get(head.key, asked) as other:
            refuse_another(head, other.head)
            # Copied at once and not joined: a view of a chunk holds the transport's buffer, which is larger.
            return deque([bytes(chunk) async for chunk in other.chunks()])

    def begin() -> None:
        start = next(starts, None)
        if start is not None:
            wanted = ByteRange(start, min(start + cut.size, end))
            ranges.append(asyncio.create_task(read(wanted)))

    try:
        for _ in range(cut.ahead):
            begin()
        while ranges:
            chunks = await ranges[0]
            ranges.popleft()
            while chunks:
                chunk = chunks.popleft()
                check.add(chunk)
                yield chunk
            begin()
        check.verify()
    finally:
        await _give_up(ranges)
        await reader.close()


async def _give_up(ranges: deque[asyncio.Task[deque[bytes]]]) -> None:
    for task in ranges:
        task.cancel()
    if ranges:
        await asyncio.wait(ranges)
    for task in ranges:
        if not task.cancelled():
            # Looked at, so that asyncio does not complain that nobody did.
            task.exception()


async def _first(reader: ObjectReader, size: int) -> deque[bytes]:
    """Return the beginning of an answer, and give up the rest of it."""
    found: deque[bytes] = deque()
    async with aclosing(cast("AsyncGenerator[Buffer]", reader.chunks())) as chunks:
        async for chunk in chunks:
            found.append(bytes(memoryview(chunk)[:size]))
            size -= len(found[-1])
            if not size:
                break
    return found


class _Check:
    """The checksum of bytes that come in order, and what the store says that it is."""

    def __init__(self, head: ObjectHead, *, whole: bool) -> None:
        self._head = head
        self._expected = _stated(head) if whole else None
        self._state = hasher(self._expected.algorithm) if self._expected else None

    def add(self, data: bytes) -> None:
        """Count the next bytes."""
        if self._state is not None:
            self._state.update(data)

    def verify(self) -> None:
        """Raise IntegrityError where all bytes together have another checksum."""
        if self._expected is None or self._state is None:
            return
        actual = checksum_of(self._expected.algorithm, self._state.digest())
        if actual.value != self._expected.value:
            raise S3IntegrityError(
                f"GetObject {self._head.key}: it came with {actual.algorithm} {actual.value}, the store says "
                f"{self._expected.value}",
                operation="GetObject",
                key=self._head.key,
                hint="read it again; if it stays so, the object is damaged in the store",
            )


def _stated(head: ObjectHead) -> Checksum | None:
    """Return what the whole can be verified by, the fastest first; None where there is no such thing."""
    stated = [each for each in head.checksums if each.kind == "FULL_OBJECT" and each.algorithm in ALGORITHMS]
    stated.sort(key=lambda each: not supports_full_object(each.algorithm))
    return stated[0] if stated else None
