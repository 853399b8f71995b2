"""Checksums are those of S3, whatever the pieces and their order."""

from __future__ import annotations

import base64
import hashlib
import subprocess
import sys
import zlib

import pytest
from awscrt import checksums as crt
from hypothesis import given
from hypothesis import strategies as st

from haulyard.checksums import (
    checksum_of,
    combine,
    comparable,
    composite,
    compute,
    digest_of,
    etag_is_md5,
    hasher,
    supports_full_object,
    verify,
)
from haulyard.errors import ConfigError
from haulyard.models import Checksum, ObjectHead

CRCS = ("CRC64NVME", "CRC32", "CRC32C")
ALL = (*CRCS, "SHA256", "SHA1", "SHA512", "MD5")
pieces = st.lists(st.binary(max_size=50), max_size=6)


@pytest.mark.parametrize(
    ("algorithm", "expected"),
    [
        # The check values of "123456789" in the catalogue of CRC algorithms.
        ("CRC64NVME", bytes.fromhex("ae8b14860a799888")),
        ("CRC32", bytes.fromhex("cbf43926")),
        ("CRC32C", bytes.fromhex("e3069283")),
        ("SHA256", hashlib.sha256(b"123456789").digest()),
        ("MD5", hashlib.md5(b"123456789", usedforsecurity=False).digest()),
    ],
)
def test_checksums_are_the_published_ones(algorithm: str, expected: bytes) -> None:
    assert compute(algorithm, b"123456789") == Checksum(algorithm, base64.b64encode(expected).decode())


@pytest.mark.parametrize("algorithm", ALL)
@given(content=pieces)
def test_pieces_make_the_same_checksum_as_the_whole(algorithm: str, content: list[bytes]) -> None:
    state = hasher(algorithm)
    for piece in content:
        state.update(memoryview(bytearray(piece)))
    assert checksum_of(algorithm, state.digest()) == compute(algorithm, b"".join(content))


@pytest.mark.parametrize("algorithm", CRCS)
@given(content=pieces)
def test_checksums_of_parts_combine_to_that_of_the_object(algorithm: str, content: list[bytes]) -> None:
    parts = [(digest_of(compute(algorithm, piece)), len(piece)) for piece in content]
    assert combine(algorithm, parts) == compute(algorithm, b"".join(content))


def test_the_libraries_agree() -> None:
    assert compute("CRC32", b"abc").value == base64.b64encode(zlib.crc32(b"abc").to_bytes(4)).decode()
    assert compute("CRC64NVME", b"abc").value == base64.b64encode(crt.crc64nvme(b"abc").to_bytes(8)).decode()


def test_a_checksum_of_checksums_names_its_parts() -> None:
    digests = [hashlib.sha256(part).digest() for part in (b"one", b"two")]
    expected = base64.b64encode(hashlib.sha256(b"".join(digests)).digest()).decode()
    assert composite("SHA256", digests) == Checksum("SHA256", f"{expected}-2", "COMPOSITE")
    assert digest_of(composite("SHA256", digests)) == hashlib.sha256(b"".join(digests)).digest()


def test_sha_does_not_combine() -> None:
    assert [algorithm for algorithm in ALL if supports_full_object(algorithm)] == list(CRCS)
    with pytest.raises(ConfigError):
        combine("SHA256", [])


def test_an_unknown_algorithm_is_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        hasher("CRC7")
    assert "CRC64NVME" in caught.value.hint
    with pytest.raises(ConfigError):
        compute("crc32", b"")
    with pytest.raises(ConfigError):
        composite("CRC7", [])


FULL, OTHER = Checksum("CRC32", "aa=="), Checksum("CRC32", "bb==")
TWO, THREE = Checksum("CRC32", "aa==-2", "COMPOSITE"), Checksum("CRC32", "aa==-3", "COMPOSITE")


def test_only_like_is_compared_with_like() -> None:
    """Row "checksums": COMPOSITE and FULL_OBJECT are different things."""
    assert comparable(FULL, OTHER)
    assert comparable(TWO, TWO)
    assert not comparable(FULL, TWO)
    assert not comparable(TWO, THREE)
    assert not comparable(FULL, Checksum("CRC32C", "aa=="))
    assert verify(FULL, FULL)
    assert not verify(FULL, OTHER)
    for other in (TWO, Checksum("CRC32C", "aa==")):
        with pytest.raises(ValueError, match="cannot be compared"):
            verify(FULL, other)


@pytest.mark.parametrize(
    ("etag", "encryption", "parts", "expected"),
    [
        ("900150983cd24fb0d6963f7d28e17f72", "", 0, True),
        ("900150983cd24fb0d6963f7d28e17f72", "AES256", 0, True),
        ("900150983cd24fb0d6963f7d28e17f72", "aws:kms", 0, False),
        ("900150983cd24fb0d6963f7d28e17f72", "SSE-C", 0, False),
        ("900150983cd24fb0d6963f7d28e17f72", "", 1, False),
        ("900150983cd24fb0d6963f7d28e17f72-2", "", 0, False),
        ("900150983CD24FB0D6963F7D28E17F72", "", 0, False),
        ("", "", 0, False),
    ],
)
def test_an_etag_is_an_md5_only_of_plain_objects_in_one_piece(
    etag: str, encryption: str, parts: int, *, expected: bool
) -> None:
    """Row "ETag": opaque; MD5 only for plain single-part objects without KMS or SSE-C."""
    head = ObjectHead("k", 3, None, etag, encryption=encryption, parts_count=parts)
    assert etag_is_md5(head) is expected


def test_the_runtime_of_aws_is_loaded_by_its_first_use() -> None:
    program = (
        "import sys, haulyard.checksums as c; c.compute('CRC32', b'x'); assert '_awscrt' not in sys.modules;"
        "c.compute('CRC64NVME', b'x'); assert '_awscrt' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
