"""GetObjectAttributes: size, checksums and parts of an object without reading it.

Signatures::

    get_object_attributes(bucket, key, options=GetOptions(), *, part_marker=0) -> Request
    parse_attributes(headers, body) -> ObjectAttributes                    raises BadXml
    attributes_part_marker(body) -> int                                    raises BadXml
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from haulyard.models.objects import ObjectAttributes, PartInfo
from haulyard.models.options import GetOptions
from haulyard.s3.checksums import checksums_in
from haulyard.s3.dates import parse_http_date
from haulyard.s3.headers import customer_key_headers, unquote_etag
from haulyard.s3.request import Request
from haulyard.s3.xml import Element, parse

if TYPE_CHECKING:
    from collections.abc import Mapping

_GET = GetOptions()
_ROOTS = ("GetObjectAttributesResponse", "GetObjectAttributesOutput")
_ATTRIBUTES = "ETag,Checksum,ObjectParts,StorageClass,ObjectSize"


def get_object_attributes(
    bucket: str, key: str, options: GetOptions = _GET, *, part_marker: int = 0
) -> Request:
    """Ask for size, checksums and parts; ``part_marker`` is the part number to go on after.

    Raises:
        ConfigError: an SSE-C key that is none.
    """
    headers = customer_key_headers(options.encryption)
    headers["x-amz-object-attributes"] = _ATTRIBUTES
    if part_marker:
        headers["x-amz-part-number-marker"] = str(part_marker)
    version = (("versionId", options.version_id),) if options.version_id else ()
    return Request("GetObjectAttributes", "GET", bucket, key, (("attributes", ""), *version), headers)


def parse_attributes(headers: Mapping[str, str], body: bytes) -> ObjectAttributes:
    """Read the answer to GetObjectAttributes; it lists at most 1,000 parts (`attributes_part_marker`).

    Raises:
        BadXml: it is not one, or states no size.
    """
    root = parse(body, *_ROOTS)
    checksum = root.find("Checksum")
    parts = root.find("ObjectParts")
    listed = [] if parts is None else parts.all("Part")
    return ObjectAttributes(
        root.integer("ObjectSize"),
        unquote_etag(root.value("ETag")),
        root.value("StorageClass") or "STANDARD",
        () if checksum is None else checksums_in(checksum),
        len(listed) if parts is None else parts.integer("PartsCount", len(listed)),
        tuple(_parse_part(part) for part in listed),
        headers.get("x-amz-version-id", ""),
        parse_http_date(headers.get("last-modified", "")),
    )


def _parse_part(part: Element) -> PartInfo:
    checksums = checksums_in(part)
    return PartInfo(part.integer("PartNumber"), "", part.integer("Size"), checksums[0] if checksums else None)


def attributes_part_marker(body: bytes) -> int:
    """Return the part number to go on after, 0 where all parts are listed.

    Raises:
        BadXml: it is no answer to GetObjectAttributes.
    """
    parts = parse(body, *_ROOTS).find("ObjectParts")
    if parts is None or parts.value("IsTruncated") != "true":
        return 0
    return parts.integer("NextPartNumberMarker")
