"""Which S3 operation a path-style request is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Mapping


class Operation(NamedTuple):
    """An operation by the name in S3's API, and what it is about.

    `bucket` and `key` are decoded, and empty where the request names none.
    """

    name: str
    bucket: str
    key: str


# Method, then the query parameters that must be there, then the name; the first that fits.
_ON_OBJECTS: Final = (
    ("GET", ("uploadId",), "ListParts"),
    ("GET", ("tagging",), "GetObjectTagging"),
    ("GET", ("acl",), "GetObjectAcl"),
    ("GET", ("attributes",), "GetObjectAttributes"),
    ("GET", (), "GetObject"),
    ("HEAD", (), "HeadObject"),
    ("PUT", ("partNumber", "uploadId"), "UploadPart"),
    ("PUT", ("tagging",), "PutObjectTagging"),
    ("PUT", ("acl",), "PutObjectAcl"),
    ("PUT", (), "PutObject"),
    ("POST", ("uploads",), "CreateMultipartUpload"),
    ("POST", ("uploadId",), "CompleteMultipartUpload"),
    ("POST", ("restore",), "RestoreObject"),
    ("DELETE", ("uploadId",), "AbortMultipartUpload"),
    ("DELETE", ("tagging",), "DeleteObjectTagging"),
    ("DELETE", (), "DeleteObject"),
)
_ON_BUCKETS: Final = (
    ("GET", ("list-type",), "ListObjectsV2"),
    ("GET", ("uploads",), "ListMultipartUploads"),
    ("GET", ("versions",), "ListObjectVersions"),
    ("GET", ("location",), "GetBucketLocation"),
    ("GET", (), "ListObjects"),
    ("HEAD", (), "HeadBucket"),
    ("PUT", (), "CreateBucket"),
    ("DELETE", (), "DeleteBucket"),
    ("POST", ("delete",), "DeleteObjects"),
    ("POST", (), "PostObject"),
)
_ON_THE_SERVICE: Final = (("GET", (), "ListBuckets"),)

_COPIES: Final = {"PutObject": "CopyObject", "UploadPart": "UploadPartCopy"}

# Other settings of a bucket are told apart by such a parameter; they have no name here.
_PLAIN_ONLY: Final = frozenset({"ListObjects", "CreateBucket", "DeleteBucket"})
_PLAIN_PARAMETERS: Final = frozenset(
    {"prefix", "delimiter", "marker", "max-keys", "encoding-type", "x-id", "location"}
)

UNKNOWN: Final = "Unknown"


def recognise(method: str, path: str, parameters: Mapping[str, str], headers: Mapping[str, str]) -> Operation:
    """Return the operation of a request.

    Args:
        method: The HTTP method.
        path: The path as it came on the wire: `/bucket/key`, percent-encoded.
        parameters: The decoded query.
        headers: By lower-case name.

    Returns:
        The operation; its name is `Unknown` where S3 has no such request or this module no name.
    """
    bucket, _, key = path.removeprefix("/").partition("/")
    bucket, key = unquote(bucket), unquote(key)
    table = _ON_OBJECTS if key else _ON_BUCKETS if bucket else _ON_THE_SERVICE
    names = (name for verb, needed, name in table if verb == method and set(needed) <= parameters.keys())
    name = next(names, UNKNOWN)
    if name in _PLAIN_ONLY and not _signature_aside(parameters) <= _PLAIN_PARAMETERS:
        name = UNKNOWN
    if "x-amz-copy-source" in headers:
        name = _COPIES.get(name, name)
    return Operation(name, bucket, key)


def _signature_aside(parameters: Mapping[str, str]) -> set[str]:
    return {name for name in parameters if not name.lower().startswith("x-amz-")}
