from __future__ import annotations

import pytest

from haulyard.records.formats.detection import compression_of, format_of


@pytest.mark.parametrize(
    ("key", "head", "expected"),
    [
        ("a.csv", b"[1]", "csv"),
        ("a/B.TSV.gz", b"", "tsv"),
        ("a.ndjson.zst", b"", "jsonl"),
        ("a.pq", b"", "parquet"),
        ("a.json", b"", None),
        ("a.json", b'{"a":1}\n{"a":2}\n', "jsonl"),
        ("a.json", b'{"a":1}\n', "json"),
        ("a.json", b'{\n"a":1}\n{"a":2}\n', "json"),
        ("a.json", b'\xef\xbb\xbf [{"a":1},\n', "json"),
        ("a.json", b"1 2", "json"),
        ("data", b"PAR1\x15", "parquet"),
        ("data", b'{"a":1}\n{"a":2}\n', "jsonl"),
        ("data", b"[1,2]", "json"),
        ("data", b"a,b\n1,2\n", "csv"),
        ("data", b"", None),
    ],
)
def test_formats_are_told_by_name_and_else_by_content(key: str, head: bytes, expected: str | None) -> None:
    assert format_of(key, head) == expected


@pytest.mark.parametrize(
    ("key", "head", "expected"),
    [
        ("a.csv", b"\x1f\x8b\x08", "gzip"),
        ("a", b"\x28\xb5\x2f\xfd", "zstd"),
        ("a.csv.zst", b"\x50\x2a\x4d\x18\x04\x00\x00\x00", "zstd"),
        ("a", b"\x5f\x2a\x4d\x18\x04\x00\x00\x00", "zstd"),
        ("a", b"P*M;x\n", ""),
        ("a.bz2", b"BZh9", "bz2"),
        ("a", b"BZh91AY&SY\x00\xff", "bz2"),
        ("a", b"BZhang,Li\n", ""),
        ("a.csv.gz", b"a,b\n", ""),
        ("a.csv", b"a,b\n", ""),
    ],
)
def test_compression_is_told_by_content(key: str, head: bytes, expected: str) -> None:
    assert compression_of(key, head) == expected
