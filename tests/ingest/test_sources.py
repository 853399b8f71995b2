from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from haulyard import ConfigError, NotFound
from haulyard.testing.faults import Fault

if TYPE_CHECKING:
    from pathlib import Path

    from tests.ingest.shelf import Shelf

    from haulyard.ingest.dataset import Dataset

pytestmark = pytest.mark.anyio


def names(dataset: Dataset) -> list[str]:
    return [file.uri for file in dataset.files]


@pytest.fixture
def tree(shelf: Shelf) -> Shelf:
    for key in (
        "sales/a.csv",
        "sales/b.csv.gz",
        "sales/2026/c.parquet",
        "sales/2026/d.jsonl.zst",
        "sales/2026/e.json",
        "sales/_SUCCESS",
        "sales/_delta_log/0.json",
        "sales/.hidden/f.csv",
        "sales/.g.csv",
        "sales/_day=1/h.csv",
        "sales/",
        "sales/README.md",
        "sales/notes",
        "other.csv",
    ):
        shelf.put(key, b"" if key.endswith("/") else b"x\n1\n")
    return shelf


async def test_a_file_is_described_by_its_listing(shelf: Shelf) -> None:
    dataset = await shelf.dataset(shelf.put("a/b.csv", b"x\n1\n"))
    (file,) = dataset.files
    assert (file.uri, file.key, file.size, dataset.size) == ("s3://bucket/a/b.csv", "a/b.csv", 4, 4)
    assert file.etag == shelf.server.objects.stored("bucket", "a/b.csv").etag.strip('"')
    assert (file.partitions, dataset.skipped) == ((), ())


async def test_a_tree_is_its_files_of_data(tree: Shelf) -> None:
    dataset = await tree.dataset("s3://bucket/sales/")
    assert names(dataset) == [
        f"s3://bucket/sales/{name}"
        for name in ("2026/c.parquet", "2026/d.jsonl.zst", "2026/e.json", "_day=1/h.csv", "a.csv", "b.csv.gz")
    ]


async def test_what_is_left_out_is_said(tree: Shelf) -> None:
    dataset = await tree.dataset("s3://bucket/sales/")
    assert dataset.skipped == ("s3://bucket/sales/README.md", "s3://bucket/sales/notes")
    (warning,) = tree.warnings
    assert "2 files are left out, whose names tell no format: s3://bucket/sales/README.md" in warning


async def test_with_a_format_everything_is_data(tree: Shelf) -> None:
    dataset = await tree.dataset("s3://bucket/sales/", format="csv")
    assert "s3://bucket/sales/notes" in names(dataset)
    assert not any("_SUCCESS" in name for name in names(dataset))
    assert (dataset.skipped, tree.warnings) == ((), [])


async def test_a_single_file_may_be_called_anything(shelf: Shelf) -> None:
    dataset = await shelf.dataset(shelf.put("_odd", b"x\n1\n"))
    assert names(dataset) == ["s3://bucket/_odd"]


async def test_sources_are_a_prefix_a_wildcard_or_recursive_and_each_file_is_read_once(tree: Shelf) -> None:
    assert names(await tree.dataset("s3://bucket/sales/2026/*.parquet", "s3://bucket/other.csv")) == [
        "s3://bucket/sales/2026/c.parquet",
        "s3://bucket/other.csv",
    ]
    assert len((await tree.dataset("s3://bucket/sales", recursive=True)).files) == 6
    assert len((await tree.dataset("s3://bucket/sales/2026/", "s3://bucket/sales/2026/*")).files) == 3


async def test_other_forms_of_a_url_name_the_same(tree: Shelf) -> None:
    for uri in (
        "https://bucket.s3.us-east-1.amazonaws.com/other.csv",
        "https://s3.us-east-1.amazonaws.com/bucket/other.csv",
        "s3a://bucket/other.csv",
    ):
        assert names(await tree.dataset(uri)) == ["s3://bucket/other.csv"]


async def test_a_manifest_names_the_files(tree: Shelf, tmp_path: Path) -> None:
    manifest = tmp_path / "keys.txt"
    manifest.write_text("sales/a.csv\ns3://bucket/sales/2026/e.json\n")
    dataset = await tree.dataset("s3://bucket/sales/", manifest=str(manifest))
    assert names(dataset) == ["s3://bucket/sales/a.csv", "s3://bucket/sales/2026/e.json"]
    with pytest.raises(ConfigError, match="a manifest is of one source"):
        await tree.dataset("s3://bucket/", "s3://other/", manifest=str(manifest))


