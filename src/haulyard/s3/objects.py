"""One object: read, write, copy, delete, restore it, and ask what it is.

Signatures::

    get_object(bucket, key, options=GetOptions()) -> Request               streamed
    head_object(bucket, key, options=GetOptions()) -> Request
    put_object(bucket, key, body, options=PutOptions()) -> Request
    copy_object(bucket, key, source, options=CopyOptions()) -> Request
    delete_object(bucket, key, options=DeleteOptions()) -> Request
    restore_object(bucket, key, options=RestoreOptions()) -> Request

    parse_head(key, status, headers) -> ObjectHead                         raises S3IntegrityError
    parse_put(headers) -> PutResult
    parse_copy(body, headers) -> PutResult                                 raises BadXml
    parse_delete(key, headers, options=DeleteOptions()) -> DeleteOutcome
    parse_restore(status) -> bool
    check_range(requested, status, headers) -> (start, end, total)         raises S3IntegrityError
    copy_source(source) -> str
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from haulyard.errors import ConfigError, S3IntegrityError
from haulyard.models.objects import DeleteOutcome, ObjectHead, PutResult
from haulyard.models.options import CopyOptions, DeleteOptions, GetOptions, PutOptions, RestoreOptions
from haulyard.s3.checksums import checksum_headers, checksums_in, content_md5, read_checksums
from haulyard.s3.dates import parse_http_date
from haulyard.s3.headers import (
    access_headers,
    checked,
    condition_headers,
    customer_key_headers,
    percent_encode,
    put_headers,
    quote_etag,
    read_headers,
    tagging_header,
    unquote_etag,
)
from haulyard.s3.request import Request
from haulyard.s3.xml import document, leaf, parse, succeeded_as

if TYPE_CHECKING:
    from collections.abc import Mapping

    from haulyard.models.body import Body
    from haulyard.models.objects import ByteRange
    from haulyard.models.options import CopySource

_GET = GetOptions()
_PUT = PutOptions()
_COPY = CopyOptions()
_DELETE = DeleteOptions()
_RESTORE = RestoreOptions()

_HTTP_OK = 200
_HTTP_PARTIAL = 206
_META = "x-amz-meta-"
_CONTENT_RANGE = re.compile("bytes ([0-9]+)-([0-9]+)/([0-9]+)")

copy_succeeded = succeeded_as("CopyObjectResult")


def _read_query(options: GetOptions) -> tuple[tuple[str, str], ...]:
    query: tuple[tuple[str, str], ...] = ()
    if options.part_number:
        query = (("partNumber", str(options.part_number)),)
    return (*query, ("versionId", options.version_id)) if options.version_id else query


def get_object(bucket: str, key: str, options: GetOptions = _GET) -> Request:
    """Read an object, a version, a range or a part of it.

    Raises:
        ConfigError: a value that cannot be sent.
    """
    return Request(
        "GetObject", "GET", bucket, key, _read_query(options), read_headers(options), streamed=True
    )


def head_object(bucket: str, key: str, options: GetOptions = _GET) -> Request:
    """Ask for the headers of what `get_object` would read; S3 answers errors without a body.

    Raises:
        ConfigError: a value that cannot be sent.
    """
    return Request("HeadObject", "HEAD", bucket, key, _read_query(options), read_headers(options))


def put_object(bucket: str, key: str, body: Body, options: PutOptions = _PUT) -> Request:
    """Write an object in one piece, at most 5 GiB.

    A conditional write is not repeatable: its second try would fail on what its first try wrote.

    Raises:
        ConfigError: a value that cannot be sent, or that S3 would refuse.
    """
    headers = put_headers(options)
    conditions = condition_headers(options)
    headers.update(conditions)
    if options.checksum is not None:
        headers.update(checksum_headers(options.checksum))
    return Request(
        "PutObject",
        "PUT",
        bucket,
        key,
        headers=headers,
        body=body,
        kind="write",
        repeatable=not conditions,
    )


def copy_source(source: CopySource) -> str:
    """Return the value of ``x-amz-copy-source``.

    Shape: ``bucket/key?versionId=…``, or ``arn:…:accesspoint/name/object/key``.
    """
    infix = "/object/" if source.bucket.startswith("arn:") else "/"
    value = percent_encode(source.bucket + infix + source.key, keep="/")
    return f"{value}?versionId={percent_encode(source.version_id)}" if source.version_id else value


def copy_source_headers(source: CopySource) -> dict[str, str]:
    """Return the headers that name the source of a copy, bound to its ETag where that is known."""
    headers = {"x-amz-copy-source": copy_source(source)}
    if source.etag:
        name = "x-amz-copy-source-if-match"
        headers[name] = checked(name, quote_etag(source.etag))
    headers.update(customer_key_headers(source.encryption, copy_source=True))
    return headers


def copy_object(bucket: str, key: str, source: CopySource, options: CopyOptions = _COPY) -> Request:
    """Copy inside the store, at most 5 GiB; a 200 may hold an error.

    Raises:
        ConfigError: a value that cannot be sent, or that S3 would refuse.
    """
    put = options.put
    headers = copy_source_headers(source)
    if options.replace_metadata:
        headers["x-amz-metadata-directive"] = "REPLACE"
        headers.update(put_headers(put))
        headers.pop("x-amz-tagging", None)
    else:
        headers.update(access_headers(put))
    if options.replace_tags:
        headers["x-amz-tagging-directive"] = "REPLACE"
        headers["x-amz-tagging"] = tagging_header(put.tags)
    if put.checksum_algorithm not in {"", "none"}:
        headers["x-amz-checksum-algorithm"] = checked("x-amz-checksum-algorithm", put.checksum_algorithm)
    conditions = condition_headers(put)
    headers.update(conditions)
    return Request(
        "CopyObject",
        "PUT",
        bucket,
        key,
        headers=headers,
        kind="write",
        repeatable=not conditions,
        classify=copy_succeeded,
    )


def delete_object(bucket: str, key: str, options: DeleteOptions = _DELETE) -> Request:
    """Delete an object or a version; an absent one is deleted already.

    Without a version id it is not repeatable: in a versioned bucket it would leave a second marker.

    Raises:
        ConfigError: a value that cannot be sent.
    """
    headers: dict[str, str] = {}
    if options.if_match:
        headers["if-match"] = checked("if-match", quote_etag(options.if_match))
    if options.bypass_governance:
        headers["x-amz-bypass-governance-retention"] = "true"
    return Request(
        "DeleteObject",
        "DELETE",
        bucket,
        key,
        (("versionId", options.version_id),) if options.version_id else (),
        headers,
        kind="delete",
        repeatable=bool(options.version_id) and not options.if_match,
    )


def restore_object(bucket: str, key: str, options: RestoreOptions = _RESTORE) -> Request:
    """Ask for a readable copy of an archived object.

    Raises:
        ConfigError: no days at all, or an unknown tier.
    """
    if options.tier not in {"Standard", "Bulk", "Expedited"}:
        raise ConfigError(f"unknown retrieval tier {options.tier!r}", hint="Standard, Bulk or Expedited")
    if options.days is not None and options.days < 1:
        raise ConfigError(f"a restore for {options.days} days", hint="at least one day")
    days = "" if options.days is None else leaf("Days", str(options.days))
    tier = f"<GlacierJobParameters>{leaf('Tier', options.tier)}</GlacierJobParameters>"
    body = document("RestoreRequest", days + tier)
    version = (("versionId", options.version_id),) if options.version_id else ()
    return Request(
        "RestoreObject",
        "POST",
        bucket,
        key,
        (("restore", ""), *version),
        {"content-type": "application/xml", "content-md5": content_md5(body)},
        body,
        kind="write",
    )


def parse_head(key: str, status: int, headers: Mapping[str, str]) -> ObjectHead:
    """Read the headers of a HEAD or GET that succeeded.

    Raises:
        S3IntegrityError: they do not state the object's size.
    """
    get = headers.get
    return ObjectHead(
        key,
        _whole_size(key, status, headers),
        parse_http_date(get("last-modified", "")),
        unquote_etag(get("etag", "")),
        get("content-type", ""),
        get("content-encoding", ""),
        get("content-disposition", ""),
        get("content-language", ""),
        get("cache-control", ""),
        get("expires", ""),
        {name[11:]: value for name, value in headers.items() if name.startswith(_META)},
        get("x-amz-storage-class", "STANDARD"),
        get("x-amz-version-id", ""),
        read_checksums(headers),
        get("x-amz-server-side-encryption", "")
        or ("SSE-C" if "x-amz-server-side-encryption-customer-algorithm" in headers else ""),
        get("x-amz-server-side-encryption-aws-kms-key-id", ""),
        get("x-amz-restore", ""),
        get("x-amz-archive-status", ""),
        _count(get("x-amz-tagging-count", "")),
        _count(get("x-amz-mp-parts-count", "")),
        headers,
    )


def _count(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else 0


def _whole_size(key: str, status: int, headers: Mapping[str, str]) -> int:
    stated = headers.get("content-length", "")
    if status == _HTTP_PARTIAL:
        stated = headers.get("content-range", "").rpartition("/")[2]
    if not (stated.isascii() and stated.isdigit()):
        raise S3IntegrityError(
            "the answer does not state the object's size",
            key=key,
            status=status,
            hint="look for a proxy between here and the store that re-encodes answers",
        )
    return int(stated)


def check_range(requested: ByteRange, status: int, headers: Mapping[str, str]) -> tuple[int, int, int]:
    """Return start, end (exclusive) and the object's size, once the answer is proved to be that range.

    Raises:
        S3IntegrityError: the answer is not 206, has no or another Content-Range, or a Content-Length that
            disagrees with it.
    """
    stated = headers.get("content-range", "")
    if status != _HTTP_PARTIAL:
        raise _range_error(requested, status, f"was answered with status {status}, not {_HTTP_PARTIAL}")
    found = _CONTENT_RANGE.fullmatch(stated)
    if found is None:
        raise _range_error(requested, status, f"was answered with Content-Range {stated[:80]!r}")
    start, last, total = int(found[1]), int(found[2]), int(found[3])
    if requested.start < 0:
        expected = (max(0, total + requested.start), total)
    else:
        expected = (requested.start, total if requested.end is None else min(requested.end, total))
    if (start, last + 1) != expected:
        raise _range_error(requested, status, f"was answered with Content-Range {stated[:80]!r}")
    length = headers.get("content-length", "")
    if length and length != str(last + 1 - start):
        raise _range_error(requested, status, f"was answered with {length[:20]} bytes for {stated[:80]!r}")
    return start, last + 1, total


def _range_error(requested: ByteRange, status: int, what: str) -> S3IntegrityError:
    return S3IntegrityError(
        f"the range {requested.header()} {what}",
        operation="GetObject",
        status=status,
        hint="the store or a proxy before it does not serve ranges correctly; read the object in one piece",
    )


def parse_put(headers: Mapping[str, str]) -> PutResult:
    """Read the answer to PutObject, whose body is empty."""
    return PutResult(
        unquote_etag(headers.get("etag", "")),
        headers.get("x-amz-version-id", ""),
        read_checksums(headers),
    )


def parse_copy(body: bytes, headers: Mapping[str, str]) -> PutResult:
    """Read the answer to CopyObject.

    Raises:
        BadXml: it is not one.
    """
    root = parse(body, "CopyObjectResult")
    return PutResult(
        unquote_etag(root.value("ETag")),
        headers.get("x-amz-version-id", ""),
        checksums_in(root),
        root.time("LastModified"),
    )


def parse_delete(key: str, headers: Mapping[str, str], options: DeleteOptions = _DELETE) -> DeleteOutcome:
    """Read the answer to `delete_object`: whether a marker was written, or was itself deleted."""
    marker = headers.get("x-amz-version-id", "") if headers.get("x-amz-delete-marker", "") == "true" else ""
    return DeleteOutcome(key, options.version_id, bool(marker), marker)


def parse_restore(status: int) -> bool:
    """Return whether a restored copy was there already (200), rather than asked for just now (202)."""
    return status == _HTTP_OK
