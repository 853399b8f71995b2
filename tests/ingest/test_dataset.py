from __future__ import annotations

import asyncio
from datetime import date
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from tests.ingest.shelf import parquet, read, rows

from haulyard import ConfigError, IngestError
from haulyard.ingest.model import ConvergedLaterError
from haulyard.ingest.where import Condition
from haulyard.testing.faults import Fault

if TYPE_CHECKING:
    from tests.ingest.shelf import Shelf

pytestmark = pytest.mark.anyio

CSV = "n,s\n1,a\n2,b\n"
ROWS = [{"n": 1, "s": "a"}, {"n": 2, "s": "b"}]


def table(**columns: Any) -> bytes:
    return parquet(columns)


async def test_files_of_any_format_are_one_table(shelf: Shelf) -> None:
    shelf.put("x/1.csv", CSV)
    shelf.put("x/2.tsv", "n\ts\n3\tc\n")
    shelf.put("x/3.jsonl", '{"n": 4, "s": "d"}\n')
    shelf.put("x/4.json", '[{"n": 5, "s": "e"}]')
    shelf.put("x/5.parquet", table(n=[6], s=["f"]))
    dataset = await shelf.dataset("s3://bucket/x/")
    expected = [*ROWS, *({"n": number, "s": "abcdef"[number - 1]} for number in range(3, 7))]
    pieces = await read(dataset)
    assert rows(pieces) == expected
    assert len({piece.batch.schema for piece in pieces}) == 1
    assert await dataset.schema() == pa.schema([("n", pa.int64()), ("s", pa.string())])
    assert rows(await read(dataset, await dataset.schema())) == expected


async def test_rows_come_in_the_order_of_the_files_whichever_arrives_first(shelf: Shelf) -> None:
    for number in range(50):
        shelf.put(f"x/{number:02}.parquet", table(n=[number]))
    shelf.server.script(Fault("GetObject", key="x/00.parquet", stall=True))
    dataset = await shelf.dataset("s3://bucket/x/")
    pieces = dataset.pieces()
    waiting = asyncio.ensure_future(anext(pieces))
    await shelf.server.wait_for_async(lambda request: request.key == "x/20.parquet")
    shelf.server.release()
    found = [await waiting, *[piece async for piece in pieces]]
    assert [row["n"] for row in rows(found)] == list(range(50))


async def test_consistent_files_are_read_once(shelf: Shelf) -> None:
    for number in range(5):
        shelf.put(f"x/{number}.csv", CSV)
    await read(await shelf.dataset("s3://bucket/x/"))
    gets = [request.key for request in shelf.server.requests if request.operation == "GetObject"]
    assert sorted(gets) == [f"x/{number}.csv" for number in range(5)]


async def test_every_file_gives_a_piece(shelf: Shelf) -> None:
    shelf.put("x/1.csv", CSV)
    shelf.put("x/2.csv", "n,s\n")
    pieces = await read(await shelf.dataset("s3://bucket/x/"))
    assert [(piece.source.key, piece.rows) for piece in pieces] == [("x/1.csv", 2), ("x/2.csv", 0)]


# Columns and conditions


@pytest.mark.parametrize(
    "content", [CSV, table(n=[1, 2], s=["a", "b"]), '{"n":1,"s":"a"}\n{"n":2,"s":"b"}\n']
)
async def test_columns_come_in_the_order_in_which_they_are_wanted(shelf: Shelf, content: Any) -> None:
    uri = shelf.put("f", content)
    for asked in (None, pa.schema([("s", pa.string()), ("n", pa.int64())])):
        dataset = await shelf.dataset(uri, columns=["s", "n"])
        pieces = await read(dataset, asked)
        assert [piece.batch.schema.names for piece in pieces] == [["s", "n"]]
        assert (await dataset.schema()).names == ["s", "n"]


