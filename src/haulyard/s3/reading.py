"""The body of an object on its way in: counted, verified, and resumed where it breaks off.

A connection that dies in the middle of a body is no reason to begin again, nor to hand out a short one: the
rest is asked for by range, bound to the same object. Sources: "Downloading objects", range requests; RFC
9110, section 13.1.1 (If-Match) and 14.4 (Content-Range).
"""

from __future__ import annotations

import asyncio
import random as randomness
from typing import TYPE_CHECKING, Final, Self

from haulyard.checksums import checksum_of, compute, hasher
from haulyard.errors import S3IntegrityError, S3PreconditionFailed, TransportError
from haulyard.models import ByteRange, GetOptions
from haulyard.pacing.backoff import full_jitter
from haulyard.s3.faults import transport_error
from haulyard.s3.headers import unquote_etag
from haulyard.s3.objects import check_range, get_object

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from haulyard.models import Checksum, ObjectHead
    from haulyard.models.body import Buffer
    from haulyard.s3.request import Response, Send

MAX_FRUITLESS: Final = 5
"""Resumptions in a row that may bring nothing; each byte that arrives starts the count anew."""

_BASE_DELAY: Final = 0.1
"""Seconds; that of `haulyard.s3.layers.retry`, whose attempts are inside each resumption."""

_IN_ONE: Final = 8 * 1024 * 1024
"""Bytes up to which a body is read in one await; larger ones are worth resuming where they broke off."""

#: What we can verify a body by, the fastest first.
_VERIFIABLE: Final = ("CRC64NVME", "CRC32C", "CRC32", "SHA1", "SHA256")


class Resumption:
    """How a body that broke off goes on; one for all bodies of a client.

    ``sleep`` takes seconds, ``random`` draws from 0 up to 1.
    """

    def __init__(
        self,
        send: Send,
        *,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        random: Callable[[], float] = randomness.random,
    ) -> None:
        self._send = send
        self._sleep = sleep
        self._random = random

    async def __call__(
        self, bucket: str, head: ObjectHead, options: GetOptions, rest: ByteRange, fruitless: int
    ) -> Response:
        """Return the answer that holds ``rest`` of the same object.

        Raises:
            S3PreconditionFailed: the object was replaced.
            S3IntegrityError: the store answers with another range.
        """
        await self._sleep(full_jitter(fruitless, _BASE_DELAY, random=self._random))
        request = get_object(bucket, head.key, _same_object(head, options, rest))
        response = await self._send(request)
        try:
            _, _, total = check_range(rest, response.status, response.headers)
            _check_same(bucket, head, total, response)
        except BaseException:
            await response.close()
            raise
        return response


