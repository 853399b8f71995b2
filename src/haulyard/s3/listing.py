"""Listings: objects, versions, multipart uploads and buckets.

Every listing asks for ``encoding-type=url``, since XML cannot carry all keys. What comes back is decoded
where the answer says that it is encoded.

Signatures::

    list_objects_v2(bucket, prefix="", options=ListOptions(), *, token="") -> Request
    list_object_versions(bucket, prefix="", options=ListOptions(), *, token=("", "")) -> Request
    list_multipart_uploads(bucket, prefix="", *, delimiter="", token=("", ""), page_size=1000) -> Request
    list_buckets(*, prefix="", region="", token="", page_size=0) -> Request

    parse_list_objects_v2(body) -> ListParse[ListPage, str]                raise BadXml
    parse_list_object_versions(body) -> ListParse[VersionPage, tuple[str, str]]
    parse_list_multipart_uploads(body) -> ListParse[list[UploadInfo], tuple[str, str]]
    parse_list_buckets(body) -> ListParse[list[BucketInfo], str]

    ListParse(page, next_token, is_truncated)
    advance(previous_token, parsed) -> next token, None at the end         raises S3GenericError
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from haulyard.errors import S3GenericError
from haulyard.models.objects import BucketInfo, ListPage, ObjectVersion, UploadInfo, VersionPage
from haulyard.models.options import ListOptions
from haulyard.s3.contents import ROOT, read_contents
from haulyard.s3.encoding_type import decode_page
from haulyard.s3.headers import unquote_etag
from haulyard.s3.request import Request
from haulyard.s3.xml import BadXml, Element, is_document, parse, succeeded_as

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

PageT = TypeVar("PageT")
TokenT = TypeVar("TokenT", str, tuple[str, str])

_LIST = ListOptions()
_VERSIONS_ROOTS = ("ListVersionsResult", "ListObjectVersionsResult")
_ENCODED = ("encoding-type", "url")
# As much of a document as holds its declaration and its root's tag.
_HEAD_BYTES = 400


class ListParse(NamedTuple, Generic[PageT, TokenT]):
    """A parsed page; the token for the next is empty where the answer gave none."""

    page: PageT
    next_token: TokenT
    is_truncated: bool


def _objects_listed(_status: int, _headers: Mapping[str, str], body: bytes) -> bool:
    # A cheap look at both ends: the page will be parsed soon enough, and an <Error> has another root.
    if b"<ListBucketResult" in body[:_HEAD_BYTES] and body.rstrip().endswith(b"</ListBucketResult>"):
        return True
    return is_document(body, ROOT)


_versions_listed = succeeded_as(*_VERSIONS_ROOTS)
_uploads_listed = succeeded_as("ListMultipartUploadsResult")
_buckets_listed = succeeded_as("ListAllMyBucketsResult")


def list_objects_v2(
    bucket: str, prefix: str = "", options: ListOptions = _LIST, *, token: str = ""
) -> Request:
    """List a page of objects; ``token`` is the previous page's."""
    query = [("list-type", "2"), _ENCODED, ("max-keys", str(options.page_size))]
    if prefix:
        query.append(("prefix", prefix))
    if options.delimiter:
        query.append(("delimiter", options.delimiter))
    if options.fetch_owner:
        query.append(("fetch-owner", "true"))
    if token:
        query.append(("continuation-token", token))
    elif options.start_after:
        query.append(("start-after", options.start_after))
    return Request("ListObjectsV2", "GET", bucket, query=tuple(query), kind="list", classify=_objects_listed)


def list_object_versions(
    bucket: str, prefix: str = "", options: ListOptions = _LIST, *, token: tuple[str, str] = ("", "")
) -> Request:
    """List a page of versions and delete markers; ``token`` is the previous page's key and version."""
    query = [("versions", ""), _ENCODED, ("max-keys", str(options.page_size))]
    if prefix:
        query.append(("prefix", prefix))
    if options.delimiter:
        query.append(("delimiter", options.delimiter))
    key_marker, version_marker = token if token[0] else (options.start_after, "")
    if key_marker:
        query.append(("key-marker", key_marker))
    if version_marker:
        query.append(("version-id-marker", version_marker))
    return Request(
        "ListObjectVersions", "GET", bucket, query=tuple(query), kind="list", classify=_versions_listed
    )


def list_multipart_uploads(
    bucket: str,
    prefix: str = "",
    *,
    delimiter: str = "",
    token: tuple[str, str] = ("", ""),
    page_size: int = 1000,
) -> Request:
    """List a page of unfinished multipart uploads; ``token`` is the previous page's key and upload id."""
    query = [("uploads", ""), _ENCODED, ("max-uploads", str(page_size))]
    if prefix:
        query.append(("prefix", prefix))
    if delimiter:
        query.append(("delimiter", delimiter))
    if token[0]:
        query.append(("key-marker", token[0]))
    if token[1]:
        query.append(("upload-id-marker", token[1]))
    return Request(
        "ListMultipartUploads", "GET", bucket, query=tuple(query), kind="list", classify=_uploads_listed
    )


