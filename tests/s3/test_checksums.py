"""Checksums in headers and documents."""

from __future__ import annotations

import pytest

from haulyard.errors import ConfigError
from haulyard.models import Checksum
from haulyard.s3.checksums import checksum_headers, checksums_in, content_md5, crc32_header, read_checksums
from haulyard.s3.xml import parse

CRC64 = "BeXKuz/B+us="


@pytest.mark.parametrize(
    ("checksum", "header"),
    [
        (Checksum("CRC64NVME", CRC64), "x-amz-checksum-crc64nvme"),
        (Checksum("CRC32", "NSRBwg=="), "x-amz-checksum-crc32"),
        (Checksum("CRC32C", "NSRBwg=="), "x-amz-checksum-crc32c"),
        (Checksum("SHA256", "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="), "x-amz-checksum-sha256"),
        (Checksum("SHA1", "qZk+NkcGgWq6PiVxeFDCbJzQ2J0="), "x-amz-checksum-sha1"),
        (Checksum("MD5", "kAFQmDzST7DWlj99KOF/cg=="), "content-md5"),
    ],
)
def test_each_algorithm_has_its_header(checksum: Checksum, header: str) -> None:
    assert checksum_headers(checksum) == {header: checksum.value}


@pytest.mark.parametrize(
    "checksum",
    [
        Checksum("CRC7", "AA=="),
        Checksum("CRC32", "NSRBwg==-2", "COMPOSITE"),
        Checksum("CRC32", "a\r\nX: 1"),
        Checksum("CRC32", "352441c2!"),
    ],
)
def test_what_is_no_checksum_of_a_body_is_refused(checksum: Checksum) -> None:
    with pytest.raises(ConfigError) as caught:
        checksum_headers(checksum)
    assert caught.value.hint


def test_checksums_are_read_from_headers() -> None:
    assert read_checksums({"etag": "x"}) == ()
    stated = {"x-amz-checksum-type": "FULL_OBJECT", "x-amz-checksum-crc64nvme": CRC64}
    assert read_checksums(stated) == (Checksum("CRC64NVME", CRC64),)
    assert read_checksums({"x-amz-checksum-type": "FULL_OBJECT", "x-amz-checksum-algorithm": "CRC32"}) == ()


def test_the_kind_shows_in_the_value_where_it_is_not_stated() -> None:
    """Row "checksums": COMPOSITE and FULL_OBJECT are different things."""
    assert read_checksums({"x-amz-checksum-sha256": "aa==-3"}) == (Checksum("SHA256", "aa==-3", "COMPOSITE"),)
    assert read_checksums({"x-amz-checksum-sha256": "aa=="})[0].kind == "FULL_OBJECT"


def test_checksums_are_read_from_documents() -> None:
    element = parse(
        b"<Part><ChecksumType>COMPOSITE</ChecksumType><ChecksumAlgorithm>CRC32</ChecksumAlgorithm>"
        b"<ChecksumCRC32>aa==-2</ChecksumCRC32><ChecksumXXHASH64>bb==</ChecksumXXHASH64><ChecksumSHA1/></Part>"
    )
    assert checksums_in(element) == (
        Checksum("CRC32", "aa==-2", "COMPOSITE"),
        Checksum("XXHASH64", "bb==", "COMPOSITE"),
    )


def test_documents_of_ours_carry_md5_and_crc32() -> None:
    assert content_md5(b"abc") == "kAFQmDzST7DWlj99KOF/cg=="
    assert crc32_header(b"abc") == {"x-amz-checksum-crc32": "NSRBwg=="}
