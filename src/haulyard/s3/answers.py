"""What answers hold, and whether it is what was asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from haulyard.errors import S3GenericError, S3IntegrityError
from haulyard.models import ByteRange
from haulyard.s3.objects import check_range
from haulyard.s3.xml import BadXml

if TYPE_CHECKING:
    from collections.abc import Callable

    from haulyard.models import GetOptions, ObjectHead
    from haulyard.s3.request import Request, Response

Parsed = TypeVar("Parsed")

_HTTP_OK = 200


def parsed(request: Request, response: Response, parse: Callable[[bytes], Parsed]) -> Parsed:
    """Return what ``parse`` reads in the body; S3GenericError where it cannot."""
    try:
        return parse(response.body)
    except BadXml as bad:
        raise S3GenericError(
            f"{request.operation} s3://{request.bucket}/{request.key}: the answer {bad}",
            operation=request.operation,
            bucket=request.bucket,
            key=request.key,
            code="MalformedAnswer",
            status=response.status,
            request_id=response.headers.get("x-amz-request-id", ""),
            attempts=response.attempts,
            hint="the store, or a proxy before it, does not speak S3 here",
        ) from bad


def span_of(head: ObjectHead, options: GetOptions, response: Response) -> ByteRange:
    """Return which bytes are coming; S3IntegrityError where they are not those that were asked for."""
    if options.range is not None:
        if response.status == _HTTP_OK and head.size == 0 and options.range.start <= 0:
            # RFC 9110, section 14.2: a range that cannot be satisfied may be ignored.
            return ByteRange(0, 0)
        start, end, _ = check_range(options.range, response.status, response.headers)
        return ByteRange(start, end)
    stated = _stated_range(response)
    if options.part_number and stated is not None:
        return stated
    if stated is not None:
        raise S3IntegrityError(
            f"{head.key} was asked for whole and a range of it came",
            operation="GetObject",
            key=head.key,
            status=response.status,
            hint="the store, or a proxy before it, does not serve ranges correctly",
        )
    return ByteRange(0, head.size)


def empty_range(bucket: str, key: str, asked: ByteRange) -> S3GenericError:
    """Return the error for a range without bytes, which HTTP cannot express."""
    return S3GenericError(
        f"GetObject s3://{bucket}/{key}: the range from {asked.start} to {asked.end} is empty",
        operation="GetObject",
        bucket=bucket,
        key=key,
        code="InvalidRange",
    )


def _stated_range(response: Response) -> ByteRange | None:
    """Return the range that the answer says it holds; None if it says none that can be read."""
    unit, _, span = response.headers.get("content-range", "").partition(" ")
    start, _, last = span.partition("/")[0].partition("-")
    if unit == "bytes" and start.isdecimal() and last.isdecimal():
        return ByteRange(int(start), int(last) + 1)
    return None
