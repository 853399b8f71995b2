"""Multipart uploads: begin one, write or copy its parts, complete or abort it, list its parts.

Signatures::

    create_multipart_upload(bucket, key, options=PutOptions()) -> Request
    upload_part(bucket, key, upload_id, number, body, options=PartOptions()) -> Request
    upload_part_copy(bucket, key, upload_id, number, source, byte_range=None, options=PartOptions())
        -> Request
    complete_multipart_upload(bucket, key, upload_id, parts, options=PutOptions(), *, size=None) -> Request
    abort_multipart_upload(bucket, key, upload_id) -> Request
    list_parts(bucket, key, upload_id, *, token="", page_size=1000, options=PartOptions()) -> Request

    parse_create_multipart_upload(body) -> str (the upload id)             raise BadXml
    parse_upload_part(number, headers, size=0) -> PartInfo
    parse_upload_part_copy(number, body, size=0) -> PartInfo
    parse_complete_multipart_upload(body, headers) -> PutResult
    parse_list_parts(body) -> ListParse[list[PartInfo], str]               the token is a part number
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from haulyard.checksums import supports_full_object
from haulyard.errors import ConfigError
from haulyard.models.objects import PartInfo, PutResult
from haulyard.models.options import PartOptions, PutOptions
from haulyard.s3.checksums import checksum_headers, checksums_in, read_checksums
from haulyard.s3.headers import (
    checked,
    condition_headers,
    customer_key_headers,
    put_headers,
    quote_etag,
    unquote_etag,
)
from haulyard.s3.listing import ListParse
from haulyard.s3.objects import copy_source_headers
from haulyard.s3.request import Request
from haulyard.s3.xml import BadXml, document, leaf, parse, succeeded_as

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from haulyard.models.body import Body
    from haulyard.models.objects import ByteRange, Checksum
    from haulyard.models.options import CopySource

#: "Amazon S3 multipart upload limits".
MAX_PARTS = 10_000

_PUT = PutOptions()
_PART = PartOptions()

_created = succeeded_as("InitiateMultipartUploadResult")
_part_copied = succeeded_as("CopyPartResult")
_completed = succeeded_as("CompleteMultipartUploadResult")
# moto calls it Response.
_LIST_PARTS_ROOTS = ("ListPartsResult", "ListPartsResponse")
_parts_listed = succeeded_as(*_LIST_PARTS_ROOTS)


def create_multipart_upload(bucket: str, key: str, options: PutOptions = _PUT) -> Request:
    """Begin an upload in parts; what describes the object is given here, conditions at its end.

    ``options.checksum_algorithm`` tells S3 which checksum the parts will carry; its kind is FULL_OBJECT
    where the algorithm has one, unless ``options.checksum_kind`` says otherwise. It is not repeatable: of an
    upload whose answer was lost nobody has the id, and its parts would be billed for ever.

    Raises:
        ConfigError: a value that cannot be sent, or that S3 would refuse.
    """
    headers = put_headers(options)
    algorithm = options.checksum_algorithm
    # MD5 is none of S3's checksums: it goes with each part, as Content-MD5.
    if algorithm not in {"", "none", "MD5"}:
        kind = options.checksum_kind or ("FULL_OBJECT" if supports_full_object(algorithm) else "COMPOSITE")
        if kind == "FULL_OBJECT" and not supports_full_object(algorithm):
            raise ConfigError(
                f"a FULL_OBJECT checksum by {algorithm} of an upload in parts",
                hint="use CRC64NVME, CRC32 or CRC32C, or a COMPOSITE checksum",
            )
        headers["x-amz-checksum-algorithm"] = checked("x-amz-checksum-algorithm", algorithm)
        headers["x-amz-checksum-type"] = checked("x-amz-checksum-type", kind)
    return Request(
        "CreateMultipartUpload",
        "POST",
        bucket,
        key,
        (("uploads", ""),),
        headers,
        kind="write",
        repeatable=False,
        classify=_created,
    )


def _part_query(upload_id: str, number: int) -> tuple[tuple[str, str], ...]:
    if not 1 <= number <= MAX_PARTS:
        raise ConfigError(f"part number {number}", hint=f"parts are numbered 1 to {MAX_PARTS}")
    return (("partNumber", str(number)), ("uploadId", upload_id))


def upload_part(
    bucket: str, key: str, upload_id: str, number: int, body: Body, options: PartOptions = _PART
) -> Request:
    """Write one part (5 MiB to 5 GiB, the last may be smaller); writing it again replaces it.

    Raises:
        ConfigError: a number that S3 does not have, or a value that cannot be sent.
    """
    headers = customer_key_headers(options.encryption)
    if options.checksum is not None:
        headers.update(checksum_headers(options.checksum))
    return Request(
        "UploadPart",
        "PUT",
        bucket,
        key,
        _part_query(upload_id, number),
        headers,
        body,
        kind="write",
    )


def upload_part_copy(
    bucket: str,
    key: str,
    upload_id: str,
    number: int,
    source: CopySource,
    byte_range: ByteRange | None = None,
    options: PartOptions = _PART,
) -> Request:
    """Copy an object, or a range of it, into a part; a 200 may hold an error.

    Raises:
        ConfigError: a range without an end, or see `upload_part`.
    """
    headers = copy_source_headers(source)
    headers.update(customer_key_headers(options.encryption))
    if byte_range is not None:
        if byte_range.end is None or byte_range.start < 0:
            raise ConfigError(
                f"a part copied from the open range {byte_range.header()}",
                hint="give its first and last byte",
            )
        headers["x-amz-copy-source-range"] = byte_range.header()
    return Request(
        "UploadPartCopy",
        "PUT",
        bucket,
        key,
        _part_query(upload_id, number),
        headers,
        kind="write",
        classify=_part_copied,
    )


def complete_multipart_upload(
    bucket: str,
    key: str,
    upload_id: str,
    parts: Sequence[PartInfo],
    options: PutOptions = _PUT,
    *,
    size: int | None = None,
) -> Request:
    """Make the object of its parts, which are sorted here; a 200 may hold an error.

    ``options`` gives conditions, the SSE-C key and, in ``checksum``, that of the whole object, which S3
    then checks; ``size`` in bytes likewise. It is not repeatable: once it has succeeded, the upload is gone.

    Raises:
        ConfigError: no parts, a part twice, or a value that cannot be sent.
    """
    ordered = sorted(parts, key=_number)
    numbers = [part.number for part in ordered]
    if not ordered or len(set(numbers)) != len(numbers):
        raise ConfigError(
            f"an upload of {len(numbers)} parts, some of them twice" if ordered else "an upload of no parts",
            hint="give each part once, and at least one (it may be empty)",
        )
    headers = {"content-type": "application/xml", **customer_key_headers(options.encryption)}
    headers.update(condition_headers(options))
    if options.checksum is not None:
        headers.update(_whole_checksum(options.checksum))
    if size is not None:
        headers["x-amz-mp-object-size"] = str(size)
    return Request(
        "CompleteMultipartUpload",
        "POST",
        bucket,
        key,
        (("uploadId", upload_id),),
        headers,
        document("CompleteMultipartUpload", "".join(map(_part_element, ordered))),
        kind="write",
        repeatable=False,
        classify=_completed,
    )


def _number(part: PartInfo) -> int:
    return part.number


def _whole_checksum(checksum: Checksum) -> dict[str, str]:
    if checksum.kind == "COMPOSITE":
        # S3 takes the checksum of checksums without the number of parts, SeaweedFS with it, and each refuses
        # the other form. The document has those of the parts, from which the store makes it by itself.
        return {"x-amz-checksum-type": "COMPOSITE"}
    headers = checksum_headers(checksum)
    if checksum.algorithm != "MD5":
        headers["x-amz-checksum-type"] = "FULL_OBJECT"
        return headers
    # Content-MD5 would be that of our document.
    return {}


def _part_element(part: PartInfo) -> str:
    checksum = ""
    if part.checksum is not None and part.checksum.algorithm != "MD5":
        checksum = leaf(f"Checksum{part.checksum.algorithm}", part.checksum.value)
    etag = leaf("ETag", quote_etag(part.etag))
    return f"<Part>{etag}{checksum}<PartNumber>{part.number}</PartNumber></Part>"


def abort_multipart_upload(bucket: str, key: str, upload_id: str) -> Request:
    """Give an upload up. Parts in flight may survive: list them afterwards and abort again until none are."""
    return Request("AbortMultipartUpload", "DELETE", bucket, key, (("uploadId", upload_id),), kind="delete")


def list_parts(
    bucket: str,
    key: str,
    upload_id: str,
    *,
    token: str = "",
    page_size: int = 1000,
    options: PartOptions = _PART,
) -> Request:
    """List the parts that were written, after the one that ``token`` names.

    Raises:
        ConfigError: an SSE-C key that is none.
    """
    query = [("uploadId", upload_id), ("max-parts", str(page_size))]
    if token:
        query.append(("part-number-marker", token))
    return Request(
        "ListParts",
        "GET",
        bucket,
        key,
        tuple(query),
        customer_key_headers(options.encryption),
        kind="list",
        classify=_parts_listed,
    )


def parse_create_multipart_upload(body: bytes) -> str:
    """Return the id of a new upload.

    Raises:
        BadXml: the answer holds none.
    """
    upload_id = parse(body, "InitiateMultipartUploadResult").value("UploadId")
    if not upload_id:
        raise BadXml("states no UploadId")
    return upload_id


def parse_upload_part(number: int, headers: Mapping[str, str], size: int = 0) -> PartInfo:
    """Read the answer to UploadPart; number and size are the caller's own."""
    checksums = read_checksums(headers)
    return PartInfo(number, unquote_etag(headers.get("etag", "")), size, checksums[0] if checksums else None)


