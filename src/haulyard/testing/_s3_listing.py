"""What the in-memory S3 lists: buckets, keys, multipart uploads and their parts."""

from __future__ import annotations

import base64
import binascii
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import quote_plus

from haulyard.testing._s3_objects import StoredObject, iso_date
from haulyard.testing._s3_xml import Refused, document, element, group

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from haulyard.testing._http1 import Answer
    from haulyard.testing._s3_multipart import Part, Upload

PAGE: Final = 1000
"""Entries on a page at most, in every listing of S3."""


class _Entry(NamedTuple):
    name: str
    stored: StoredObject | None  # None for a common prefix


def list_buckets(created: Mapping[str, float]) -> Answer:
    """Answer ListBuckets."""
    buckets = (group("Bucket", Name=name, CreationDate=iso_date(created[name])) for name in sorted(created))
    return document("ListAllMyBucketsResult", f"<Buckets>{''.join(buckets)}</Buckets>")


def list_objects(bucket: str, objects: Mapping[str, StoredObject], parameters: Mapping[str, str]) -> Answer:
    """Answer ListObjectsV2: keys in the order of their UTF-8 bytes, up to 1,000 entries a page.

    Raises:
        Refused: InvalidArgument for a token or a number that is none.
    """
    prefix, delimiter = parameters.get("prefix", ""), parameters.get("delimiter", "")
    most = _number(parameters, "max-keys", PAGE)
    token = parameters.get("continuation-token")
    after = parameters.get("start-after", "") if token is None else _after_token(token)
    entries = _entries(objects, prefix, delimiter, after)
    page = list(islice(entries, most))
    is_truncated = bool(page) and next(entries, None) is not None
    spelled = _Spelling(parameters)
    optional = {"Delimiter": spelled(delimiter), "EncodingType": parameters.get("encoding-type", "")}
    optional |= {"ContinuationToken": token or "", "StartAfter": spelled(parameters.get("start-after", ""))}
    if is_truncated:
        optional["NextContinuationToken"] = base64.urlsafe_b64encode(page[-1].name.encode()).decode()
    return document(
        "ListBucketResult",
        element("Name", bucket),
        element("Prefix", spelled(prefix)),
        element("KeyCount", str(len(page))),
        element("MaxKeys", str(most)),
        element("IsTruncated", str(is_truncated).lower()),
        *(element(name, text) for name, text in optional.items() if text),
        *(_entry_xml(entry, spelled) for entry in page),
    )


def list_parts(upload_id: str, upload: Upload, parameters: Mapping[str, str]) -> Answer:
    """Answer ListParts.

    Raises:
        Refused: InvalidArgument for a number that is none.
    """
    most = _number(parameters, "max-parts", PAGE)
    marker = _number(parameters, "part-number-marker", None)
    rest = [item for item in sorted(upload.parts.items()) if item[0] > marker]
    page = rest[:most]
    return document(
        "ListPartsResult",
        element("Bucket", upload.bucket),
        element("Key", upload.key),
        element("UploadId", upload_id),
        element("PartNumberMarker", str(marker)),
        element("NextPartNumberMarker", str(page[-1][0] if page else marker)),
        element("MaxParts", str(most)),
        element("IsTruncated", str(len(rest) > most).lower()),
        *(_part_xml(number, part) for number, part in page),
    )


def list_uploads(bucket: str, uploads: Mapping[str, Upload], parameters: Mapping[str, str]) -> Answer:
    """Answer ListMultipartUploads, all on one page: by key, and by age for the same key."""
    prefix = parameters.get("prefix", "")
    spelled = _Spelling(parameters)
    wanted = [
        (upload.key.encode(), upload_id, upload)
        for upload_id, upload in uploads.items()
        if upload.bucket == bucket and upload.key.startswith(prefix)
    ]
    return document(
        "ListMultipartUploadsResult",
        element("Bucket", bucket),
        element("Prefix", spelled(prefix)),
        element("MaxUploads", str(PAGE)),
        element("IsTruncated", "false"),
        *(
            group("Upload", Key=spelled(upload.key), UploadId=number, Initiated=iso_date(upload.initiated))
            for _, number, upload in sorted(wanted, key=lambda item: item[0])
        ),
    )


class _Spelling:
    """How keys are written: as they are, or percent-encoded with `encoding-type=url`."""

    def __init__(self, parameters: Mapping[str, str]) -> None:
        self._encodes = parameters.get("encoding-type") == "url"

    def __call__(self, key: str) -> str:
        return quote_plus(key, safe="/") if self._encodes else key


def _entries(
    objects: Mapping[str, StoredObject], prefix: str, delimiter: str, after: str
) -> Iterator[_Entry]:
    """Keys, and prefixes common to several, that come after `after` (itself a key or such a prefix)."""
    common = ""
    for key in _in_order(key for key in objects if key.startswith(prefix)):
        if key.encode() <= after.encode() or (common and key.startswith(common)):
            continue
        head, found, _ = key[len(prefix) :].partition(delimiter) if delimiter else (key, "", "")
        if not found:
            yield _Entry(key, objects[key])
            continue
        common = prefix + head + delimiter
        if common != after:
            yield _Entry(common, None)


def _in_order(keys: Iterable[str]) -> list[str]:
    return sorted(keys, key=str.encode)


def _entry_xml(entry: _Entry, spelled: _Spelling) -> str:
    if entry.stored is None:
        return group("CommonPrefixes", Prefix=spelled(entry.name))
    stored = entry.stored
    return group(
        "Contents",
        Key=spelled(entry.name),
        LastModified=stored.iso_date,
        ETag=stored.etag,
        ChecksumAlgorithm=stored.algorithm.upper(),
        ChecksumType=stored.checksums.get("x-amz-checksum-type", ""),
        Size=str(len(stored.body)),
        StorageClass=stored.headers.get("x-amz-storage-class", "STANDARD"),
    )


def _part_xml(number: int, part: Part) -> str:
    checksum = {f"Checksum{name.rpartition('-')[2].upper()}": value for name, value in part.checksum.items()}
    return group(
        "Part",
        PartNumber=str(number),
        LastModified=part.iso_date,
        ETag=part.etag,
        Size=str(len(part.body)),
        **checksum,
    )


def _number(parameters: Mapping[str, str], name: str, most: int | None) -> int:
    """A parameter that is a number, at most `most` and that by default; 0 where `most` is None."""
    text = parameters.get(name, str(most or 0))
    if not text.isdigit():
        raise Refused("InvalidArgument", f"Provided {name} not an integer or within integer range")
    return int(text) if most is None else min(int(text), most)


def _after_token(token: str) -> str:
    try:
        return base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise Refused("InvalidArgument", "The continuation token provided is incorrect") from None