class S3Reader:
    """An object (or a range of it) of S3 being read; see `haulyard.stores.base.ObjectReader`."""

    __slots__ = (
        "_answer",
        "_at",
        "_bucket",
        "_end",
        "_expected",
        "_fruitless",
        "_options",
        "_resume",
        "head",
        "range",
    )

    def __init__(
        self,
        bucket: str,
        head: ObjectHead,
        span: ByteRange,
        answer: Response,
        options: GetOptions,
        resume: Resumption,
        expected: Checksum | None,
    ) -> None:
        self.head = head
        self.range = span
        self._bucket = bucket
        self._answer = answer
        self._options = options
        self._resume = resume
        #: What all bytes of ``range`` together must have.
        self._expected = expected
        self._at = span.start
        self._end = head.size if span.end is None else span.end
        self._fruitless = 0

    async def read(self) -> bytes:
        """Return all of it, verified."""
        size = self._end - self._at
        if size <= _IN_ONE and self._at == self.range.start:
            try:
                data = await self._answer.read()
            except TransportError as error:
                await self._go_on(error)
            else:
                if len(data) == size:
                    if self._expected is not None:
                        self._verify(compute(self._expected.algorithm, data))
                    self._at = self._end
                    return data
                self._refuse_excess(len(data) - size)
                await self._go_on(_cut_short())
        return b"".join([chunk async for chunk in self.chunks()])

    async def chunks(self) -> AsyncIterator[Buffer]:
        """Yield the bytes in order; the checksum is verified after the last of them."""
        expected = self._expected if self._at == self.range.start else None
        state = hasher(expected.algorithm) if expected else None
        try:
            while self._at < self._end:
                try:
                    async for chunk in self._answer.chunks():
                        self._at += len(chunk)
                        self._refuse_excess(self._at - self._end)
                        self._fruitless = 0
                        if state is not None:
                            state.update(chunk)
                        yield chunk
                    if self._at < self._end:
                        await self._go_on(_cut_short())
                except TransportError as error:
                    # A connection that breaks behind the last byte has brought all of it.
                    if self._at < self._end:
                        await self._go_on(error)
            if state is not None and expected is not None:
                self._verify(checksum_of(expected.algorithm, state.digest()))
        finally:
            await self._answer.close()

    async def close(self) -> None:
        """Give up the rest."""
        await self._answer.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._answer.close()

    async def _go_on(self, error: TransportError) -> None:
        """Replace the answer that broke off by one that holds the rest."""
        await self._answer.close()
        self._fruitless += 1
        if self._fruitless > MAX_FRUITLESS:
            request = get_object(self._bucket, self.head.key, self._options)
            raise transport_error(request, error, self._fruitless) from error
        rest = ByteRange(self._at, self._end)
        self._answer = await self._resume(self._bucket, self.head, self._options, rest, self._fruitless)

    def _refuse_excess(self, excess: int) -> None:
        if excess > 0:
            raise self._damaged(f"{excess} bytes more than it has came")

    def _verify(self, actual: Checksum) -> None:
        if self._expected is not None and actual.value != self._expected.value:
            raise self._damaged(
                f"it came with {actual.algorithm} {actual.value}, the store says {self._expected.value}"
            )

    def _damaged(self, what: str) -> S3IntegrityError:
        return S3IntegrityError(
            f"GetObject s3://{self._bucket}/{self.head.key}: {what}",
            operation="GetObject",
            bucket=self._bucket,
            key=self.head.key,
            status=self._answer.status,
            request_id=self._answer.headers.get("x-amz-request-id", ""),
            hint="read it again; if it stays so, the object is damaged in the store, or a proxy changes it",
        )


class NoBody:
    """The answer to a read of nothing, which was never sent."""

    status: int = 200
    body: bytes = b""
    attempts: int = 1

    def __init__(self, headers: Mapping[str, str]) -> None:
        self.headers = headers

    async def read(self) -> bytes:
        """Return nothing."""
        return b""

    async def chunks(self) -> AsyncIterator[Buffer]:
        """Yield nothing."""
        if self.body:
            yield self.body

    async def close(self) -> None:
        """Do nothing."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None: ...


def verifiable(head: ObjectHead) -> Checksum | None:
    """Return the checksum by which the whole body can be verified; None where the store gave none such.

    A composite checksum is over the parts' checksums and says nothing about bytes that come in one piece.
    """
    for algorithm in _VERIFIABLE:
        for checksum in head.checksums:
            if checksum.algorithm == algorithm and checksum.kind == "FULL_OBJECT":
                return checksum
    return None


def _same_object(head: ObjectHead, options: GetOptions, rest: ByteRange) -> GetOptions:
    return GetOptions(
        range=rest,
        if_match=head.etag,
        # Only where it was asked for: to name a version takes a permission of its own.
        version_id=options.version_id,
        encryption=options.encryption,
        want_checksum=False,
    )


def _check_same(bucket: str, head: ObjectHead, total: int, response: Response) -> None:
    """Raise unless the answer is about the object of ``head``: a store may ignore If-Match."""
    headers = response.headers
    if head.etag:
        same = unquote_etag(headers.get("etag", "")) == head.etag
    else:
        same = headers.get("last-modified", "") == head.headers.get("last-modified", "")
    if not same or total != head.size:
        raise S3PreconditionFailed(
            f"GetObject s3://{bucket}/{head.key}: it was replaced while it was read",
            operation="GetObject",
            bucket=bucket,
            key=head.key,
            code="PreconditionFailed",
            status=response.status,
            hint="read it again from the start",
        )


def _cut_short() -> TransportError:
    return TransportError("the body was cut short", kind="body")
