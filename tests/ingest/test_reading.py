from __future__ import annotations

import inspect
import subprocess
import sys
from contextlib import aclosing
from datetime import datetime
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from tests.ingest.shelf import parquet

import haulyard
from haulyard import (
    Client,
    ConfigError,
    NotFound,
    TooManyRejects,
    describe_table,
    read_table,
    read_table_async,
    scan,
    scan_async,
)
from haulyard.ingest import async_reading, reading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.conftest import Server
    from tests.ingest.shelf import Shelf

    from haulyard import Reject

FACES = [
    ("read_table", "read_table_async"),
    ("scan", "scan_async"),
    ("describe_table", "describe_table_async"),
]
CSV = "n,s,x\n1,a,0.5\n2,b,\n3,,2.5\n"


@pytest.fixture
def client(seaweedfs: Server, tmp_path: Path) -> Iterator[Client]:
    """A client of the embedded store."""
    with Client(
        endpoint_url=seaweedfs.endpoint_url,
        access_key=seaweedfs.access_key,
        secret_key=seaweedfs.secret_key,
        region=seaweedfs.region,
        state_dir=str(tmp_path / "state"),
    ) as client:
        yield client


@pytest.fixture
def folder(client: Client, bucket_name: Callable[[], str]) -> str:
    """A prefix with the same rows as CSV and as Parquet."""
    uri = f"s3://{bucket_name()}/"
    client.make_bucket(uri)
    client.put(f"{uri}t.csv", CSV.encode())
    client.put(f"{uri}t.parquet", parquet({"n": [1, 2, 3], "s": ["a", "b", None], "x": [0.5, None, 2.5]}))
    return uri


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_a_table_comes_from_a_real_store(client: Client, folder: str, name: str) -> None:
    table, info = read_table(folder + name, client=client)
    assert table.to_pydict() == {"n": [1, 2, 3], "s": ["a", "b", None], "x": [0.5, None, 2.5]}
    assert (info.rows, info.rejected, info.filtered, info.files, info.is_complete) == (3, 0, 0, 1, False)
    assert [(each.name, each.type, each.nulls) for each in info.columns] == [
        ("n", "int64", 0),
        ("s", "string", 1),
        ("x", "double", 1),
    ]
    assert info["x"].nullable


def test_a_table_comes_as_what_is_wanted(client: Client, folder: str) -> None:
    pandas, _ = read_table(folder + "t.csv", as_="pandas", client=client)
    polars, _ = read_table(folder + "t.csv", as_="polars", client=client)
    relation, _ = read_table(folder + "t.csv", as_="duckdb", client=client)
    assert isinstance(pandas, pd.DataFrame)
    assert isinstance(polars, pl.DataFrame)
    assert isinstance(relation, duckdb.DuckDBPyRelation)
    assert pandas["n"].sum() == polars["n"].sum() == 6
    assert relation.sum("n").fetchall() == [(6,)]


def test_columns_and_conditions_narrow_it(client: Client, folder: str) -> None:
    for name in ("t.csv", "t.parquet"):
        table, info = read_table(folder + name, columns=["s"], where="n > 1", client=client)
        assert table.to_pydict() == {"s": ["b", None]}
        assert (info.rows, info.filtered) == (2, 1)
        table, _ = read_table(folder + name, columns=["s"], where=pc.field("n") == 1, client=client)
        assert table.to_pydict() == {"s": ["a"]}


def test_several_sources_are_one_table(client: Client, folder: str, tmp_path: Path) -> None:
    local = tmp_path / "more.csv"
    local.write_text("n,s,x\n4,d,1\n")
    table, info = read_table([folder, local], client=client)
    assert table["n"].to_pylist() == [1, 2, 3, 1, 2, 3, 4]
    assert (info.files, table.schema.field("x").type) == (3, pa.float64())


def test_batches_of_one_schema_come_one_after_the_other(client: Client, folder: str) -> None:
    batches = list(scan(folder, client=client))
    assert {batch.schema for batch in batches} == {
        pa.schema([("n", pa.int64()), ("s", pa.string()), ("x", pa.float64())])
    }
    assert sum(batch.num_rows for batch in batches) == 6
    (empty,) = scan(folder, where="n > 100", columns=["n"], client=client)
    assert (empty.num_rows, empty.schema.names) == (0, ["n"])


