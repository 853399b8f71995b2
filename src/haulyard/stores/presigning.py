"""Requests and forms that somebody without credentials may send, signed for a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from haulyard.models import DeleteOptions, GetOptions
from haulyard.s3 import objects
from haulyard.s3.presign import PostPolicy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from haulyard.models import PutOptions
    from haulyard.s3.client import S3Client
    from haulyard.s3.presign import PresignedPost, PresignedUrl

METHODS = ("GET", "PUT", "HEAD", "DELETE")


async def presigned_url(
    client: S3Client, method: str, bucket: str, key: str, expires: int, put: PutOptions, version_id: str = ""
) -> PresignedUrl:
    """Return the URL that does ``method``, one of `METHODS`, on an object for ``expires`` seconds.

    What ``put`` says is part of the signature: who uses the URL must send the headers that come with it.
    """
    match method:
        case "GET":
            # A checksum mode would be one more header that the URL's user had to send.
            request = objects.get_object(bucket, key, GetOptions(version_id=version_id, want_checksum=False))
        case "HEAD":
            request = objects.head_object(bucket, key, GetOptions(version_id=version_id, want_checksum=False))
        case "PUT":
            request = objects.put_object(bucket, key, b"", put)
        case "DELETE":
            request = objects.delete_object(bucket, key, DeleteOptions(version_id=version_id))
        case _:
            raise ValueError(method)
    return await client.presign(request, expires)


async def presigned_form(
    client: S3Client,
    bucket: str,
    key: str,
    expires: int,
    *,
    fields: Mapping[str, str],
    max_size: int = 0,
) -> PresignedPost:
    """Return the form that uploads one object, or any below a ``key`` that ends in a slash, by POST.

    ``fields`` are fixed form fields; ``max_size`` is in bytes, 0 for S3's own limit.
    """
    below = key.endswith("/") or not key
    policy = PostPolicy(
        key="" if below else key,
        key_prefix=key if below else None,
        length_range=(0, max_size) if max_size else None,
        fields=fields,
    )
    return await client.presign_post(bucket, policy, expires)