def list_buckets(*, prefix: str = "", region: str = "", token: str = "", page_size: int = 0) -> Request:
    """List a page of the caller's buckets; without a page size all of them in one answer."""
    query: list[tuple[str, str]] = []
    if page_size:
        query.append(("max-buckets", str(page_size)))
    if prefix:
        query.append(("prefix", prefix))
    if region:
        query.append(("bucket-region", region))
    if token:
        query.append(("continuation-token", token))
    return Request("ListBuckets", "GET", query=tuple(query), kind="list", classify=_buckets_listed)


def parse_list_objects_v2(body: bytes) -> ListParse[ListPage, str]:
    """Read a page of ListObjectsV2.

    Raises:
        BadXml: it is not one.
    """
    root, objects, prefixes = read_contents(body)
    token = root.value("NextContinuationToken")
    return ListParse(ListPage(objects, prefixes), token, _truncated(root))


def parse_list_object_versions(body: bytes) -> ListParse[VersionPage, tuple[str, str]]:
    """Read a page of ListObjectVersions; versions and markers stay in the store's order.

    Raises:
        BadXml: it is not one.
    """
    root = parse(body, *_VERSIONS_ROOTS)
    entries = [child for child in root.children if child.tag in {"Version", "DeleteMarker"}]
    keys, prefixes, marker = _names(root, entries)
    versions = list(map(_version, keys, entries))
    token = (marker, root.value("NextVersionIdMarker"))
    return ListParse(VersionPage(versions, prefixes), token, _truncated(root))


def _version(key: str, entry: Element) -> ObjectVersion:
    is_marker = entry.tag == "DeleteMarker"
    return ObjectVersion(
        key,
        entry.value("VersionId") or "null",
        entry.value("IsLatest") == "true",
        is_marker,
        0 if is_marker else entry.integer("Size"),
        _required_time(entry, "LastModified"),
        unquote_etag(entry.value("ETag")),
        entry.value("StorageClass") or "STANDARD",
    )


def parse_list_multipart_uploads(body: bytes) -> ListParse[list[UploadInfo], tuple[str, str]]:
    """Read a page of ListMultipartUploads.

    Raises:
        BadXml: it is not one.
    """
    root = parse(body, "ListMultipartUploadsResult")
    entries = root.all("Upload")
    keys, _, marker = _names(root, entries)
    uploads = [
        UploadInfo(
            key,
            entry.value("UploadId"),
            _required_time(entry, "Initiated"),
            entry.value("StorageClass") or "STANDARD",
        )
        for key, entry in zip(keys, entries, strict=True)
    ]
    return ListParse(uploads, (marker, root.value("NextUploadIdMarker")), _truncated(root))


def parse_list_buckets(body: bytes) -> ListParse[list[BucketInfo], str]:
    """Read a page of ListBuckets; it is truncated where it has a token.

    Raises:
        BadXml: it is not one.
    """
    root = parse(body, "ListAllMyBucketsResult")
    listed = root.find("Buckets")
    buckets = [
        BucketInfo(bucket.value("Name"), bucket.time("CreationDate"), bucket.value("BucketRegion"))
        for bucket in ([] if listed is None else listed.all("Bucket"))
    ]
    token = root.value("ContinuationToken")
    return ListParse(buckets, token, bool(token))


def advance(
    previous_token: TokenT,
    parsed: ListParse[PageT, TokenT],
    *,
    operation: str = "ListObjectsV2",
    bucket: str = "",
) -> TokenT | None:
    """Return the token of the next page, None after the last one.

    An empty page with a new token is no end: S3 gives such pages where it skips many delete markers.

    Raises:
        S3GenericError: the page is truncated but names no next one, or the same one again, so that going
            on would loop and stopping would lose keys.
    """
    if not parsed.is_truncated:
        return None
    token = parsed.next_token
    if token[:1] in {"", ("",)}:
        problem = "ended a page early without saying how to go on"
    elif token == previous_token:
        problem = "gave the same continuation twice"
    else:
        return token
    raise S3GenericError(
        f"the listing of {bucket or 'the account'} {problem}",
        operation=operation,
        bucket=bucket,
        code="InvalidListing",
        hint="nothing was left out so far: run it again, and tell whoever runs the store if it stays",
    )


def _truncated(root: Element) -> bool:
    return root.value("IsTruncated") == "true"


def _names(root: Element, entries: list[Element]) -> tuple[list[str], list[str], str]:
    """Return the keys of the entries, the common prefixes and the key to go on after, all decoded."""
    keys = [entry.value("Key") for entry in entries]
    prefixes = [prefix.value("Prefix") for prefix in root.all("CommonPrefixes")]
    names = [*keys, *prefixes, root.value("NextKeyMarker")]
    if not all(keys):
        raise BadXml("lists an entry without its key")
    if root.value("EncodingType") == "url":
        names = decode_page(names)
    return names[: len(keys)], names[len(keys) : -1], names[-1]


def _required_time(entry: Element, tag: str) -> datetime:
    time = entry.time(tag)
    if time is None:
        raise BadXml(f"lists a {entry.tag} without {tag}")
    return time