def parse_upload_part_copy(number: int, body: bytes, size: int = 0) -> PartInfo:
    """Read the answer to UploadPartCopy.

    Raises:
        BadXml: it is not one.
    """
    root = parse(body, "CopyPartResult")
    checksums = checksums_in(root)
    return PartInfo(
        number,
        unquote_etag(root.value("ETag")),
        size,
        checksums[0] if checksums else None,
        root.time("LastModified"),
    )


def parse_complete_multipart_upload(body: bytes, headers: Mapping[str, str]) -> PutResult:
    """Read the answer to CompleteMultipartUpload; some stores leave the ETag empty.

    Raises:
        BadXml: it is not one.
    """
    root = parse(body, "CompleteMultipartUploadResult")
    return PutResult(
        unquote_etag(root.value("ETag")), headers.get("x-amz-version-id", ""), checksums_in(root)
    )


def parse_list_parts(body: bytes) -> ListParse[list[PartInfo], str]:
    """Read a page of ListParts; the token is the number of the last part, as text.

    Raises:
        BadXml: it is not one.
    """
    root = parse(body, *_LIST_PARTS_ROOTS)
    parts = []
    for element in root.all("Part"):
        checksums = checksums_in(element)
        parts.append(
            PartInfo(
                element.integer("PartNumber"),
                unquote_etag(element.value("ETag")),
                element.integer("Size"),
                checksums[0] if checksums else None,
                element.time("LastModified"),
            )
        )
    return ListParse(parts, root.value("NextPartNumberMarker"), root.value("IsTruncated") == "true")
