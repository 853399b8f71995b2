"""Conditions and ranges, decided as S3 decides them, for stores that have to do it themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from haulyard.errors import NotFound, PreconditionFailed, StoreError
from haulyard.models import ByteRange

if TYPE_CHECKING:
    from haulyard.models import GetOptions, ObjectHead


def read_condition(head: ObjectHead, options: GetOptions) -> str:
    """Return the name of the condition of a GET or HEAD that does not hold, ``""`` if all do.

    RFC 9110, section 13.2.2: a tag that was given decides alone, the time beside it does not count.
    Times are compared in whole seconds, as HTTP writes them.
    """
    changed = head.last_modified.replace(microsecond=0) if head.last_modified else None
    if options.if_match:
        if not matches(options.if_match, head.etag):
            return "If-Match"
    elif changed and options.if_unmodified_since and changed > options.if_unmodified_since:
        return "If-Unmodified-Since"
    if options.if_none_match:
        if matches(options.if_none_match, head.etag):
            return "If-None-Match"
    elif changed and options.if_modified_since and changed <= options.if_modified_since:
        return "If-Modified-Since"
    return ""


def check_read(head: ObjectHead, options: GetOptions, *, store: str, operation: str) -> None:
    """Raise PreconditionFailed unless the conditions of a GET or HEAD hold."""
    if failed := read_condition(head, options):
        raise PreconditionFailed(
            f"{head.key}: {failed} does not hold", store=store, operation=operation, key=head.key
        )


def check_write(
    etag: str | None, *, if_match: str, if_none_match: str, store: str, operation: str, key: str
) -> None:
    """Raise unless a write over the object with ``etag`` (None: there is none) is allowed.

    PreconditionFailed, or NotFound where a tag should match and there is no object, as in S3.
    """
    if if_match and etag is None:
        raise NotFound(f"{key}: there is nothing to match", store=store, operation=operation, key=key)
    failed = ""
    if if_match and not matches(if_match, etag or ""):
        failed = "If-Match"
    elif if_none_match and etag is not None and matches(if_none_match, etag):
        failed = "If-None-Match"
    if failed:
        raise PreconditionFailed(f"{key}: {failed} does not hold", store=store, operation=operation, key=key)


def matches(wanted: str, etag: str) -> bool:
    """Whether ``wanted`` (a tag with or without its quotes, or ``*``) is ``etag``."""
    return wanted == "*" or wanted.strip('"') == etag


def resolve_range(asked: ByteRange | None, size: int, *, store: str, key: str) -> ByteRange:
    """Return which bytes of an object of ``size`` bytes are meant; ``end`` is never None.

    Raises:
        StoreError: with code ``InvalidRange``, if the range is empty or starts behind the end.
    """
    if asked is None:
        return ByteRange(0, size)
    start = max(size + asked.start, 0) if asked.start < 0 else asked.start
    end = size if asked.end is None else min(asked.end, size)
    if (asked.end is not None and asked.end <= start) or (start >= size and (start or size)):
        raise StoreError(
            f"{key}: the range {asked.header()[6:]} has nothing of its {size} bytes",
            store=store,
            operation="get",
            key=key,
            code="InvalidRange",
        )
    return ByteRange(start, end)
