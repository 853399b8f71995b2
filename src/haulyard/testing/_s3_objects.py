"""What the in-memory S3 holds: objects with their headers, checksums and conditions."""

from __future__ import annotations

import base64
import hashlib
import zlib
from dataclasses import dataclass, field
from email.utils import formatdate
from time import gmtime, strftime, time
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl

from haulyard.testing._s3_xml import Refused

if TYPE_CHECKING:
    from collections.abc import Mapping

_KEPT_HEADERS: Final = (
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-type",
    "expires",
    "x-amz-server-side-encryption",
    "x-amz-server-side-encryption-aws-kms-key-id",
    "x-amz-storage-class",
    "x-amz-website-redirect-location",
)
_CHECKSUM: Final = "x-amz-checksum-"
ALGORITHMS: Final = ("crc64nvme", "crc32c", "crc32", "sha256", "sha1")


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object as the in-memory S3 keeps it.

    Attributes:
        body: The content.
        etag: In its quotes; an MD5 for what was written at once, `"…-N"` for N parts.
        headers: What GET and HEAD return as it was written: content type, `x-amz-meta-*` and so on.
        checksums: `x-amz-checksum-*` headers, among them `x-amz-checksum-type`.
        tags: The object's tags.
        last_modified: Seconds since the epoch.
    """

    body: bytes
    etag: str
    headers: Mapping[str, str] = field(default_factory=dict)
    checksums: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    last_modified: float = field(default_factory=time)

    @property
    def http_date(self) -> str:
        """`last_modified` as in the header of that name."""
        return formatdate(self.last_modified, usegmt=True)

    @property
    def iso_date(self) -> str:
        """`last_modified` as in listings."""
        return iso_date(self.last_modified)

    @property
    def algorithm(self) -> str:
        """The algorithm of its checksum, such as `crc64nvme`."""
        return algorithm_in(self.checksums) or ""


def new_object(body: bytes, headers: Mapping[str, str], algorithm: str = "crc64nvme") -> StoredObject:
    """Return what a PutObject with these headers stores; `algorithm` where they carry no checksum.

    Raises:
        Refused: If a checksum in the headers is not that of the body.
    """
    return StoredObject(
        body=body,
        etag=etag_of(body),
        headers=kept_headers(headers),
        checksums=verified_checksum(body, headers, algorithm) | {f"{_CHECKSUM}type": "FULL_OBJECT"},
        tags=dict(parse_qsl(headers.get("x-amz-tagging", ""), keep_blank_values=True)),
    )


def kept_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers of a write that S3 keeps with the object."""
    kept = {name: value for name, value in headers.items() if name.startswith("x-amz-meta-")}
    kept |= {name: headers[name] for name in _KEPT_HEADERS if name in headers}
    if kept.get("x-amz-storage-class") == "STANDARD":
        del kept["x-amz-storage-class"]  # S3 does not name the default
    return {"content-type": "binary/octet-stream", **kept}


def iso_date(seconds: float) -> str:
    """Return seconds since the epoch as S3's XML has them."""
    return strftime("%Y-%m-%dT%H:%M:%S.000Z", gmtime(seconds))


def etag_of(body: bytes) -> str:
    """Return the ETag of an object that was written at once."""
    return f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'


def digest(algorithm: str, body: bytes) -> bytes:
    """Return a checksum's bytes; CRCs are big-endian, as in S3's headers."""
    if algorithm == "sha256":
        return hashlib.sha256(body).digest()
    if algorithm == "sha1":
        return hashlib.sha1(body, usedforsecurity=False).digest()
    if algorithm == "crc32":
        return zlib.crc32(body).to_bytes(4, "big")
    from awscrt import checksums

    if algorithm == "crc32c":
        return int(checksums.crc32c(body)).to_bytes(4, "big")
    return int(checksums.crc64nvme(body)).to_bytes(8, "big")


def checksum_header(algorithm: str, body: bytes) -> dict[str, str]:
    """Return the one header that carries a body's checksum."""
    return {f"{_CHECKSUM}{algorithm}": base64.b64encode(digest(algorithm, body)).decode()}


def algorithm_in(headers: Mapping[str, str]) -> str | None:
    """Return the algorithm of the checksum that is among some headers."""
    return next((name for name in ALGORITHMS if f"{_CHECKSUM}{name}" in headers), None)


def verified_checksum(body: bytes, headers: Mapping[str, str], default: str = "crc64nvme") -> dict[str, str]:
    """Return the checksum header to keep, after all that the request carries were found right.

    Where there is none the default is computed, as S3 has done since December 2024.

    Raises:
        Refused: BadDigest, or XAmzContentSHA256Mismatch.
    """
    payload = headers.get("x-amz-content-sha256", "")
    if payload.startswith("STREAMING-"):
        raise Refused("NotImplemented", "aws-chunked bodies are not understood here")
    if payload not in ("", "UNSIGNED-PAYLOAD", hashlib.sha256(body).hexdigest()):
        raise Refused("XAmzContentSHA256Mismatch", "The body is not what x-amz-content-sha256 says")
    md5 = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
    if headers.get("content-md5", md5) != md5:
        raise Refused("BadDigest", "The Content-MD5 you specified did not match what we received.")
    algorithm = algorithm_in(headers) or default
    found = checksum_header(algorithm, body)
    for name, value in found.items():
        if headers.get(name, value) != value:
            raise Refused(
                "BadDigest", f"The {algorithm.upper()} you specified did not match what we received."
            )
    return found


def check_write(headers: Mapping[str, str], current: StoredObject | None) -> None:
    """Enforce If-Match and If-None-Match of a write or a delete.

    Raises:
        Refused: PreconditionFailed; NoSuchKey for If-Match on a key that is not there.
    """
    if "if-match" in headers and current is None:
        raise Refused("NoSuchKey", "The specified key does not exist.")
    if current is None:
        return
    if not _matches(headers.get("if-match", "*"), current):
        raise _precondition_failed("If-Match")
    if "if-none-match" in headers and _matches(headers["if-none-match"], current):
        raise _precondition_failed("If-None-Match")


def check_copy_source(headers: Mapping[str, str], source: StoredObject) -> None:
    """Enforce the conditions of a copy on its source.

    Raises:
        Refused: PreconditionFailed.
    """
    if not _matches(headers.get("x-amz-copy-source-if-match", "*"), source):
        raise _precondition_failed("x-amz-copy-source-If-Match")
    unwanted = headers.get("x-amz-copy-source-if-none-match")
    if unwanted is not None and _matches(unwanted, source):
        raise _precondition_failed("x-amz-copy-source-If-None-Match")


def check_read(headers: Mapping[str, str], current: StoredObject) -> bool:
    """Enforce the conditions of a GET or HEAD; False for 304 Not Modified.

    Raises:
        Refused: PreconditionFailed.
    """
    if not _matches(headers.get("if-match", "*"), current):
        raise _precondition_failed("If-Match")
    return "if-none-match" not in headers or not _matches(headers["if-none-match"], current)


def _matches(condition: str, current: StoredObject) -> bool:
    wanted = {etag.strip().strip('"') for etag in condition.split(",")}
    return "*" in wanted or current.etag.strip('"') in wanted


def _precondition_failed(condition: str) -> Refused:
    return Refused("PreconditionFailed", f"At least one of the pre-conditions did not hold: {condition}")
