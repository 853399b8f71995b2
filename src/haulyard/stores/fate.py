"""What became of a write whose answer was lost: asked of the store, never assumed.

That an object exists is no proof: it may be older, or somebody else's. Proof is our own token in its
metadata, or content that can only be ours.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final, TypeVar

from haulyard.checksums import comparable, digest_of, etag_is_md5
from haulyard.errors import (
    NotFound,
    S3Error,
    S3NetworkError,
    S3NotFound,
    S3PreconditionFailed,
    S3ServerError,
)
from haulyard.models import GetOptions, PutResult
from haulyard.models.body import body_size
from haulyard.s3.client import content_checksum

if TYPE_CHECKING:
    from collections.abc import Sequence

    from haulyard.models import Encryption, ObjectHead, PartInfo, PutOptions
    from haulyard.models.body import Body
    from haulyard.s3.client import S3Client

Result = TypeVar("Result")
#: Waits before the attempt after the one of this number.
Pause = Callable[[int], Awaitable[None]]

ROUNDS: Final = 5
"""How often at most a deed is done whose fate was found to be "not done"; each has its own retries inside."""

_DOUBTFUL: Final = (S3NetworkError, S3PreconditionFailed, S3NotFound, S3ServerError)

TOKEN: Final = "haul-token"  # noqa: S105 -- the name of a metadata entry, not a secret
"""Metadata under which a writer may leave a token of its own (``x-amz-meta-haul-token``)."""


async def settled(
    act: Callable[[], Awaitable[Result]],
    done: Callable[[], Awaitable[Result | None]],
    pause: Pause,
    *,
    again: tuple[type[S3Error], ...] = (S3NetworkError,),
    rounds: int = ROUNDS,
) -> Result:
    """Do what must not be repeated blindly and return its result.

    Where the answer was lost, ``done`` looks at the store first: it returns the result if the deed was done,
    else None, and only then ``act`` is called again. ``again`` are the errors to which the layers below did
    not answer by trying again themselves.
    """
    doubt = False
    for attempt in range(1, rounds):
        try:
            return await act()
        except _DOUBTFUL as error:
            doubt = doubt or is_in_doubt(error)
            if not doubt:
                raise
            with suppress(S3Error):
                found = await done()
                if found is not None:
                    return found
            if not isinstance(error, again):
                raise
        await pause(attempt)
    return await act()


def is_in_doubt(error: S3Error) -> bool:
    """Whether the request of ``error`` may have been carried out although it failed."""
    if isinstance(error, S3NetworkError):
        return error.sent
    if isinstance(error, S3ServerError):
        return True
    # An earlier attempt may have done what the last one then found done.
    return error.attempts > 1


async def look(client: S3Client, bucket: str, key: str, encryption: Encryption | None) -> ObjectHead | None:
    """Return the object as it is now; None if there is none."""
    customer_key = encryption if encryption is not None and encryption.mode == "SSE-C" else None
    try:
        return await client.head_object(bucket, key, GetOptions(encryption=customer_key))
    except NotFound:
        return None


async def is_put(head: ObjectHead, body: Body, options: PutOptions) -> bool:
    """Whether the object is what a PutObject of ``body`` wrote."""
    if head.size != body_size(body):
        return False
    if token := options.metadata.get(TOKEN):
        return head.metadata.get(TOKEN) == token
    for checksum in head.checksums:
        if checksum.kind == "FULL_OBJECT":
            return (await content_checksum(body, checksum.algorithm)).value == checksum.value
    return etag_is_md5(head) and digest_of(await content_checksum(body, "MD5")).hex() == head.etag


def is_copy(head: ObjectHead, source: ObjectHead) -> bool:
    """Whether the object holds what ``source`` does, as far as the store can tell without reading both."""
    if head.size != source.size:
        return False
    for one in head.checksums:
        for other in source.checksums:
            if comparable(one, other):
                return one.value == other.value
    return head.etag == source.etag and etag_is_md5(head)


def is_assembled(head: ObjectHead, parts: Sequence[PartInfo], options: PutOptions) -> bool:
    """Whether the object is what CompleteMultipartUpload made of ``parts``."""
    sizes = [part.size for part in parts]
    if all(sizes) and head.size != sum(sizes):
        return False
    if token := options.metadata.get(TOKEN):
        return head.metadata.get(TOKEN) == token
    if options.checksum is not None:
        for checksum in head.checksums:
            if comparable(checksum, options.checksum):
                return checksum.value == options.checksum.value
    return head.etag == _assembled_etag(parts)


def result_of(head: ObjectHead) -> PutResult:
    """Return what the lost answer would have said."""
    return PutResult(head.etag, head.version_id, head.checksums, head.last_modified)


def _assembled_etag(parts: Sequence[PartInfo]) -> str | None:
    """Return the ETag that S3 makes of those of the parts: the MD5 of their MD5s, and their number.

    None where they are no MD5s.
    """
    try:
        digests = b"".join(bytes.fromhex(part.etag.strip('"')) for part in parts)
    except ValueError:
        return None
    return f"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{len(parts)}"
