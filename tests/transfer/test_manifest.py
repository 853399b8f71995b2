from __future__ import annotations

import gzip
import json
import os
import tracemalloc
from hashlib import md5
from typing import TYPE_CHECKING

import pytest

from haulyard.errors import ConfigError, NotFound
from haulyard.stores.local import LocalStore
from haulyard.stores.memory import MemoryStore
from haulyard.transfer.filters import ACCEPT_ALL, Filter, Pattern
from haulyard.transfer.items import Item
from haulyard.transfer.manifest import detect, find_listed
from haulyard.transfer.selection import select_manifest
from haulyard.transfer.sources import Found

if TYPE_CHECKING:
    from pathlib import Path

    from haulyard.stores.base import Store
    from haulyard.transfer.manifest import OpenBucket

pytestmark = pytest.mark.anyio

SOURCE = MemoryStore("bucket")


async def listed(
    manifest: Path | str,
    prefix: str = "",
    *,
    store: Store = SOURCE,
    filters: Filter = ACCEPT_ALL,
    open_bucket: OpenBucket | None = None,
) -> list[Found]:
    pages = find_listed(store, select_manifest(prefix), str(manifest), filters, open_bucket=open_bucket)
    return [found async for page in pages for found in page]


def write(path: Path, content: str) -> Path:
    path.write_bytes(gzip.compress(content.encode()) if path.suffix == ".gz" else content.encode())
    return path


@pytest.mark.parametrize("name", ["keys.txt", "keys", "keys.gz", "keys.txt.gz"])
async def test_keys_one_a_line(tmp_path: Path, name: str) -> None:
    manifest = write(tmp_path / name, "in/a\nin/b/c\n\ns3://bucket/in/d")
    assert await listed(manifest, "in/") == [
        Found(Item("in/a"), "a"),
        Found(Item("in/b/c"), "b/c"),
        Found(Item("in/d"), "d"),
    ]


@pytest.mark.parametrize("name", ["m.csv", "m.csv.gz", "m", "m.CSV"])
async def test_rows_with_versions(tmp_path: Path, name: str) -> None:
    manifest = write(tmp_path / name, "bucket,in%2Fa,v1\nbucket,in/b+c,v2\n")
    assert await listed(manifest, "in/") == [
        Found(Item("in/a", version_id="v1"), "a"),
        Found(Item("in/b c", version_id="v2"), "b c"),
    ]


async def test_an_empty_manifest_names_nothing(tmp_path: Path) -> None:
    assert await listed(write(tmp_path / "keys.txt", "")) == []


async def test_filters_see_the_path_relative_to_the_source(tmp_path: Path) -> None:
    manifest = write(tmp_path / "keys.txt", "in/a.txt\nin/b.csv\n")
    filters = Filter([Pattern(True, "a*")])
    assert [found.relative for found in await listed(manifest, "in/", filters=filters)] == ["a.txt"]
    assert await listed(manifest, "in/", filters=Filter([Pattern(False, "*")])) == []


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("keys.txt", "in/a\nout/b\n", "line 2: out/b is not under memory://bucket/in/"),
        ("keys.txt", "s3://other/in/a\n", "line 1: s3://other/in/a is not under memory://bucket/in/"),
        ("keys.csv", "bucket,in/a\nother,in/b\n", "line 2: s3://other/in/b is not under"),
        ("keys.csv", "bucket,in/a\nbucket\n", "line 2: 1 columns instead of bucket,key"),
        ("keys.json", "in/a\n", "is no manifest.json of S3 Inventory"),
    ],
)
async def test_a_line_that_names_no_object_of_the_source_is_an_error(
    tmp_path: Path, name: str, content: str, problem: str
) -> None:
    manifest = write(tmp_path / name, content)
    with pytest.raises(ConfigError) as caught:
        await listed(manifest, "in/")
    assert str(caught.value).startswith(str(manifest))
    assert problem in str(caught.value)


async def test_an_access_point_takes_the_name_of_its_bucket(tmp_path: Path) -> None:
    point = MemoryStore("arn:aws:s3:eu-west-1:123456789012:accesspoint/point")
    manifest = write(tmp_path / "keys.csv", "bucket,in/a\n")
    assert [found.item.key for found in await listed(manifest, store=point)] == ["in/a"]


async def test_paths_of_find_are_those_of_the_directory(tmp_path: Path) -> None:
    manifest = write(tmp_path / "keys.txt", "./a/b\nc\n")
    found = await listed(manifest, store=LocalStore(tmp_path))
    assert [each.item.key for each in found] == ["a/b", "c"]


async def test_a_manifest_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"keys\.txt: no such file"):
        await listed(tmp_path / "keys.txt")