async def test_what_a_manifest_names_and_the_manifest_itself_have_no_neighbours(
    tree: Shelf, tmp_path: Path
) -> None:
    manifest = tmp_path / "keys.txt"
    manifest.write_text("sales/z.csv\n")
    with pytest.raises(NotFound, match=r"s3://bucket/sales/z\.csv") as caught:
        await tree.dataset("s3://bucket/sales/", manifest=str(manifest))
    assert "nearest" not in caught.value.hint
    with pytest.raises(NotFound, match=r"keys\.json") as caught:
        await tree.dataset("s3://bucket/sales/", manifest=str(tmp_path / "keys.json"))
    assert "nearest" not in caught.value.hint


async def test_local_paths_are_files_directories_and_wildcards(shelf: Shelf, tmp_path: Path) -> None:
    for name in ("a.csv", "sub/b.csv", "_c.csv"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("x\n1\n")
    assert names(await shelf.dataset(str(tmp_path))) == [f"{tmp_path}/a.csv", f"{tmp_path}/sub/b.csv"]
    assert names(await shelf.dataset(f"{tmp_path}/a.csv")) == [f"{tmp_path}/a.csv"]
    assert names(await shelf.dataset(f"{tmp_path}/s*/*.csv")) == [f"{tmp_path}/sub/b.csv"]
    os.symlink(tmp_path / "a.csv", tmp_path / "x[1]*.csv")
    assert names(await shelf.dataset(f"{tmp_path}/x[1]*.csv")) == [f"{tmp_path}/x[1]*.csv"]


@pytest.mark.parametrize(
    ("source", "hint"),
    [
        ("s3://bucket/sales/aa.csv", "the nearest that exist: s3://bucket/sales/a.csv"),
        ("s3://bucket/sale/a.csv", "sales"),
        ("s3://bucket/sales/2025/", "s3://bucket/sales/2026/"),
        ("s3://bucket/sales/2026/*.orc", "s3://bucket/sales/2026/"),
        ("s3://bucket/elsewhere/deep/z.csv", "beside it: s3://bucket/other.csv, s3://bucket/sales/"),
    ],
)
async def test_what_does_not_exist_is_told_with_the_nearest_that_does(
    tree: Shelf, source: str, hint: str
) -> None:
    with pytest.raises(NotFound) as error:
        await tree.dataset(source)
    assert hint in error.value.hint


async def test_a_prefix_that_was_meant_is_told(tree: Shelf) -> None:
    with pytest.raises(ConfigError, match="is a directory or prefix"):
        await tree.dataset("s3://bucket/sales")


async def test_a_bucket_that_does_not_exist_is_no_matter_of_names(tree: Shelf) -> None:
    with pytest.raises(NotFound, match="bucket"):
        await tree.dataset("s3://nowhere/")


async def test_who_may_not_list_still_learns_what_is_missing(tree: Shelf) -> None:
    tree.server.script(Fault("ListObjectsV2", status=403, attempts="all"))
    with pytest.raises(NotFound, match=r"sales/aa\.csv"):
        await tree.dataset("s3://bucket/sales/aa.csv")


async def test_a_missing_path_is_told_with_the_nearest(shelf: Shelf, tmp_path: Path) -> None:
    (tmp_path / "flights.csv").write_text("x\n")
    with pytest.raises(NotFound, match="no such file") as error:
        await shelf.dataset(f"{tmp_path}/flight.csv")
    assert f"{tmp_path}/flights.csv" in error.value.hint
    with pytest.raises(NotFound):
        await shelf.dataset(f"{tmp_path}/nothing/*.csv")
    with pytest.raises(NotFound):
        await shelf.dataset(f"{tmp_path}/*.tsv")


@pytest.mark.parametrize(
    ("sources", "message"), [([], "no source"), (["-"], "standard input"), (["gs://b/x"], "not a scheme")]
)
async def test_sources_that_make_no_sense_are_refused(shelf: Shelf, sources: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        await shelf.dataset(*sources)


async def test_a_tree_without_data_is_an_error_that_says_what_is_there(shelf: Shelf) -> None:
    shelf.put("x/notes.doc", b"")
    with pytest.raises(NotFound, match="has no file of data") as error:
        await shelf.dataset("s3://bucket/x/")
    assert "s3://bucket/x/notes.doc" in error.value.hint


async def test_an_inventory_names_the_files(tree: Shelf, tmp_path: Path) -> None:
    rows: Any = '"bucket","sales/a.csv"\n"bucket","sales/_SUCCESS"\n'
    data = tmp_path / "data.csv"
    data.write_text(rows)
    manifest = tmp_path / "manifest.json"
    manifest.write_text(
        json.dumps(
            {
                "sourceBucket": "bucket",
                "destinationBucket": "arn:aws:s3:::bucket",
                "fileFormat": "CSV",
                "fileSchema": "Bucket, Key",
                "files": [{"key": "data.csv"}],
            }
        )
    )
    assert names(await tree.dataset("s3://bucket/", manifest=str(manifest))) == ["s3://bucket/sales/a.csv"]