@pytest.mark.parametrize("where", ["n > 1", pc.field("n") > 1, "n % 2 = 0", "N > 1"])
@pytest.mark.parametrize("content", [CSV, table(n=[1, 2], s=["a", "b"])], ids=["csv", "parquet"])
async def test_a_condition_may_be_on_columns_that_are_not_wanted(
    shelf: Shelf, content: Any, where: Any
) -> None:
    dataset = await shelf.dataset(shelf.put("f", content), columns=["s"])
    for schema in (None, await dataset.schema()):
        pieces = await read(dataset, schema, where)
        assert rows(pieces) == [{"s": "b"}]
        assert sum(piece.filtered for piece in pieces) == 1


@pytest.mark.parametrize("content", [CSV, table(n=[1, 2], s=["a", "b"])], ids=["csv", "parquet"])
async def test_columns_that_do_not_exist_are_told_with_the_nearest(shelf: Shelf, content: Any) -> None:
    uri = shelf.put("f", content)
    with pytest.raises(ConfigError, match="'nn'"):
        await read(await shelf.dataset(uri, columns=["nn"]))
    with pytest.raises(ConfigError, match="has no column 'nn'") as error:
        await (await shelf.dataset(uri, columns=["nn"])).schema()
    assert "columns are n, s" in error.value.hint
    with pytest.raises(ConfigError, match="'nn'"):
        await read(await shelf.dataset(uri), where="nn > 1")


# Files that differ


@pytest.mark.parametrize("with_schema", [False, True])
@pytest.mark.parametrize(
    ("one", "other"),
    [(CSV, "n\n3\n"), (table(n=[1], s=["a"]), table(n=[3])), ('{"n":1,"s":"a"}\n', '{"n":3}\n')],
    ids=["csv", "parquet", "jsonl"],
)
async def test_a_column_that_a_file_lacks_is_told_or_null(
    shelf: Shelf, one: Any, other: Any, *, with_schema: bool
) -> None:
    shelf.put("x/1", one)
    shelf.put("x/2", other)
    sources = ["s3://bucket/x/1", "s3://bucket/x/2"]
    dataset = await shelf.dataset(*sources)
    with pytest.raises(IngestError, match="s3://bucket/x/2 has no column 's', and s3://bucket/x/1 has one"):
        await (dataset.schema() if with_schema else read(dataset))
    dataset = await shelf.dataset(*sources, on_drift="add-columns")
    found = rows(await read(dataset, await dataset.schema()))
    assert found[0] == {"n": 1, "s": "a"}
    assert found[-1] == {"n": 3, "s": None}
    assert rows(await read(await shelf.dataset(*sources, columns=["n"])))[-1] == {"n": 3}


async def test_types_of_parquet_are_told_or_widened(shelf: Shelf) -> None:
    shelf.put("x/1.parquet", table(n=[1]))
    shelf.put("x/2.parquet", table(n=[2.5]))
    strict = await shelf.dataset("s3://bucket/x/")
    message = r"'n' of s3://bucket/x/2\.parquet is double, and that of s3://bucket/x/1\.parquet is int64"
    with pytest.raises(IngestError, match=message):
        await read(strict)
    with pytest.raises(IngestError, match=message):
        await strict.schema()
    wide = await shelf.dataset("s3://bucket/x/", on_drift="widen")
    with pytest.raises(ConvergedLaterError):
        await read(wide)
    assert rows(await read(wide, await wide.schema())) == [{"n": 1.0}, {"n": 2.5}]
    assert len(await read(wide, widening=True)) == 2


async def test_types_of_text_are_those_of_all_rows_of_all_files(shelf: Shelf) -> None:
    shelf.put("x/1.csv", "n\n1\n2\n")
    shelf.put("x/2.csv", "n\n2.5\n")
    shelf.put("x/3.csv", "n\nx\ny\nz\n")
    dataset = await shelf.dataset("s3://bucket/x/")
    with pytest.raises(ConvergedLaterError):
        await read(dataset)
    assert await dataset.schema() == pa.schema([("n", pa.string())])
    found = rows(await read(dataset, await dataset.schema()))
    assert [row["n"] for row in found] == ["1", "2", "2.5", "x", "y", "z"]


# Pinned schemas