async def test_standard_input_is_named_as_such(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fd = os.open(write(tmp_path / "keys", "in/a\nout/b\n"), os.O_RDONLY)
    monkeypatch.setattr(os, "dup", lambda _: fd)
    with pytest.raises(ConfigError, match="standard input, line 2: out/b is not under"):
        await listed("-", "in/")


async def test_a_manifest_may_be_an_object() -> None:
    store, other = MemoryStore("bucket"), MemoryStore("other")
    await store.put("keys.txt", b"a\n")
    await other.put("keys.csv", b"bucket,b\n")
    assert [found.item.key for found in await listed("s3://bucket/keys.txt", store=store)] == ["a"]
    with pytest.raises(ConfigError, match="the bucket other, which was not opened"):
        await listed("s3://other/keys.csv", store=store)
    found = await listed("s3://other/keys.csv", store=store, open_bucket=lambda _: other)
    assert [each.item.key for each in found] == ["b"]


@pytest.mark.parametrize(
    ("name", "line", "expected"),
    [
        ("a.txt", b"bucket,key", "keys"),
        ("a.csv", b"key", "csv"),
        ("a.json.gz", b"key", "inventory"),
        ("a", b'{"sourceBucket": "b"}', "inventory"),
        ("-", b'"bucket","key"', "csv"),
        ("-", b"bucket,key", "csv"),
        ("-", b"Bucket,Key", "csv"),
        ("-", b"other,key", "keys"),
        ("-", b"bucket/key,x", "keys"),
        ("-", b"", "keys"),
    ],
)
def test_the_format_is_told_by_the_name_then_by_the_first_line(name: str, line: bytes, expected: str) -> None:
    assert detect(name, [b"", line], "bucket") == expected


class Inventory:
    """An inventory of two data files in the bucket ``inventories``."""

    def __init__(self, source: str = "bucket") -> None:
        self.store = MemoryStore("inventories")
        self.files = {
            "inv/bucket/data/1.csv.gz": gzip.compress(b'"bucket","in/a"\n"bucket","out/x"\n'),
            "inv/bucket/data/2.csv.gz": gzip.compress(b'"bucket","in/b+c"\n'),
        }
        content = {
            "sourceBucket": source,
            "destinationBucket": "arn:aws:s3:::inventories",
            "fileFormat": "CSV",
            "fileSchema": "Bucket, Key",
            "files": [
                {"key": key, "size": len(data), "MD5checksum": md5(data, usedforsecurity=False).hexdigest()}
                for key, data in self.files.items()
            ],
        }
        self.text = json.dumps(content, indent=4)

    async def upload(self) -> None:
        await self.store.put("inv/bucket/2024/manifest.json", self.text.encode())
        for key, data in self.files.items():
            await self.store.put(key, data)


async def test_an_inventory_is_read_from_its_bucket() -> None:
    inventory = Inventory()
    await inventory.upload()
    manifest = "s3://inventories/inv/bucket/2024/manifest.json"
    found = await listed(manifest, "in/", open_bucket=lambda _: inventory.store)
    assert found == [Found(Item("in/a"), "a"), Found(Item("in/b c"), "b c")]


@pytest.mark.parametrize("place", ["2024", "data"])
async def test_an_inventory_is_read_from_where_it_was_downloaded_to(tmp_path: Path, place: str) -> None:
    inventory = Inventory()
    for name in ("2024", "data"):
        (tmp_path / name).mkdir()
    manifest = write(tmp_path / "2024" / "manifest.json", inventory.text)
    for key, data in inventory.files.items():
        (tmp_path / place / key.rpartition("/")[2]).write_bytes(data)
    assert [found.relative for found in await listed(manifest, "in/")] == ["a", "b c"]
    (tmp_path / place / "2.csv.gz").unlink()
    with pytest.raises(ConfigError, match="the bucket inventories, which was not opened"):
        await listed(manifest, "in/")


async def test_an_inventory_of_another_bucket_is_refused(tmp_path: Path) -> None:
    manifest = write(tmp_path / "manifest.json", Inventory("other").text)
    with pytest.raises(
        ConfigError, match="an inventory of the bucket other, the source is memory://bucket/in/"
    ):
        await listed(manifest, "in/")


async def test_a_long_manifest_is_never_in_memory(tmp_path: Path) -> None:
    text = "".join(f"bucket,in/part-{number:09}\n" for number in range(60_000))
    pages = find_listed(SOURCE, select_manifest("in/"), str(write(tmp_path / "keys.csv.gz", text)))
    tracemalloc.start()
    try:
        count = sum([len(page) async for page in pages])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 60_000
    # A page of some 12,000 lines, as bytes, as text, as rows and as items; all of them would be 45 MiB.
    assert peak < 12 * 1024**2


async def test_what_an_inventory_tells_of_objects_is_told_on_request(tmp_path: Path) -> None:
    data = gzip.compress(b'"bucket","in/a","5","2026-01-02T03:04:05.000Z","d41d8","GLACIER"\n')
    (tmp_path / "a.csv.gz").write_bytes(data)
    manifest = {
        "sourceBucket": "bucket",
        "destinationBucket": "arn:aws:s3:::inventories",
        "fileFormat": "CSV",
        "fileSchema": "Bucket, Key, Size, LastModifiedDate, ETag, StorageClass",
        "files": [{"key": "inv/data/a.csv.gz", "size": len(data)}],
    }
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    path = str(tmp_path / "manifest.json")
    assert await listed(path, "in/") == [Found(Item("in/a"), "a")]
    pages = find_listed(SOURCE, select_manifest("in/"), path, with_properties=True)
    found = [each async for page in pages for each in page]
    assert found == [Found(Item("in/a", 5, 1767323045.0, "d41d8", "", "GLACIER"), "a")]
