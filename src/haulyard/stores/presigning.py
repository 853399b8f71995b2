"""Requests and forms that somebody without credentials may send, signed for a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from haulyard.errors import ConfigError
from haulyard.models import DeleteOptions, GetOptions
from haulyard.s3 import objects
from haulyard.s3.headers import put_headers
from haulyard.s3.presign import PostPolicy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from haulyard.models import PresignedPost, PresignedUrl, PutOptions
    from haulyard.s3.client import S3Client

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


def form_fields(put: PutOptions) -> dict[str, str]:
    """Return the form fields that give an upload by POST the properties of ``put``.

    They are named like PUT's headers, but for the ACL.

    Raises:
        ConfigError: Tags, which a form takes as a document of its own.
    """
    if put.tags:
        raise ConfigError("an upload by POST cannot be given tags here", hint="presign a PUT instead")
    headers = put_headers(put)
    return {
        "acl" if name == "x-amz-acl" else name if name.startswith("x-amz-") else name.title(): value
        for name, value in headers.items()
    }
