"""Buckets: make, delete and find them. Their settings go through `haulyard.s3.aws`.

`haulyard.s3.listing.list_buckets` lists them.

Signatures::

    create_bucket(bucket, region="", *, acl="", object_lock=False) -> Request
    delete_bucket(bucket) -> Request
    head_bucket(bucket) -> Request
    get_bucket_location(bucket) -> Request

    parse_head_bucket(headers) -> str                                      the region, "" where not said
    parse_get_bucket_location(body) -> str                                 raises BadXml
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from haulyard.errors import ConfigError
from haulyard.s3.headers import checked
from haulyard.s3.request import Request
from haulyard.s3.xml import BadXml, document, leaf, parse, succeeded_as

if TYPE_CHECKING:
    from collections.abc import Mapping

# The one region that must not be named, and that an empty answer means.
_UNNAMED_REGION = "us-east-1"
# What GetBucketLocation says of buckets from S3's first years in Europe.
_OLD_NAMES = {"": _UNNAMED_REGION, "EU": "eu-west-1"}

# SeaweedFS wraps the element.
_LOCATION_ROOTS = ("LocationConstraint", "CreateBucketConfiguration")
_located = succeeded_as(*_LOCATION_ROOTS)


def create_bucket(bucket: str, region: str = "", *, acl: str = "", object_lock: bool = False) -> Request:
    """Make a bucket in a region (``""``: that of the endpoint).

    Raises:
        ConfigError: a region or ACL that cannot be sent.
    """
    headers: dict[str, str] = {}
    body = b""
    if region not in {"", _UNNAMED_REGION}:
        try:
            body = document("CreateBucketConfiguration", leaf("LocationConstraint", region))
        except BadXml:
            raise ConfigError(f"region {region!r}", hint="a region looks like eu-central-1") from None
        headers["content-type"] = "application/xml"
    if acl:
        headers["x-amz-acl"] = checked("x-amz-acl", acl)
    if object_lock:
        headers["x-amz-bucket-object-lock-enabled"] = "true"
    return Request("CreateBucket", "PUT", bucket, headers=headers, body=body, kind="write")


def delete_bucket(bucket: str) -> Request:
    """Delete an empty bucket."""
    return Request("DeleteBucket", "DELETE", bucket, kind="delete")


def head_bucket(bucket: str) -> Request:
    """Ask whether a bucket exists and may be listed, and where it lives."""
    return Request("HeadBucket", "HEAD", bucket)


def get_bucket_location(bucket: str) -> Request:
    """Ask where a bucket lives (an older way than `head_bucket`)."""
    return Request("GetBucketLocation", "GET", bucket, query=(("location", ""),), classify=_located)


def parse_head_bucket(headers: Mapping[str, str]) -> str:
    """Return the bucket's region, ``""`` where the store does not say."""
    return headers.get("x-amz-bucket-region", "")


def parse_get_bucket_location(body: bytes) -> str:
    """Return the bucket's region by its present name.

    Raises:
        BadXml: it is no answer to GetBucketLocation.
    """
    root = parse(body, *_LOCATION_ROOTS)
    stated = root.value("LocationConstraint") or root.text.strip()
    return _OLD_NAMES.get(stated, stated)
