from __future__ import annotations

import bz2
import gzip
import random
from typing import TYPE_CHECKING
from unittest.mock import patch

import pyarrow as pa
import pytest
import zstandard
from tests.ingest.text.reading import profile, read

from haulyard.errors import IngestError

if TYPE_CHECKING:
    from collections.abc import Callable

ROWS = 5000
SEEDED = random.Random(7)
CSV = b"a,b\n" + b"".join(b"%d,%d\n" % (row, SEEDED.getrandbits(60)) for row in range(ROWS))
SCHEMA = pa.schema([("a", pa.int64()), ("b", pa.int64())])
KINDS: list[tuple[str, Callable[[bytes], bytes]]] = [
    ("gz", gzip.compress),
    ("bz2", bz2.compress),
    ("zst", zstandard.compress),
]


@pytest.mark.parametrize(("suffix", "compress"), KINDS)
@pytest.mark.parametrize("named", [True, False])
def test_compressed_files_are_read_whatever_their_name(
    suffix: str, compress: Callable[[bytes], bytes], named: bool
) -> None:
    data = compress(CSV)
    got = read(data, name=f"a.csv.{suffix}" if named else "a.csv", chunk=1000)
    assert [row["a"] for row in got.rows] == list(range(ROWS))
    assert got.schema == SCHEMA


@pytest.mark.parametrize(("suffix", "compress"), KINDS)
def test_members_behind_each_other_are_one_text(suffix: str, compress: Callable[[bytes], bytes]) -> None:
    data = compress(CSV[:1001]) + compress(CSV[1001:])
    assert len(read(data, SCHEMA, name=f"a.csv.{suffix}").rows) == ROWS


@pytest.mark.parametrize(("suffix", "compress"), KINDS)
@pytest.mark.parametrize("what", ["rows", "types"])
def test_what_ends_early_is_an_error_that_names_the_file_and_the_place(
    suffix: str, compress: Callable[[bytes], bytes], what: str
) -> None:
    data = compress(CSV)[:-100]
    name = f"a.csv.{suffix}"
    with pytest.raises(IngestError, match=rf"{name} is cut short: .* behind byte \d+ of its text") as raised:
        read(data, SCHEMA, name=name) if what == "rows" else profile(data, name=name)
    assert raised.value.hint == "upload it again"


def test_what_is_damaged_is_an_error() -> None:
    data = bytearray(gzip.compress(CSV))
    data[len(data) // 2] ^= 255
    with pytest.raises(IngestError, match=r"a\.csv\.gz is damaged"):
        read(bytes(data), SCHEMA, name="a.csv.gz")


def test_what_was_made_to_fill_memory_is_refused() -> None:
    data = gzip.compress(b"a,b\n" + b"0" * 4_000_000)
    with (
        patch(
            "haulyard.records.formats.compression.Inflater.__init__.__kwdefaults__",
            {"free": 1000, "ratio": 100},
        ),
        pytest.raises(IngestError, match="inflates to more than 100 times its size"),
    ):
        read(data, SCHEMA, name="a.csv.gz")


def test_a_name_may_promise_what_the_bytes_are_not() -> None:
    assert len(read(CSV, SCHEMA, name="a.csv.gz").rows) == ROWS


def test_compression_can_be_ruled_out() -> None:
    got = read(b"BZh,b\n1,2\n", name="a.csv.bz2", compression="none")
    assert got.rows == [{"BZh": 1, "b": 2}]
