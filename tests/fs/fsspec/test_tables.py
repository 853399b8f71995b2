"""Tables through pandas, polars, pyarrow, DuckDB and dask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dask
import dask.bag
import dask.dataframe
import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from pyarrow.fs import FileSelector, FileType, FSSpecHandler, PyFileSystem

if TYPE_CHECKING:
    from collections.abc import Callable

    from haulyard.fs import HaulFileSystem


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return pd.DataFrame({"id": range(1_000), "name": [f"n{i % 7}" for i in range(1_000)]})


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz"])
def test_pandas_writes_and_reads_csv(
    place: str, options: dict[str, Any], frame: pd.DataFrame, name: str
) -> None:
    url = f"haul://{place}/{name}"
    frame.to_csv(url, index=False, storage_options=options)
    pd.testing.assert_frame_equal(pd.read_csv(url, storage_options=options), frame)


def test_pandas_writes_and_reads_parquet(place: str, options: dict[str, Any], frame: pd.DataFrame) -> None:
    url = f"haul://{place}/t.parquet"
    frame.to_parquet(url, storage_options=options)
    read = pd.read_parquet(url, columns=["id"], storage_options=options)
    assert list(read["id"]) == list(frame["id"])


@pytest.mark.parametrize("found", [False, True], ids=["given", "found"])
def test_pandas_says_why_keys_were_refused(
    place: str, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch, found: bool
) -> None:
    """After a PermissionError it tries again with ``anon=True``, whose refusal says nothing of the keys."""
    wrong = {**options, "secret": "wrong"}
    if found:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", wrong.pop("key"))
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", wrong.pop("secret"))
    with pytest.raises(PermissionError, match=r"SignatureDoesNotMatch.*the secret access key") as caught:
        pd.read_csv(f"haul://{place}/t.csv", storage_options=wrong)
    assert getattr(caught.value.__cause__, "code", "") == "SignatureDoesNotMatch"


def test_a_mistyped_bucket_is_not_made(
    fs: HaulFileSystem, bucket: str, options: dict[str, Any], frame: pd.DataFrame
) -> None:
    mistyped = f"{bucket}x"
    writes: list[Callable[[], object]] = [
        lambda: frame.to_csv(f"haul://{mistyped}/t.csv", storage_options=options),
        lambda: frame.to_parquet(f"haul://{mistyped}/t.parquet", storage_options=options),
        lambda: pq.write_to_dataset(pa.Table.from_pandas(frame), f"{mistyped}/d", filesystem=fs),
        lambda: fs.pipe_file(f"{mistyped}/x", b"1"),
        lambda: fs.put_file(__file__, f"{mistyped}/x"),
    ]
    for write in writes:
        with pytest.raises(FileNotFoundError, match=rf"did you mean {bucket}\b.*fs.mkdir"):
            write()
    assert not fs.exists(mistyped)


def test_polars_reads_what_pandas_wrote(
    fs: HaulFileSystem, place: str, options: dict[str, Any], frame: pd.DataFrame
) -> None:
    url = f"haul://{place}/t.parquet"
    frame.to_parquet(url, storage_options=options)
    with fs.open(url) as file:
        assert pl.read_parquet(file)["id"].to_list() == list(frame["id"])
    with fs.open(f"{place}/p.parquet", "wb") as file:
        pl.DataFrame({"x": [1, 2, 3]}).write_parquet(file)
    with fs.open(f"{place}/p.parquet") as file:
        assert pl.read_parquet(file)["x"].to_list() == [1, 2, 3]
    handler = PyFileSystem(FSSpecHandler(fs))
    lazy = pl.scan_pyarrow_dataset(ds.dataset(f"{place}/p.parquet", filesystem=handler))
    assert lazy.filter(pl.col("x") > 1).collect()["x"].to_list() == [2, 3]


def test_pyarrow_reads_a_partitioned_dataset(fs: HaulFileSystem, place: str, frame: pd.DataFrame) -> None:
    table = pa.Table.from_pandas(frame)
    pq.write_to_dataset(table, place, partition_cols=["name"], filesystem=fs)
    dataset = ds.dataset(place, filesystem=fs, partitioning="hive")
    assert dataset.count_rows() == len(frame)
    some = dataset.to_table(filter=ds.field("name") == "n3", columns=["id"])
    assert sorted(some["id"].to_pylist()) == [i for i in range(1_000) if i % 7 == 3]


def test_pyarrow_sees_files_directories_and_times(fs: HaulFileSystem, place: str) -> None:
    fs.pipe({f"{place}/a/one": b"1", f"{place}/two": b"22"})
    arrow = PyFileSystem(FSSpecHandler(fs))
    found = {info.path: info for info in arrow.get_file_info(FileSelector(place, recursive=True))}
    assert sorted(found) == [f"{place}/a", f"{place}/a/one", f"{place}/two"]
    assert found[f"{place}/two"].size == 2
    assert found[f"{place}/two"].mtime is not None
    assert found[f"{place}/a"].type == FileType.Directory
    (missing,) = arrow.get_file_info([f"{place}/nothing"])
    assert missing.type == FileType.NotFound
    arrow.move(f"{place}/two", f"{place}/three")
    arrow.copy_file(f"{place}/three", f"{place}/four")
    arrow.delete_file(f"{place}/three")
    with arrow.open_input_file(f"{place}/four") as file:
        assert file.read_at(1, 1) == b"2"
    arrow.delete_dir_contents(place)
    assert fs.find(place) == []


def test_duckdb_reads_and_writes_parquet(fs: HaulFileSystem, place: str) -> None:
    with duckdb.connect() as connection:
        connection.register_filesystem(fs)
        numbers = connection.sql("SELECT range AS n FROM range(1000)")
        numbers.write_parquet(f"haul://{place}/n.parquet")
        read = connection.read_parquet(f"haul://{place}/*.parquet")
        found = read.aggregate("sum(n), count(*)").fetchall()
    assert found == [(499_500, 1_000)]


@pytest.mark.filterwarnings("ignore:The inplace keyword")  # dask, of pandas
def test_dask_reads_what_it_wrote_in_parts(place: str, options: dict[str, Any], frame: pd.DataFrame) -> None:
    url = f"haul://{place}/parts"
    with dask.config.set(scheduler="threads"):
        parts = dask.dataframe.from_pandas(frame, npartitions=4)  # type: ignore[no-untyped-call]
        parts.to_parquet(url, storage_options=options)
        read = dask.dataframe.read_parquet(url, storage_options=options).compute()
    assert sorted(read["id"]) == list(frame["id"])


@pytest.mark.filterwarnings("ignore:The inplace keyword")  # dask, of pandas
def test_dask_counts_and_adds_to_what_it_wrote(
    place: str, options: dict[str, Any], frame: pd.DataFrame
) -> None:
    url = f"haul://{place}/parts"
    with dask.config.set(scheduler="threads"):
        parts = dask.dataframe.from_pandas(frame, npartitions=2)  # type: ignore[no-untyped-call]
        for _ in range(2):
            parts.to_parquet(url, storage_options=options, overwrite=True)
        assert len(dask.dataframe.read_parquet(url, storage_options=options)) == 1_000
        parts.to_parquet(url, storage_options=options, append=True, ignore_divisions=True)
        assert len(dask.dataframe.read_parquet(url, storage_options=options)) == 2_000


def test_dask_reads_lines_in_blocks(fs: HaulFileSystem, place: str, options: dict[str, Any]) -> None:
    lines = [f"line {number}" for number in range(5_000)]
    fs.pipe({f"{place}/{part}.txt": "\n".join(lines[part::2]).encode() + b"\n" for part in range(2)})
    bag = dask.bag.read_text(  # type: ignore[no-untyped-call]
        f"haul://{place}/*.txt", blocksize=8_000, storage_options=options
    )
    with dask.config.set(scheduler="threads"):
        assert sorted(bag.map(str.strip).compute()) == sorted(lines)
