"""Checksums as S3 states them: in headers and in XML. The arithmetic is `haulyard.checksums`.

Signatures::

    checksum_headers(checksum) -> dict               raises ConfigError
    read_checksums(headers) · checksums_in(element) -> tuple[Checksum, ...]
    content_md5(body) -> str · crc32_header(body) -> dict
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from haulyard.checksums import base64_of, compute, digest_of, unknown
from haulyard.errors import ConfigError
from haulyard.models.objects import Checksum

if TYPE_CHECKING:
    from collections.abc import Mapping

    from haulyard.models.body import Buffer
    from haulyard.s3.xml import Element

#: What we compute, and the header that carries it. MD5 goes the way that every store knows.
HEADERS = {
    "CRC64NVME": "x-amz-checksum-crc64nvme",
    "CRC32": "x-amz-checksum-crc32",
    "CRC32C": "x-amz-checksum-crc32c",
    "SHA256": "x-amz-checksum-sha256",
    "SHA1": "x-amz-checksum-sha1",
    "MD5": "content-md5",
}

_PREFIX = "x-amz-checksum-"
_NO_CHECKSUMS = frozenset({"x-amz-checksum-type", "x-amz-checksum-algorithm", "x-amz-checksum-mode"})


def checksum_headers(checksum: Checksum) -> dict[str, str]:
    """Return the header that lets the store check the content.

    Raises:
        ConfigError: an algorithm without a header, a COMPOSITE checksum, or a value that is no base64.
    """
    header = HEADERS.get(checksum.algorithm)
    if header is None:
        raise unknown(checksum.algorithm)
    if checksum.kind == "COMPOSITE":
        raise ConfigError(
            "a COMPOSITE checksum is one of parts and cannot describe a body",
            hint="compute the checksum of the whole content",
        )
    try:
        digest_of(checksum)
    except ValueError:
        raise ConfigError(
            f"{checksum.algorithm} checksum {checksum.value[:100]!r} is no base64",
            hint="give the digest in base64, as S3 does",
        ) from None
    return {header: checksum.value}


def read_checksums(headers: Mapping[str, str]) -> tuple[Checksum, ...]:
    """Return the checksums that an answer's headers state (lower-case names), of whatever algorithm."""
    found = [name for name in headers if name.startswith(_PREFIX) and name not in _NO_CHECKSUMS]
    if not found:
        return ()
    kind = headers.get("x-amz-checksum-type", "")
    return tuple(
        Checksum(name[len(_PREFIX) :].upper(), headers[name], kind or _kind_of(headers[name]))
        for name in found
        if headers[name]
    )


def checksums_in(element: Element) -> tuple[Checksum, ...]:
    """Return the checksums that an element's children state."""
    kind = element.value("ChecksumType")
    return tuple(
        Checksum(child.tag.removeprefix("Checksum"), child.text, kind or _kind_of(child.text))
        for child in element.children
        if child.tag.startswith("Checksum")
        and child.tag not in {"Checksum", "ChecksumType", "ChecksumAlgorithm"}
        and child.text
    )


def _kind_of(value: str) -> str:
    # Base64 has no dash: "-N" marks a checksum over those of N parts.
    return "COMPOSITE" if "-" in value else "FULL_OBJECT"


def content_md5(body: Buffer) -> str:
    """Return the value of a Content-MD5 header."""
    return base64_of(hashlib.md5(body, usedforsecurity=False).digest())


def crc32_header(body: Buffer) -> dict[str, str]:
    """Return the checksum header for a small document of ours, without loading `awscrt` for it."""
    return checksum_headers(compute("CRC32", body))
