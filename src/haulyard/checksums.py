"""Checksums: compute them, combine them, and compare like with like.

CRC64NVME and CRC32C are computed by the AWS Common Runtime (9.8 and 9.6 GiB/s, against 1.3 of SHA-256).
How S3 states checksums in headers and XML is `haulyard.s3.checksums`.
"""

from __future__ import annotations

import hashlib
from binascii import a2b_base64, b2a_base64, crc32
from typing import TYPE_CHECKING, Protocol

from haulyard.errors import ConfigError
from haulyard.models.objects import Checksum

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from haulyard.models.body import Buffer
    from haulyard.models.objects import ObjectHead

ALGORITHMS = ("CRC64NVME", "CRC32", "CRC32C", "SHA256", "SHA1", "MD5")
#: Digest sizes in bytes of the checksums that are linear: those of parts can be combined.
_CRC_BYTES = {"CRC64NVME": 8, "CRC32": 4, "CRC32C": 4}
_MD5_ETAG_LENGTH = 32


class Hasher(Protocol):
    """Consumes a content piece by piece, as those of `hashlib` do."""

    def update(self, data: Buffer, /) -> None:
        """Add the next piece."""

    def digest(self) -> bytes:
        """Return the digest of all pieces so far."""
        ...


class _Crc:
    __slots__ = ("_add", "_size", "_value")

    def __init__(self, add: Callable[[Buffer, int], int], size: int) -> None:
        self._add = add
        self._size = size
        self._value = 0

    def update(self, data: Buffer, /) -> None:
        self._value = self._add(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(self._size, "big")


def hasher(algorithm: str) -> Hasher:
    """Return a new hasher for one of S3's algorithms (also SHA512, which some stores state).

    Raises:
        ConfigError: unknown algorithm.
    """
    match algorithm:
        case "CRC64NVME" | "CRC32C":
            # Not at the top: the C library's own set-up takes 30 ms, also where only `_awscrt` is imported
            # (0.8 ms less), and commands that neither read nor write objects need none of it.
            from awscrt import checksums

            add = checksums.crc64nvme if algorithm == "CRC64NVME" else checksums.crc32c
            return _Crc(add, _CRC_BYTES[algorithm])
        case "CRC32":
            return _Crc(crc32, _CRC_BYTES[algorithm])
        case "SHA256" | "SHA1" | "SHA512" | "MD5":
            return hashlib.new(algorithm, usedforsecurity=False)
    raise unknown(algorithm)


def unknown(algorithm: str) -> ConfigError:
    """Return the error for an algorithm that is none of ours."""
    return ConfigError(f"unknown checksum algorithm {algorithm!r}", hint=f"one of {', '.join(ALGORITHMS)}")


def base64_of(data: bytes) -> str:
    """Return bytes as S3 writes them."""
    return b2a_base64(data, newline=False).decode("ascii")


def checksum_of(algorithm: str, digest: bytes) -> Checksum:
    """Return the checksum of a whole content from its digest."""
    return Checksum(algorithm, base64_of(digest))


def compute(algorithm: str, data: Buffer) -> Checksum:
    """Return the checksum of a content that is in memory.

    Raises:
        ConfigError: unknown algorithm.
    """
    state = hasher(algorithm)
    state.update(data)
    return checksum_of(algorithm, state.digest())


def supports_full_object(algorithm: str) -> bool:
    """Return whether S3 can state it over a whole multipart object; of SHA-1 and SHA-256 it cannot."""
    return algorithm in _CRC_BYTES


def combine(algorithm: str, parts: Iterable[tuple[bytes, int]]) -> Checksum:
    """Return the checksum of an object from the digests and sizes (bytes) of its parts, in its order.

    Raises:
        ConfigError: the algorithm's digests cannot be combined (see `supports_full_object`).
    """
    size = _CRC_BYTES.get(algorithm)
    if size is None:
        raise ConfigError(
            f"{algorithm} checksums of parts do not combine", hint=f"one of {', '.join(_CRC_BYTES)}"
        )
    from awscrt import checksums  # lazily: see `hasher`

    join = {
        "CRC64NVME": checksums.combine_crc64nvme,
        "CRC32": checksums.combine_crc32,
        "CRC32C": checksums.combine_crc32c,
    }[algorithm]
    whole = 0
    for digest, length in parts:
        whole = join(whole, int.from_bytes(digest, "big"), length)
    return checksum_of(algorithm, whole.to_bytes(size, "big"))


def composite(algorithm: str, digests: Iterable[bytes]) -> Checksum:
    """Return S3's checksum of checksums: over the digests of the parts, in their order, with their number.

    Raises:
        ConfigError: unknown algorithm.
    """
    state = hasher(algorithm)
    count = 0
    for digest in digests:
        state.update(digest)
        count += 1
    return Checksum(algorithm, f"{base64_of(state.digest())}-{count}", "COMPOSITE")


def digest_of(checksum: Checksum) -> bytes:
    """Return the digest that a checksum states, without the number of parts.

    Raises:
        ValueError: it is no base64.
    """
    return a2b_base64(checksum.value.partition("-")[0], strict_mode=True)


def comparable(one: Checksum, other: Checksum) -> bool:
    """Return whether two checksums say the same thing of the same thing.

    Composite ones only compare where they are over the same number of parts (and then still need the
    same part sizes to be equal for the same content).
    """
    if one.algorithm != other.algorithm or one.kind != other.kind:
        return False
    return one.kind != "COMPOSITE" or one.value.rpartition("-")[2] == other.value.rpartition("-")[2]


def verify(expected: Checksum, actual: Checksum) -> bool:
    """Return whether two comparable checksums agree.

    Raises:
        ValueError: they are not comparable, so that neither answer would be true.
    """
    if not comparable(expected, actual):
        raise ValueError(f"{expected} and {actual} cannot be compared")
    return expected.value == actual.value


def etag_is_md5(head: ObjectHead) -> bool:
    """Return whether the ETag is the MD5 of the content.

    "Common response headers": of objects written in one piece, in plain or under SSE-S3. Other stores may
    make their ETags as they like: a mismatch proves nothing there.
    """
    etag = head.etag
    return (
        len(etag) == _MD5_ETAG_LENGTH
        and etag.isascii()
        and all(character in "0123456789abcdef" for character in etag)
        and head.encryption in {"", "AES256"}
        and head.parts_count == 0
    )
