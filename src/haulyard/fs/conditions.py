"""Conditions that did not hold, told with what was wanted and what was found instead."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from haulyard.errors import NotFound, PreconditionFailed, S3NotFound, S3PreconditionFailed, StoreError

if TYPE_CHECKING:
    from haulyard.fs.volume import Volume

#: What a condition wants that wants no file at all (If-None-Match).
ABSENT = "*"


async def explained(
    volume: Volume, error: PreconditionFailed, key: str, *, wanted: str
) -> PreconditionFailed:
    """Return ``error`` with both ETags; ``wanted`` is one, or `ABSENT`.

    What was found is what is there now: the condition may have been refused for an earlier state.
    """
    error.wanted = wanted
    # The condition did not hold; that nobody can tell why is no reason to raise something else.
    with suppress(StoreError):
        error.found = (await volume.store.head(key, volume.reading)).etag
    name = f"s3://{volume.config.bucket}/{key}"
    if wanted == ABSENT:
        is_there = f"there is one, with ETag {error.found}" if error.found else "there was one by then"
        error.message = f"{name} should not exist, but {is_there}"
    else:
        found = f"it has {error.found}" if error.found else "there is none"
        error.message = f"{name} should have ETag {wanted}, but {found}"
    error.hint = "somebody else wrote it: read it again and decide anew; update() does that"
    return error


def nothing_to_match(error: NotFound, key: str, *, wanted: str) -> S3PreconditionFailed | None:
    """Return what a write with If-Match comes to where there is no file; None where ``error`` is another."""
    if error.code != "NoSuchKey" or not isinstance(error, S3NotFound):
        return None
    failed = S3PreconditionFailed(
        f"s3://{error.bucket}/{key} should have ETag {wanted}, but there is none",
        operation=error.operation,
        bucket=error.bucket,
        key=key,
        code="PreconditionFailed",
        status=error.status,
        request_id=error.request_id,
        host_id=error.host_id,
        attempts=error.attempts,
        hint="somebody deleted it: decide whether to write it anew",
    )
    failed.wanted = wanted
    return failed