async def test_a_pinned_schema_is_followed_and_what_does_not_fit_is_rejected(shelf: Shelf) -> None:
    schema = pa.schema([("s", pa.string()), ("n", pa.int8())])
    shelf.put("x/1.csv", "n,s\n1,a\n1000,b\nx,c\n")
    shelf.put("x/2.parquet", table(n=[2, 1000, None], s=["d", "e", "f"]))
    dataset = await shelf.dataset("s3://bucket/x/", schema=schema)
    pieces = await read(dataset)
    assert rows(pieces) == [{"s": "a", "n": 1}, {"s": "d", "n": 2}, {"s": "f", "n": None}]
    rejects = [reject for piece in pieces for reject in piece.rejects]
    assert [(reject.uri, reject.line, reject.column, reject.value) for reject in rejects] == [
        ("s3://bucket/x/1.csv", 3, "n", "1000"),
        ("s3://bucket/x/1.csv", 4, "n", "x"),
        ("s3://bucket/x/2.parquet", 2, "n", "1000"),
    ]
    assert await dataset.schema() == schema


@pytest.mark.parametrize("content", [CSV, table(n=[1, 2], s=["a", "b"])], ids=["csv", "parquet"])
async def test_columns_missing_from_files_of_a_pinned_schema_are_told(shelf: Shelf, content: Any) -> None:
    uri = shelf.put("f", content)
    more = pa.schema([("n", pa.int64()), ("s", pa.string()), ("t", pa.float64())])
    with pytest.raises(IngestError, match="has no column 't', which the schema has"):
        await read(await shelf.dataset(uri, schema=more))
    added = await read(await shelf.dataset(uri, schema=more, on_drift="add-columns"))
    assert rows(added) == [{**row, "t": None} for row in ROWS]


# Partitions


@pytest.fixture
def partitioned(shelf: Shelf) -> Shelf:
    for day in ("2026-01-01", "2026-01-02", "__HIVE_DEFAULT_PARTITION__"):
        for hour in (1, 2):
            shelf.put(f"x/day={day}/hour={hour}/f.csv", "n\n1\n2\n")
            shelf.put(f"y/day={day}/hour={hour}/f.parquet", table(n=[1, 2]))
    return shelf


@pytest.mark.parametrize("source", ["s3://bucket/x/", "s3://bucket/y/"], ids=["csv", "parquet"])
async def test_directories_become_columns(partitioned: Shelf, source: str) -> None:
    dataset = await partitioned.dataset(source)
    schema = pa.schema([("n", pa.int64()), ("day", pa.date32()), ("hour", pa.int64())])
    assert await dataset.schema() == schema
    for asked in (None, schema):
        found = rows(await read(dataset, asked))
        assert len(found) == 12
        assert found[0] == {"n": 1, "day": date(2026, 1, 1), "hour": 1}
        assert found[-1] == {"n": 2, "day": None, "hour": 2}
    chosen = await partitioned.dataset(source, columns=["hour", "n"])
    assert rows(await read(chosen))[0] == {"hour": 1, "n": 1}
    plain = await partitioned.dataset(source, hive=False)
    assert (await plain.schema()).names == ["n"]


@pytest.mark.parametrize("source", ["s3://bucket/x/", "s3://bucket/y/"], ids=["csv", "parquet"])
@pytest.mark.parametrize("with_schema", [False, True])
async def test_files_whose_partitions_rule_them_out_are_not_read(
    partitioned: Shelf, source: str, *, with_schema: bool
) -> None:
    dataset = await partitioned.dataset(source)
    schema = await dataset.schema() if with_schema else None
    before = len(partitioned.server.requests)
    found = rows(await read(dataset, schema, "day = '2026-01-02' AND hour < 2"))
    assert found == [{"n": n, "day": date(2026, 1, 2), "hour": 1} for n in (1, 2)]
    assert len(partitioned.server.requests) == before + 1
    found = rows(await read(dataset, schema, "n + 0 = 1 AND day = '2026-01-02' AND (hour = 1 AND n < 2)"))
    assert found == [{"n": 1, "day": date(2026, 1, 2), "hour": 1}]
    assert len(partitioned.server.requests) == before + 2