def test_a_scan_may_be_left_at_any_time(client: Client, folder: str) -> None:
    batches = scan(folder, client=client)
    assert next(batches).num_rows == 3
    batches.close()
    assert read_table(folder + "t.csv", client=client)[1].rows == 3


def test_what_is_in_the_columns_is_described(client: Client, folder: str) -> None:
    info = describe_table(folder, client=client)
    assert (info.rows, info.files, info.is_complete) == (6, 2, True)
    n, s, x = info.columns
    assert (n.minimum, n.maximum, n.distinct, n.nulls, n.examples) == (1, 3, 3, 0, (1, 2, 3))
    assert (s.minimum, s.maximum, s.distinct, s.nulls, s.examples) == ("a", "b", 2, 2, ("a", "b"))
    assert (x.type, x.minimum, x.maximum, x.nulls) == ("double", 0.5, 2.5, 2)


def test_settings_come_from_where_they_always_come(
    seaweedfs: Server, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", seaweedfs.endpoint_url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", seaweedfs.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", seaweedfs.secret_key)
    monkeypatch.setenv("AWS_REGION", seaweedfs.region)
    assert read_table(f"{folder}t.csv")[1].rows == 3
    assert sum(batch.num_rows for batch in scan(f"{folder}t.csv")) == 3


# With an event loop, against a scripted server


@pytest.mark.anyio
async def test_the_faces_do_the_same(shelf: Shelf) -> None:
    uri = shelf.put("t.csv", CSV)
    table, info = await read_table_async(uri, columns=["n"], client=shelf.client)
    assert (table.num_rows, info.rows) == (3, 3)
    async with aclosing(scan_async(uri, client=shelf.client)) as batches:
        assert [batch.num_rows async for batch in batches] == [3]
    described = await haulyard.describe_table_async(uri, client=shelf.client)
    assert described["n"].maximum == 3


@pytest.mark.parametrize(("blocking", "awaited"), FACES)
def test_both_faces_have_the_same_signature(blocking: str, awaited: str) -> None:
    one, other = getattr(reading, blocking), getattr(async_reading, awaited)

    def plain(function: Any) -> str:
        text = str(inspect.signature(function))
        return text.replace("Async", "")

    assert plain(one) == plain(other)
    assert f"`{awaited}`" in (inspect.getdoc(one) or "")


@pytest.mark.anyio
async def test_rows_that_do_not_fit_are_an_error_that_tells_them(shelf: Shelf) -> None:
    lines = "\n".join(f"{number},x" for number in range(3000))
    uri = shelf.put("t.csv", f"n,s\n{lines}\n1,2,3\n4\n")
    with pytest.raises(TooManyRejects, match=r"^2 rows do not fit: s3://bucket/t\.csv line 3002:"):
        await read_table_async(uri, client=shelf.client)
    told: list[Reject] = []
    table, info = await read_table_async(uri, max_rejects=2, on_reject=told.append, client=shelf.client)
    assert (table.num_rows, info.rows, info.rejected) == (3000, 3000, 2)
    assert [reject.line for reject in told] == [3002, 3003]
    with pytest.raises(TooManyRejects, match="line 3002"):
        async with aclosing(scan_async(uri, client=shelf.client)) as batches:
            _ = [batch async for batch in batches]


@pytest.mark.anyio
async def test_too_many_rejects_are_an_error_of_their_own(shelf: Shelf) -> None:
    """Whether all were counted is said: nobody reads to the end for it."""
    shelf.put("in/a.csv", "n,s\n1,x\n" + "2,y,z\n" * 12)
    shelf.put("in/b.csv", "n,s\n1,x\n")
    with pytest.raises(TooManyRejects, match=r"^at least 12 rows do not fit: .* …$") as caught:
        await read_table_async("s3://bucket/in/", max_rejects=3, client=shelf.client)
    error = caught.value
    assert (error.rejected, len(error.first), error.path) == (12, 10, "")
    assert [reject.line for reject in error.first[:2]] == [3, 4]  # type: ignore[attr-defined]
    with pytest.raises(TooManyRejects, match=r"^12 rows do not fit"):
        await read_table_async("s3://bucket/in/a.csv", client=shelf.client)
    table, info = await read_table_async("s3://bucket/in/", max_rejects=None, client=shelf.client)
    assert (table.num_rows, info.rejected) == (2, 12)


@pytest.mark.anyio
async def test_what_is_wrong_with_the_next_file_does_not_hide_rejects(shelf: Shelf) -> None:
    shelf.put("in/a.csv", "n,s\n1,x\n2,y,z\n")
    shelf.put("in/b.csv", "")
    with pytest.raises(TooManyRejects, match=r"^at least 1 row does not fit"):
        await read_table_async("s3://bucket/in/", client=shelf.client)


@pytest.mark.anyio
async def test_times_are_described_in_the_zone_of_their_column(shelf: Shelf) -> None:
    at = datetime(2013, 7, 1, 12, tzinfo=ZoneInfo("Europe/Vienna"))
    table = pa.table({"at": pa.array([at, None], pa.timestamp("us", "Europe/Vienna")), "n": [1, 2]})
    info = await haulyard.describe_table_async(shelf.put("t.parquet", parquet(table)), client=shelf.client)
    found = info["at"]
    assert [str(each) for each in (found.minimum, found.maximum, *found.examples)] == [
        "2013-07-01 12:00:00+02:00"
    ] * 3
    assert "Europe/Vienna" in found.type


@pytest.mark.anyio
async def test_there_are_no_more_distinct_values_than_values(shelf: Shelf) -> None:
    """They are counted approximately, and so much too high for some numbers of rows."""
    for rows in (700, 1500, 3000):
        lines = "".join(f"{number},{'' if number % 2 else number}\n" for number in range(rows))
        info = await haulyard.describe_table_async(shelf.put("t.csv", f"n,m\n{lines}"), client=shelf.client)
        assert (info["n"].distinct or 0) <= rows
        assert (info["m"].distinct or 0) <= rows // 2


@pytest.mark.anyio
async def test_what_the_first_rows_hide_is_found(shelf: Shelf) -> None:
    """Types are those of all rows: nothing but a second reading finds that, and nobody is told twice."""
    lines = "\n".join(f"{number},{number}" for number in range(300_000))
    uri = shelf.put("t.csv", f"n,s\n{lines}\n" + "2,word\n" * 5000)
    told: list[Reject] = []
    table, info = await read_table_async(uri, max_rejects=10, on_reject=told.append, client=shelf.client)
    assert table.schema.field("s").type == pa.string()
    assert (info.rows, told) == (305_000, [])


@pytest.mark.anyio
async def test_what_makes_no_sense_is_told(shelf: Shelf) -> None:
    uri = shelf.put("t.csv", CSV)
    as_: Any = "numpy"
    with pytest.raises(ConfigError, match="as_='numpy'"):
        await read_table_async(uri, as_=as_, client=shelf.client)
    with pytest.raises(ConfigError, match="'m'"):
        await read_table_async(uri, columns=["m"], client=shelf.client)
    with pytest.raises(NotFound):
        await read_table_async("s3://bucket/u.csv", client=shelf.client)
    wrong: Any = {"colour": "blue"}
    with pytest.raises(TypeError, match="colour"):
        await read_table_async(uri, client=shelf.client, **wrong)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("as_", "hint"), [("pandas", "pip install pandas"), ("polars", "haulyard\\[data\\]")]
)
async def test_a_missing_library_is_told(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, as_: Any, hint: str
) -> None:
    monkeypatch.setattr(
        "haulyard.ingest.dataset.find_spec", lambda name: None if name == as_ else find_spec(name)
    )
    with pytest.raises(ConfigError, match=f"need the library {as_}") as error:
        await read_table_async(shelf.put("t.csv", CSV), as_=as_, client=shelf.client)
    assert hint.replace("\\", "") in error.value.hint


def test_a_table_is_read_without_what_it_does_not_need() -> None:
    script = "import sys, haulyard; haulyard.read_table; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert not loaded & {"duckdb", "pandas", "polars", "pyarrow", "pyarrow.parquet", "botocore"}
