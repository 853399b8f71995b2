"""Types that are given for some columns: those of the others are found."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from tests.ingest.shelf import parquet

from haulyard import (
    ConfigError,
    IngestError,
    describe_table_async,
    load_table_async,
    read_table_async,
    scan_async,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.ingest.shelf import Shelf

pytestmark = pytest.mark.anyio

CSV = "a,b,c\n1,2,x\n3,4,y\n"
JSON = '{"a":1,"b":2,"c":"x"}\n{"a":3,"b":4,"c":"y"}\n'
PARQUET = parquet({"a": [1, 3], "b": [2, 4], "c": ["x", "y"]})
INT, TEXT = pa.int64(), pa.string()


def types(**columns: pa.DataType) -> pa.Schema:
    return pa.schema(list(columns.items()))


async def scanned(uri: str, shelf: Shelf, **options: Any) -> pa.Table:
    async with aclosing(scan_async(uri, client=shelf.client, **options)) as batches:
        return pa.Table.from_batches([batch async for batch in batches])


@pytest.mark.parametrize(
    ("name", "content"),
    [("t.csv", CSV), ("t.jsonl", JSON), ("t.parquet", PARQUET)],
    ids=["csv", "json", "pq"],
)
async def test_some_types_are_pinned_and_the_others_found(
    shelf: Shelf, tmp_path: Path, name: str, content: Any
) -> None:
    uri = shelf.put(name, content)
    expected = types(a=INT, b=TEXT, c=TEXT)
    table, _ = await read_table_async(uri, schema=types(b=TEXT), client=shelf.client)
    assert table.schema == expected
    assert table.column("b").to_pylist() == ["2", "4"]
    assert (await scanned(uri, shelf, schema=types(b=TEXT))).schema == expected
    info = await describe_table_async(uri, schema=types(b=TEXT), client=shelf.client)
    assert [each.type for each in info.columns] == ["int64", "string", "string"]
    loaded = await load_table_async(uri, db=tmp_path / "a.duckdb", schema=types(b=TEXT), client=shelf.client)
    assert loaded.rows_loaded == 2


@pytest.mark.parametrize("columns", [["a"], ["a", "b"], ["c", "a"], ["b"]])
@pytest.mark.parametrize("pinned", [types(b=TEXT), types(c=TEXT, b=TEXT, a=pa.int8())])
async def test_columns_are_chosen_of_both(shelf: Shelf, columns: list[str], pinned: pa.Schema) -> None:
    uri = shelf.put("t.csv", CSV)
    table, _ = await read_table_async(uri, schema=pinned, columns=columns, client=shelf.client)
    given = {field.name: field.type for field in pinned}
    found = {"a": INT, "b": INT, "c": TEXT}
    assert table.schema == pa.schema([(name, given.get(name, found[name])) for name in columns])
    assert (await scanned(uri, shelf, schema=pinned, columns=columns)).schema == table.schema


async def test_a_condition_may_look_at_a_column_that_is_not_pinned(shelf: Shelf) -> None:
    uri = shelf.put("t.csv", CSV)
    table, info = await read_table_async(
        uri, schema=types(b=TEXT), columns=["b"], where="a > 1", client=shelf.client
    )
    assert (table.to_pydict(), info.filtered) == ({"b": ["4"]}, 1)
    assert (await scanned(uri, shelf, schema=types(b=TEXT), where="a > 1")).num_rows == 1


async def test_all_columns_that_are_pinned_come_in_the_order_of_the_schema_by_one_reading(
    shelf: Shelf,
) -> None:
    uri = shelf.put("t.csv", CSV)
    table, _ = await read_table_async(uri, schema=types(c=TEXT, a=pa.int8(), b=TEXT), client=shelf.client)
    assert table.schema == types(c=TEXT, a=pa.int8(), b=TEXT)
    assert len(shelf.ranges("t.csv")) == 1


async def test_what_does_not_fit_a_pinned_type_is_rejected(shelf: Shelf) -> None:
    rows = "".join(f"{number},{number if number % 50 else 'x'}\n" for number in range(1, 101))
    uri = shelf.put("t.csv", f"id,n\n{rows}")
    table, info = await read_table_async(uri, schema=types(n=INT), max_rejects=2, client=shelf.client)
    assert (table.schema, info.rejected) == (types(id=INT, n=INT), 2)
    assert shelf.warnings == []


async def test_a_pinned_type_settles_a_difference_between_files(shelf: Shelf) -> None:
    shelf.put("in/a.parquet", parquet({"a": [1], "b": [1]}))
    shelf.put("in/b.parquet", parquet({"a": [2], "b": ["x"]}))
    with pytest.raises(IngestError, match="the column 'b'"):
        await read_table_async("s3://bucket/in/", client=shelf.client)
    expected = {"a": [1, 2], "b": ["1", "x"]}
    table, _ = await read_table_async("s3://bucket/in/", schema=types(b=TEXT), client=shelf.client)
    assert table.to_pydict() == expected
    assert (await scanned("s3://bucket/in/", shelf, schema=types(b=TEXT))).to_pydict() == expected


async def test_columns_of_paths_may_be_pinned_or_not(shelf: Shelf) -> None:
    shelf.put("in/day=2026-01-01/a.csv", CSV)
    uri = "s3://bucket/in/"
    table, _ = await read_table_async(uri, schema=types(a=INT, b=TEXT, c=TEXT), client=shelf.client)
    assert table.schema == types(a=INT, b=TEXT, c=TEXT, day=pa.date32())
    table, _ = await read_table_async(uri, schema=types(day=TEXT), client=shelf.client)
    assert table.schema == types(a=INT, b=INT, c=TEXT, day=TEXT)
    assert (await scanned(uri, shelf, schema=types(day=TEXT))).schema == table.schema


async def test_a_pinned_column_that_does_not_exist_is_told_with_the_nearest(shelf: Shelf) -> None:
    uri = shelf.put("t.csv", "amount,day\n1,2026-01-01\n")
    with pytest.raises(IngestError, match="has no column 'amuont', which the schema has") as caught:
        await read_table_async(uri, schema=types(amuont=INT), client=shelf.client)
    assert caught.value.hint == "did you mean 'amount'?"
    with pytest.raises(IngestError, match="the table has no column 'amuont'") as caught:
        await scanned(uri, shelf, schema=types(amuont=INT))
    assert caught.value.hint == "did you mean 'amount'?"
    with pytest.raises(ConfigError, match="no column 'zz'"):
        await read_table_async(uri, schema=types(amount=INT), columns=["zz"], client=shelf.client)


async def test_files_that_differ_may_be_pinned_in_part(shelf: Shelf) -> None:
    shelf.put("in/a.csv", "a\n1\n")
    shelf.put("in/b.csv", "a,b\n2,3\n")
    options: Any = {"schema": types(a=TEXT, z=TEXT), "on_drift": "add-columns"}
    expected = {"a": ["1", "2"], "b": [None, 3], "z": [None, None]}
    table, _ = await read_table_async("s3://bucket/in/", client=shelf.client, **options)
    assert table.to_pydict() == expected
    assert (await scanned("s3://bucket/in/", shelf, **options)).to_pydict() == expected
    with pytest.raises(IngestError, match="has no column 'b'"):
        await read_table_async("s3://bucket/in/", schema=types(a=TEXT), client=shelf.client)
    with pytest.raises(IngestError, match="has no column 'b'"):
        await scanned("s3://bucket/in/", shelf, schema=types(a=TEXT))


async def test_parquet_that_is_called_csv_tells_its_columns_as_well(shelf: Shelf) -> None:
    uri = shelf.put("t.csv", PARQUET)
    assert (await scanned(uri, shelf, schema=types(b=TEXT))).schema == types(a=INT, b=TEXT, c=TEXT)
