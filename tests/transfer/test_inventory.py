from __future__ import annotations

import gzip
import io
import json
import sys
from hashlib import md5
from typing import TYPE_CHECKING, Any

import pytest

from haulyard.errors import ConfigError, IntegrityError
from haulyard.transfer import inventory
from haulyard.transfer.inventory import DataFile, Inventory, parse_inventory, rows
from haulyard.transfer.listed import Listed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.anyio

CSV = {
    "sourceBucket": "source",
    "destinationBucket": "arn:aws:s3:::inventories",
    "version": "2016-11-30",
    "creationTimestamp": "1514944800000",
    "fileFormat": "CSV",
    "fileSchema": "Bucket, Key, VersionId, IsLatest, IsDeleteMarker, Size",
    "files": [
        {"key": "inv/source/data/a.csv.gz", "size": 10, "MD5checksum": "f11166069f1990abeb9c97ace9cdfabc"}
    ],
}
PARQUET = CSV | {
    "fileFormat": "Parquet",
    "fileSchema": "message s3.inventory { required binary bucket (UTF8); }",
}


def parse(content: dict[str, Any]) -> Inventory:
    return parse_inventory(json.dumps(content).encode(), "manifest.json")


async def read(manifest: Inventory, data: bytes, checksum: str = "") -> list[Listed]:
    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(data), 7):
            yield data[start : start + 7]

    file = DataFile("data/a.csv.gz", checksum)
    return [each async for page in rows(manifest, file, chunks(), "a.csv.gz") for each in page]


def test_a_manifest_names_buckets_columns_and_data_files() -> None:
    assert parse(CSV) == Inventory(
        "source",
        "inventories",
        ("bucket", "key", "versionid", "islatest", "isdeletemarker", "size"),
        (DataFile("inv/source/data/a.csv.gz", "f11166069f1990abeb9c97ace9cdfabc"),),
        is_parquet=False,
    )


@pytest.mark.parametrize(
    "text", [b"{}", b"[]", b"no json", b'{"files": 1}', json.dumps(CSV | {"files": [1]}).encode()]
)
def test_what_is_no_manifest_is_refused(text: bytes) -> None:
    with pytest.raises(ConfigError, match=r"x\.json is no manifest\.json of S3 Inventory"):
        parse_inventory(text, "x.json")


def test_orc_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="an S3 Inventory in ORC"):
        parse(CSV | {"fileFormat": "ORC"})


async def test_rows_of_gzipped_csv_are_the_current_objects() -> None:
    data = gzip.compress(
        b'"source","a+b%2Fc","v2","true","false","1"\n'
        b'"source","a+b%2Fc","v1","false","false","1"\n'
        b'"source","gone","v3","true","true",""\n'
    )
    assert await read(parse(CSV), data, md5(data, usedforsecurity=False).hexdigest()) == [
        Listed(1, "source", "a b/c", size=1)
    ]


async def test_rows_tell_what_the_schema_has_of_the_objects() -> None:
    schema = {"fileSchema": "Bucket, Key, Size, LastModifiedDate, ETag, StorageClass"}
    data = gzip.compress(
        b'"source","a","5","2026-01-02T03:04:05.000Z","d41d8","GLACIER"\n"source","b","","","",""\n'
    )
    assert await read(parse(CSV | schema), data) == [
        Listed(1, "source", "a", "", 5, 1767323045.0, "d41d8", "GLACIER"),
        Listed(2, "source", "b"),
    ]
    for row in (b'"source","a","x","","",""', b'"source","a","1","soon","",""'):
        with pytest.raises(ConfigError, match=r"a\.csv\.gz, line 1: "):
            await read(parse(CSV | schema), gzip.compress(row))


async def test_a_data_file_that_is_not_the_one_meant_is_refused() -> None:
    data = gzip.compress(b'"source","a","v2","true","false","1"\n')
    with pytest.raises(IntegrityError, match=r"a\.csv\.gz has the MD5 .*, its manifest says f111"):
        await read(parse(CSV), data, "f11166069f1990abeb9c97ace9cdfabc")


async def test_a_malformed_row_is_named_by_file_and_line() -> None:
    data = gzip.compress(b'"source","a","v2","true","false","1"\n"source"\n')
    with pytest.raises(ConfigError, match=r"a\.csv\.gz, line 2: 1 columns"):
        await read(parse(CSV), data)


def test_parquet_without_pyarrow_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(ConfigError, match="needs pyarrow") as caught:
        parse(PARQUET)
    assert "haulyard[data]" in caught.value.hint


def parquet_file(columns: dict[str, Any]) -> bytes:
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    file = io.BytesIO()
    parquet.write_table(pyarrow.table(columns), file)
    return file.getvalue()


async def test_rows_of_parquet_are_the_current_objects(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inventory, "_ROWS", 2)
    data = parquet_file(
        {
            "bucket": ["source"] * 4,
            "key": ["a+b", "old", "gone", "c"],
            "is_latest": [True, False, True, None],
            "is_delete_marker": [False, False, True, None],
            "size": [1, 1, None, 1],
        }
    )
    assert await read(parse(PARQUET), data) == [
        Listed(1, "source", "a+b", size=1),
        Listed(4, "source", "c", size=1),
    ]
    simple = parquet_file({"bucket": ["source"], "key": ["x"]})
    assert await read(parse(PARQUET), simple) == [Listed(1, "source", "x")]


async def test_damaged_parquet_is_refused() -> None:
    data = parquet_file({"bucket": ["source"] * 100, "key": [f"key {n}" for n in range(100)]})
    damaged = {
        "cut": data[: len(data) // 2],
        "another file": b"bucket,key",
        "another byte": data[:40] + bytes([data[40] ^ 0xFF]) * 20 + data[60:],
        "no keys": parquet_file({"bucket": ["source"]}),
    }
    for content in damaged.values():
        with pytest.raises(IntegrityError, match=r"a\.csv\.gz is no Parquet of S3 Inventory, or damaged"):
            await read(parse(PARQUET), content)


async def test_parquet_tells_what_its_schema_has_of_the_objects() -> None:
    pyarrow = pytest.importorskip("pyarrow")
    times = pyarrow.array([1767323045000], pyarrow.timestamp("ms"))
    columns = {"bucket": ["source"], "key": ["a"], "size": [5], "last_modified_date": times}
    columns |= {"e_tag": ["d41d8"], "storage_class": ["GLACIER"]}
    assert await read(parse(PARQUET), parquet_file(columns)) == [
        Listed(1, "source", "a", "", 5, 1767323045.0, "d41d8", "GLACIER")
    ]