@pytest.mark.parametrize("where", ["day IS NULL OR n = 1", "day IS NULL AND n IS NULL", "n = 1 OR hour = 1"])
async def test_no_row_is_lost_by_ruling_files_out(partitioned: Shelf, where: str) -> None:
    dataset = await partitioned.dataset("s3://bucket/y/")
    schema = await dataset.schema()
    everything = pa.Table.from_batches([piece.batch for piece in await read(dataset, schema)])
    found = await read(dataset, schema, where)
    condition = Condition(where).bind(schema)
    assert rows(found) == [
        row for batch in everything.to_batches() for row in condition.apply(batch).to_pylist()
    ]


@pytest.mark.parametrize("content", [CSV, table(n=[1, 2], s=["a", "b"])], ids=["csv", "parquet"])
async def test_a_directory_goes_before_a_column_of_its_name(shelf: Shelf, content: Any) -> None:
    dataset = await shelf.dataset(shelf.put("n=9/f", content))
    expected = [{"s": "a", "n": 9}, {"s": "b", "n": 9}]
    for schema in (None, await dataset.schema()):
        assert rows(await read(dataset, schema)) == expected
        assert rows(await read(dataset, schema, "n = 9 AND s = 'a'")) == expected[:1]
        assert rows(await read(dataset, schema, "n = 1")) == []


async def test_a_partition_that_some_files_lack_is_a_difference(shelf: Shelf) -> None:
    shelf.put("x/day=1/f.csv", CSV)
    shelf.put("x/g.csv", CSV)
    with pytest.raises(IngestError, match=r"x/g\.csv has no column 'day'"):
        await read(await shelf.dataset("s3://bucket/x/"))
    dataset = await shelf.dataset("s3://bucket/x/", on_drift="add-columns")
    found = rows(await read(dataset, await dataset.schema()))
    assert [row["day"] for row in found] == [1, 1, None, None]


# Files that are not what their names say


async def test_a_file_is_read_as_what_it_is_and_that_is_said(shelf: Shelf) -> None:
    assert rows(await read(await shelf.dataset(shelf.put("a.csv", table(n=[1, 2], s=["a", "b"]))))) == ROWS
    assert rows(await read(await shelf.dataset(shelf.put("a.parquet", CSV)))) == ROWS
    lines = '{"n": 1, "s": "a"}\n{"n": 2, "s": "b"}\n'
    assert rows(await read(await shelf.dataset(shelf.put("b.parquet", lines)))) == ROWS
    assert rows(await read(await shelf.dataset(shelf.put("plain", table(n=[1, 2], s=["a", "b"]))))) == ROWS
    assert [warning.partition(" is ")[0] for warning in shelf.warnings] == [
        "s3://bucket/a.csv",
        "s3://bucket/a.parquet",
        "s3://bucket/b.parquet",
    ]


async def test_a_file_that_is_not_what_it_has_to_be_is_refused(shelf: Shelf) -> None:
    with pytest.raises(IngestError, match="is no Parquet"):
        await read(await shelf.dataset(shelf.put("a.txt", CSV), format="parquet"))
    with pytest.raises(IngestError, match="is Parquet, not csv"):
        await read(await shelf.dataset(shelf.put("a.txt", table(n=[1])), format="csv"))
    with pytest.raises(IngestError, match="nor any text"):
        await read(await shelf.dataset(shelf.put("a.parquet", bytes(range(256)))))


async def test_a_missing_library_is_told(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("haulyard.ingest.dataset.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="need the library pyarrow") as error:
        await shelf.dataset("s3://bucket/x")
    assert "haulyard[data]" in error.value.hint


async def test_a_column_that_shows_late_in_json_may_be_asked_for(shelf: Shelf) -> None:
    lines = '{"n": 1}\n' * 3 + '{"n": 2, "late": 5}\n'
    dataset = await shelf.dataset(shelf.put("a.jsonl", lines))
    assert rows(await read(dataset, await dataset.schema(), "late > 4")) == [{"n": 2, "late": 5}]


async def test_numbers_that_no_double_holds_are_not_rounded_on_the_way(shelf: Shelf) -> None:
    shelf.put("x/1.csv", "n\n9007199254740993\n")
    shelf.put("x/2.csv", "n\n0.5\n")
    dataset = await shelf.dataset("s3://bucket/x/")
    with pytest.raises(ConvergedLaterError):
        await read(dataset)
