from __future__ import annotations

import bz2
import gzip
import os
from typing import TYPE_CHECKING

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from haulyard.errors import RecordError
from haulyard.records.formats.compression import Inflater

if TYPE_CHECKING:
    from collections.abc import Callable

    from haulyard.records.model import Compression

MIB = 1024**2
KINDS: list[tuple[Compression, Callable[[bytes], bytes]]] = [
    ("gzip", gzip.compress),
    ("zstd", zstandard.ZstdCompressor(write_checksum=True).compress),
    ("bz2", bz2.compress),
]
kinds = pytest.mark.parametrize(("kind", "compress"), KINDS)


def inflate(kind: Compression, data: bytes, chunk: int = 1000) -> list[bytes]:
    inflater = Inflater(kind, "x")
    pieces = [piece for at in range(0, len(data), chunk) for piece in inflater.feed(data[at : at + chunk])]
    inflater.finish()
    return pieces


@kinds
@given(data=st.binary(max_size=200), cut=st.integers(0, 200), chunk=st.integers(1, 50))
def test_all_members_are_inflated_however_they_are_cut(
    kind: Compression, compress: Callable[[bytes], bytes], data: bytes, cut: int, chunk: int
) -> None:
    packed = compress(data[:cut]) + compress(data[cut:])
    assert b"".join(inflate(kind, packed, chunk)) == data


@pytest.mark.parametrize("chunk", [1, 7, 1000])
def test_zstd_frames_that_are_to_be_skipped_are_skipped(chunk: int) -> None:
    compress, skipped = zstandard.ZstdCompressor().compress, b"\x5a\x2a\x4d\x18\x03\x00\x00\x00abc"
    packed = skipped + compress(b"one") + skipped + compress(b"two") + skipped
    assert b"".join(inflate("zstd", packed, chunk)) == b"onetwo"


@kinds
def test_large_content_comes_in_small_pieces(kind: Compression, compress: Callable[[bytes], bytes]) -> None:
    data = os.urandom(MIB) + bytes(20 * MIB) + os.urandom(MIB)
    pieces = inflate(kind, compress(data), 10**7)
    assert b"".join(pieces) == data
    assert max(map(len, pieces)) <= 2 * MIB


@kinds
def test_bombs_are_given_up(kind: Compression, compress: Callable[[bytes], bytes]) -> None:
    inflater = Inflater(kind, "x", free=10 * MIB, ratio=10)
    given = 0

    def feed() -> int:
        total = 0
        for piece in inflater.feed(compress(bytes(50 * MIB))):
            total += len(piece)
            assert total <= 12 * MIB
        return total

    with pytest.raises(RecordError, match="x inflates to more than 10 times its size"):
        given = feed()
    assert not given


@kinds
def test_damaged_or_short_data_is_an_error_behind_what_was_read(
    kind: Compression, compress: Callable[[bytes], bytes]
) -> None:
    data = os.urandom(10_000)
    packed = compress(data)
    for short in (packed[:-1], packed[:5000], packed[:3]):
        with pytest.raises(RecordError, match=r"x is cut short: its compressed data ends behind byte"):
            inflate(kind, short)
    middle = len(packed) - 40
    broken = packed[:middle] + bytes(byte ^ 255 for byte in packed[middle:])
    with pytest.raises(RecordError, match=r"x is damaged behind byte|x is cut short"):
        inflate(kind, broken)
    with pytest.raises(RecordError, match="x is damaged behind byte 10000"):
        inflate(kind, packed + b"garbage, and no small amount of it")


def test_zeros_behind_the_last_member_are_padding() -> None:
    assert b"".join(inflate("gzip", gzip.compress(b"x") + bytes(1000), 7)) == b"x"
