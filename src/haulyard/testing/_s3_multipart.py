"""Multipart uploads of the in-memory S3."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from itertools import count, pairwise
from time import time
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl

from haulyard.testing._s3_objects import (
    StoredObject,
    algorithm_in,
    checksum_header,
    digest,
    etag_of,
    iso_date,
    kept_headers,
    verified_checksum,
)
from haulyard.testing._s3_xml import Refused, document, element, parse_xml

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from haulyard.testing._http1 import Answer

MINIMUM_PART_SIZE: Final = 5 << 20
"""Bytes; every part but the last. https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html"""

MAXIMUM_PARTS: Final = 10_000
"""Likewise."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of an upload."""

    body: bytes
    etag: str
    checksum: Mapping[str, str]
    last_modified: float = field(default_factory=time)

    @property
    def iso_date(self) -> str:
        """`last_modified` as S3's XML has it."""
        return iso_date(self.last_modified)


@dataclass(slots=True)
class Upload:
    """A multipart upload that has neither been completed nor aborted."""

    bucket: str
    key: str
    headers: Mapping[str, str]
    parts: dict[int, Part] = field(default_factory=dict)
    initiated: float = field(default_factory=time)

    @property
    def algorithm(self) -> str:
        return self.headers.get("x-amz-checksum-algorithm", "crc64nvme").lower()

    @property
    def checksum_type(self) -> str:
        """As asked for, else as S3 chooses: CRC64NVME is of the whole object, others of the parts."""
        default = "FULL_OBJECT" if self.algorithm == "crc64nvme" else "COMPOSITE"
        return self.headers.get("x-amz-checksum-type", default)


class Uploads:
    """The multipart uploads in progress, by upload id."""

    def __init__(self, minimum_part_size: int) -> None:
        self._minimum_part_size = minimum_part_size
        self._open: dict[str, Upload] = {}
        self._numbers = count(1)

    def in_progress(self) -> dict[str, Upload]:
        """Every upload by its id, oldest first."""
        return dict(self._open)

    def create(self, bucket: str, key: str, headers: Mapping[str, str]) -> Answer:
        number = f"upload-{next(self._numbers)}"
        upload = self._open[number] = Upload(bucket, key, headers)
        answer = document(
            "InitiateMultipartUploadResult",
            element("Bucket", bucket),
            element("Key", key),
            element("UploadId", number),
        )
        if "x-amz-checksum-algorithm" in headers:
            names = ("x-amz-checksum-algorithm", "x-amz-checksum-type")
            values = (upload.algorithm.upper(), upload.checksum_type)
            return answer.with_headers(dict(zip(names, values, strict=True)))
        return answer

    def find(self, number: str, bucket: str, key: str) -> Upload:
        """Return an upload.

        Raises:
            Refused: NoSuchUpload, also where it is another key's.
        """
        upload = self._open.get(number)
        if upload is None or (upload.bucket, upload.key) != (bucket, key):
            raise Refused("NoSuchUpload", "The specified upload does not exist.")
        return upload

    def add_part(self, upload: Upload, number: str, body: bytes, headers: Mapping[str, str]) -> Part:
        """Keep a part; an earlier one of the same number is replaced.

        Raises:
            Refused: InvalidArgument, or a checksum that is wrong.
        """
        if not number.isdigit() or not 1 <= int(number) <= MAXIMUM_PARTS:
            raise Refused("InvalidArgument", "Part number must be an integer between 1 and 10000, inclusive")
        part = Part(body, etag_of(body), verified_checksum(body, headers, default=upload.algorithm))
        upload.parts[int(number)] = part
        return part

    def assemble(self, upload: Upload, manifest: bytes, headers: Mapping[str, str]) -> StoredObject:
        """Return the object that a CompleteMultipartUpload makes of the parts it lists.

        Raises:
            Refused: MalformedXML, InvalidPart, InvalidPartOrder, EntityTooSmall or BadDigest.
        """
        parts = [self._listed_part(upload, item) for item in parse_xml(manifest, "Part")]
        numbers = [number for number, _ in parts]
        if not parts:
            raise Refused("MalformedXML", "You must specify at least one part")
        if any(later <= earlier for earlier, later in pairwise(numbers)):
            raise Refused("InvalidPartOrder", "The list of parts was not in ascending order.")
        if any(len(part.body) < self._minimum_part_size for _, part in parts[:-1]):
            raise Refused("EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size")
        body = b"".join(part.body for _, part in parts)
        return StoredObject(
            body=body,
            etag=_etag_of_parts(part.etag for _, part in parts),
            headers=kept_headers(upload.headers),
            checksums=_checksum_of_parts(upload, body, [part.body for _, part in parts], headers),
            tags=dict(parse_qsl(upload.headers.get("x-amz-tagging", ""), keep_blank_values=True)),
        )

    def close(self, number: str) -> None:
        """Forget an upload and its parts."""
        del self._open[number]

    def _listed_part(self, upload: Upload, item: Mapping[str, str]) -> tuple[int, Part]:
        number = item.get("PartNumber", "")
        part = upload.parts.get(int(number)) if number.isdigit() else None
        if part is None or item.get("ETag", "").strip('"') != part.etag.strip('"'):
            raise Refused("InvalidPart", "One or more of the specified parts could not be found.")
        return int(number), part


def _etag_of_parts(etags: Iterable[str]) -> str:
    raw = [bytes.fromhex(etag.strip('"')) for etag in etags]
    return f'"{hashlib.md5(b"".join(raw), usedforsecurity=False).hexdigest()}-{len(raw)}"'


def _checksum_of_parts(
    upload: Upload, body: bytes, parts: list[bytes], headers: Mapping[str, str]
) -> dict[str, str]:
    if upload.checksum_type == "FULL_OBJECT":
        claimed = {name: value for name, value in headers.items() if algorithm_in({name: value})}
        found = verified_checksum(body, claimed, default=upload.algorithm)
    else:
        digests = b"".join(digest(upload.algorithm, part) for part in parts)
        found = {
            name: f"{value}-{len(parts)}"
            for name, value in checksum_header(upload.algorithm, digests).items()
        }
    return {**found, "x-amz-checksum-type": upload.checksum_type}
