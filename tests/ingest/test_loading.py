from __future__ import annotations

import asyncio
import json
import os
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
import pytest
from tests.ingest.premises import MEMORY, Pieces, batch

from haulyard.errors import ConfigError, IngestError, TooManyRejects
from haulyard.events import RowsRead, Warned
from haulyard.ingest.loaded_sources import Tally, remember
from haulyard.ingest.model import ReadOptions, Reject
from haulyard.ingest.tables import TableName, open_database

if TYPE_CHECKING:
    from tests.ingest.premises import Premises

    from haulyard.ingest.tables import Database

pytestmark = pytest.mark.anyio

BAD = [Reject("mem://m/k", 3, "not a number", "a", "x", b"x,1\xff")]


async def test_a_table_is_made_with_the_types_and_rows_of_the_file(premises: Premises) -> None:
    loaded = await premises.load(premises.write("people.csv", "id,name\n1,Ann\n2,Bob\n"))
    assert premises.query("FROM t ORDER BY id") == [(1, "Ann"), (2, "Bob")]
    assert premises.query("SELECT column_type FROM (DESCRIBE t)") == [("BIGINT",), ("VARCHAR",)]
    assert (loaded.files, loaded.rows_read, loaded.rows_loaded, loaded.rows_rejected) == (1, 2, 2, 0)
    assert loaded.rejects_file == loaded.rejects_table == ""
    assert [event.rows for event in premises.events if isinstance(event, RowsRead)][-1] == 2


async def test_rows_keep_the_order_of_the_files(premises: Premises) -> None:
    for name in "ab":
        premises.write(f"in/{name}.csv", "id\n" + "".join(f"{name}{n}\n" for n in range(500)))
    await premises.load(f"{premises.directory}/in/")
    found = [row[0] for row in premises.query("FROM t")]
    assert found == [f"{name}{n}" for name in "ab" for n in range(500)]


async def test_a_table_of_the_same_files_is_left_alone(premises: Premises) -> None:
    path = premises.write("a.csv", "id\n1\n")
    await premises.load(path)
    again = await premises.load(path)
    assert (again.files, again.files_known, again.rows_loaded) == (0, 1, 0)
    assert premises.query("FROM t") == [(1,)]


@pytest.mark.parametrize("change", ["content", "where", "files"])
async def test_a_table_of_something_else_is_not_touched_by_create(premises: Premises, change: str) -> None:
    path = premises.write("a.csv", "id\n1\n2\n")
    await premises.load(path)
    sources = [path]
    more: dict[str, Any] = {}
    if change == "content":
        premises.write("a.csv", "id\n7\n")
    elif change == "where":
        more = {"where": "id > 1"}
    else:
        sources.append(premises.write("b.csv", "id\n3\n"))
    with pytest.raises(ConfigError, match="a table t already"):
        await premises.load(*sources, **more)
    assert premises.query("FROM t") == [(1,), (2,)]


async def test_a_table_that_haul_did_not_make_is_not_touched_by_create(premises: Premises) -> None:
    with duckdb.connect(premises.db) as connection:
        connection.execute("CREATE TABLE t AS SELECT 7 AS id")
    with pytest.raises(ConfigError, match="not made by haul ingest"):
        await premises.load(premises.write("a.csv", "id\n1\n"))
    assert premises.query("FROM t") == [(7,)]


async def test_a_table_that_was_dropped_is_made_again(premises: Premises) -> None:
    path = premises.write("a.csv", "id\n1\n")
    await premises.load(path)
    with duckdb.connect(premises.db) as connection:
        connection.execute("DROP TABLE t")
    assert (await premises.load(path)).rows_loaded == 1
    assert premises.query("SELECT count(*) FROM haulyard.sources") == [(1,)]


async def test_append_takes_files_that_are_new_and_says_what_was_left_out(premises: Premises) -> None:
    one = premises.write("in/a.csv", "id\n1\n")
    await premises.load(one)
    premises.write("in/b.csv", "id\n2\n")
    loaded = await premises.load(f"{premises.directory}/in/", mode="append")
    assert (loaded.files, loaded.files_known, loaded.rows_loaded) == (1, 1, 1)
    assert premises.query("FROM t ORDER BY id") == [(1,), (2,)]
    again = await premises.load(f"{premises.directory}/in/", mode="append")
    assert (again.files, again.files_known) == (0, 2)
    forced = await premises.load(one, mode="append", force=True)
    assert forced.rows_loaded == 1
    assert premises.query("SELECT count(*) FROM t") == [(3,)]
    assert [event for event in premises.events if isinstance(event, Warned)] == []


async def test_a_table_of_more_files_than_these_is_said_to_be(premises: Premises) -> None:
    one = premises.write("in/a.csv", "id\n1\n")
    premises.write("in/b.csv", "id\n2\n")
    await premises.load(f"{premises.directory}/in/")
    with pytest.raises(ConfigError, match="it was loaded from 2 files, not this one alone"):
        await premises.load(one)


async def test_append_of_a_file_that_changed_warns(premises: Premises) -> None:
    path = premises.write("a.csv", "id\n1\n")
    await premises.load(path)
    premises.write("a.csv", "id\n1\n2\n")
    await premises.load(path, mode="append")
    assert premises.query("FROM t ORDER BY id") == [(1,), (1,), (2,)]
    warned = [event for event in premises.events if isinstance(event, Warned)]
    assert "a.csv changed since t was loaded" in warned[0].message


async def test_append_makes_a_table_that_is_not_there(premises: Premises) -> None:
    assert (await premises.load(premises.write("a.csv", "id\n1\n"), mode="append")).rows_loaded == 1


async def test_append_keeps_the_types_of_the_table(premises: Premises) -> None:
    with duckdb.connect(premises.db) as connection:
        connection.execute("CREATE TABLE t (code VARCHAR, price DOUBLE, n INTEGER)")
    await premises.load(premises.write("a.csv", "code,price,n\n007,1,3\n008,2,4\n"), mode="append")
    assert premises.query("FROM t") == [("007", 1.0, 3), ("008", 2.0, 4)]


async def test_append_rejects_what_the_types_of_the_table_do_not_hold(premises: Premises) -> None:
    await premises.load(premises.write("a.csv", "id,n\n1,1\n"))
    path = premises.write("b.csv", "id,n\n2,1.5\n3,2\n")
    loaded = await premises.load(path, mode="append", max_rejects=1)
    assert (loaded.rows_read, loaded.rows_loaded, loaded.rows_rejected) == (2, 1, 1)
    assert premises.query("FROM t ORDER BY id") == [(1, 1), (3, 2)]
    assert premises.query("SELECT line, column_name, value FROM t_rejects") == [(2, "n", "1.5")]


async def test_append_matches_columns_by_name(premises: Premises) -> None:
    await premises.load(premises.write("a.csv", "id,name\n1,Ann\n"))
    await premises.load(premises.write("b.csv", "Name,ID\nBob,2\n"), mode="append")
    assert premises.query("FROM t ORDER BY id") == [(1, "Ann"), (2, "Bob")]


async def test_append_of_other_columns_is_a_matter_of_drift(premises: Premises) -> None:
    await premises.load(premises.write("a.csv", "id,name\n1,Ann\n"))
    path = premises.write("b.csv", "id,age\n2,30\n")
    with pytest.raises(IngestError, match="has a column 'age' that t has not"):
        await premises.load(path, mode="append")
    await premises.load(path, mode="append", options=ReadOptions(on_drift="add-columns"))
    assert premises.query("SELECT id, name, age FROM t ORDER BY id") == [(1, "Ann", None), (2, None, 30)]


async def test_replace_makes_the_table_anew(premises: Premises) -> None:
    await premises.load(premises.write("a.csv", "id\n1\n"))
    path = premises.write("b.csv", "name\nBob\n")
    await premises.load(path, mode="replace")
    assert premises.query("FROM t") == [("Bob",)]
    assert premises.query("SELECT uri FROM haulyard.sources") == [(path,)]


async def test_upsert_replaces_rows_of_the_same_key_and_adds_the_others(premises: Premises) -> None:
    await premises.load(premises.write("a.csv", "id,name\n1,Ann\n2,Bob\n"))
    path = premises.write("b.csv", "id,name\n2,Rob\n3,Cid\n")
    loaded = await premises.load(path, mode="upsert", key=("id",))
    assert (loaded.rows_loaded, loaded.rows_updated) == (2, 1)
    assert premises.query("FROM t ORDER BY id") == [(1, "Ann"), (2, "Rob"), (3, "Cid")]
    assert premises.query("SELECT table_name FROM duckdb_tables() ORDER BY 1") == [("sources",), ("t",)]


async def test_upsert_makes_a_table_that_is_not_there(premises: Premises) -> None:
    path = premises.write("a.csv", "id,name\n1,Ann\n")
    assert (await premises.load(path, mode="upsert", key=("id",))).rows_loaded == 1
    assert premises.query("FROM t") == [(1, "Ann")]


async def test_upsert_into_a_table_with_a_primary_key(premises: Premises) -> None:
    with duckdb.connect(premises.db) as connection:
        connection.execute("CREATE TABLE t (id BIGINT PRIMARY KEY, name VARCHAR)")
        connection.execute("INSERT INTO t VALUES (1, 'Ann')")
    await premises.load(premises.write("a.csv", "id,name\n1,Eve\n2,Bob\n"), mode="upsert", key=("id",))
    assert premises.query("FROM t ORDER BY id") == [(1, "Eve"), (2, "Bob")]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("id,name\n2,Bob\n2,Rob\n3,Cid\n", r"id is not unique in what is loaded: 2 \(2 times\)"),
        ("id,name\n,Bob\n3,Cid\n", "1 rows have no id"),
        ("no,name\n2,Bob\n", "lacks 'id' of t|has a column 'no'"),
    ],
)
async def test_upsert_takes_keys_that_tell_rows_apart(premises: Premises, text: str, complaint: str) -> None:
    await premises.load(premises.write("a.csv", "id,name\n1,Ann\n"))
    with pytest.raises(IngestError, match=complaint):
        await premises.load(premises.write("b.csv", text), mode="upsert", key=("id",))
    assert premises.query("FROM t") == [(1, "Ann")]


async def test_a_key_has_to_be_a_column(premises: Premises) -> None:
    with pytest.raises(ConfigError, match="no column 'no'"):
        await premises.load(premises.write("a.csv", "id\n1\n"), mode="upsert", key=("no",))
    assert not os.path.exists(premises.db)


async def test_rows_that_do_not_fit_go_to_a_table_and_a_file(premises: Premises) -> None:
    loaded = await premises.load_pieces(Pieces(batch(a=[1, 2]), rejects=BAD), max_rejects=1)
    assert (loaded.rows_read, loaded.rows_loaded, loaded.rows_rejected) == (3, 2, 1)
    assert loaded.rejects_table == "t_rejects"
    expected = ("mem://m/k", 3, "not a number", "a", "x", "x,1\\xff")
    assert premises.query("SELECT * EXCLUDE loaded_at FROM t_rejects") == [expected]
    with open(loaded.rejects_file) as file:
        assert tuple(json.loads(file.read()).values()) == expected


async def test_more_rejects_than_allowed_load_nothing(premises: Premises) -> None:
    with pytest.raises(TooManyRejects, match="rows that do not fit: 1 of 3, and 0 may be rejected") as caught:
        await premises.load_pieces(Pieces(batch(a=[1, 2]), rejects=BAD))
    assert caught.value.first == tuple(BAD)
    assert caught.value.rejected == 1
    assert os.path.exists(caught.value.path)
    assert not os.path.exists(premises.db)


async def test_any_number_of_rejects_may_be_allowed(premises: Premises) -> None:
    loaded = await premises.load_pieces(Pieces(batch(a=[1]), rejects=BAD * 2500), max_rejects=None)
    assert loaded.rows_rejected == 2500
    assert premises.query("SELECT count(*) FROM t_rejects") == [(2500,)]


async def test_reading_ends_once_far_too_many_rows_do_not_fit(premises: Premises) -> None:
    pieces = Pieces(*[batch(a=[1])] * 10, rejects=BAD * 600)
    with pytest.raises(TooManyRejects, match="at least 1,200 of 1,202 that were read"):
        await premises.load_pieces(pieces)


async def test_rejects_of_an_attempt_that_failed_leave_no_file(premises: Premises) -> None:
    pieces = Pieces(batch(a=[1]), rejects=BAD)
    pieces.failure = IngestError("the file ends early")
    with pytest.raises(IngestError, match="ends early"):
        await premises.load_pieces(pieces, max_rejects=1)
    assert os.listdir(premises.directory) == []


async def test_rejects_that_cannot_be_written_leave_no_file(premises: Premises) -> None:
    os.symlink("/dev/full", premises.directory / "rejects.jsonl.haul-partial")
    with pytest.raises(IngestError, match=r"rejects cannot be written to .*: No space left"):
        await premises.load_pieces(Pieces(batch(a=[1]), rejects=BAD), max_rejects=1)
    assert os.listdir(premises.directory) == []


async def test_a_disk_that_is_full_does_not_hide_why_a_load_failed(premises: Premises) -> None:
    os.symlink("/dev/full", premises.directory / "rejects.jsonl.haul-partial")
    pieces = Pieces(batch(a=[1]), rejects=BAD)
    pieces.failure = IngestError("the store gave up")
    with pytest.raises(IngestError, match="the store gave up"):
        await premises.load_pieces(pieces, max_rejects=1)
    assert os.listdir(premises.directory) == []


async def test_a_foreign_table_called_as_that_of_rejects_is_not_touched(premises: Premises) -> None:
    with duckdb.connect(premises.db) as connection:
        connection.execute("CREATE TABLE t_rejects AS SELECT 1 AS mine")
    with pytest.raises(ConfigError, match="t_rejects is no table of rejects"):
        await premises.load_pieces(Pieces(batch(a=[1]), rejects=BAD), max_rejects=1)
    assert premises.query("FROM t_rejects") == [(1,)]


async def test_rows_that_nobody_accounts_for_stop_the_load(premises: Premises) -> None:
    with pytest.raises(IngestError, match="of 3 rows 2 were read, 0 rejected and 0 left out"):
        await premises.load_pieces(Pieces(batch(a=[1, 2]), rows=3))
    assert not os.path.exists(premises.db)


async def test_rows_of_other_types_than_those_found_are_read_again(premises: Premises) -> None:
    pieces = Pieces(batch(a=[1, 2]))
    pieces.later = pa.schema([("a", pa.float64())])
    loaded = await premises.load_pieces(pieces)
    assert pieces.asked == [None, pieces.later]
    assert loaded.rows_read == 2
    assert premises.query("SELECT a, typeof(a) FROM t") == [(1.0, "DOUBLE"), (2.0, "DOUBLE")]


async def test_a_failure_half_way_leaves_the_table_as_it_was(premises: Premises) -> None:
    await premises.load(premises.write("a.csv", "a\n1\n"))
    pieces = Pieces(*[batch(a=list(range(100_000)))] * 3)
    pieces.failure = IngestError("cut")
    with pytest.raises(IngestError, match="cut"):
        await premises.load_pieces(pieces, mode="replace")
    assert premises.query("FROM t") == [(1,)]


async def test_a_cancelled_load_leaves_the_table_as_it_was(premises: Premises) -> None:
    await premises.load(premises.write("a.csv", "a\n1\n"))
    pieces = Pieces(*[batch(a=list(range(1000)))] * 3)
    pieces.failure = IngestError("never raised")
    task = asyncio.ensure_future(premises.load_pieces(pieces, mode="append"))
    pieces.before_failure = task.cancel
    with pytest.raises(asyncio.CancelledError):
        await task
    assert premises.query("FROM t") == [(1,)]


async def test_an_error_of_duckdb_ends_the_load(premises: Premises) -> None:
    with duckdb.connect(premises.db) as connection:
        connection.execute("CREATE TABLE t (a BIGINT CHECK (a < 5))")
    with pytest.raises(IngestError, match="CHECK constraint"):
        await premises.load_pieces(Pieces(*[batch(a=[1, 9])] * 40), mode="append")
    assert premises.query("FROM t") == []


async def test_a_column_of_nulls_alone_becomes_text(premises: Premises) -> None:
    await premises.load_pieces(Pieces(batch(a=pa.nulls(2), b=[1, 2])))
    assert premises.query("SELECT DISTINCT typeof(a) FROM t") == [("VARCHAR",)]


async def test_columns_that_differ_in_case_alone_get_numbers(premises: Premises) -> None:
    await premises.load_pieces(Pieces(pa.RecordBatch.from_arrays([[1], [2]], names=["a", "A"])))
    assert premises.query("SELECT column_name FROM (DESCRIBE t)") == [("a",), ("A_2",)]


async def test_a_file_without_rows_makes_an_empty_table(premises: Premises) -> None:
    loaded = await premises.load(premises.write("a.csv", "id,name\n"))
    assert (loaded.files, loaded.rows_read) == (1, 0)
    assert premises.query("SELECT count(*) FROM t") == [(0,)]
    assert (await premises.load(str(premises.directory / "a.csv"))).files_known == 1


async def test_a_condition_leaves_rows_out_and_counts_them(premises: Premises) -> None:
    path = premises.write("a.csv", "id\n1\n2\n3\n")
    loaded = await premises.load(path, where="id > 1")
    assert (loaded.rows_read, loaded.rows_loaded, loaded.rows_filtered) == (3, 2, 1)
    assert premises.query("FROM t ORDER BY id") == [(2,), (3,)]


async def test_a_table_may_be_in_a_schema(premises: Premises) -> None:
    await premises.load(premises.write("a.csv", "id\n1\n"), table="raw.things")
    assert premises.query("FROM raw.things") == [(1,)]


class _Doubling:
    """Adds a column, as an embedding does."""

    done = None

    def __init__(self) -> None:
        self.asked = {"twice": True}
        self.settled = 0

    def foresee(self, schema: pa.Schema) -> str:
        if "id" not in schema.names:
            raise ConfigError("nothing to double")
        return "twice"

    async def apply(self, database: Database, staged: TableName, table: TableName) -> None:
        def add(connection: duckdb.DuckDBPyConnection) -> None:
            connection.execute(f"ALTER TABLE {staged.sql} ADD COLUMN twice BIGINT")
            connection.execute(f"UPDATE {staged.sql} SET twice = 2 * id")  # noqa: S608 -- a test

        await database.run(add)

    async def settle(self) -> None:
        self.settled += 1


@pytest.mark.parametrize("mode", ["append", "upsert"])
async def test_rows_may_get_a_column_before_they_go_into_the_table(premises: Premises, mode: str) -> None:
    doubling = _Doubling()
    key = ("id",) if mode == "upsert" else ()
    for name in "ab":
        path = premises.write(f"{name}.csv", f"id\n{ord(name)}\n")
        await premises.load(path, mode=mode, key=key, enrichment=doubling)
    assert premises.query("FROM t ORDER BY id") == [(97, 194), (98, 196)]
    assert doubling.settled == 2
    with pytest.raises(ConfigError, match="nothing to double"):
        await premises.load(premises.write("c.csv", "no\n1\n"), mode=mode, key=key, enrichment=doubling)


async def test_many_files_are_remembered(premises: Premises) -> None:
    file = Pieces(batch(a=[1])).files[0]
    tallies = [Tally(file._replace(uri=f"m{n}"), 1, 1) for n in range(3000)]
    table = TableName.parse("t")
    async with open_database(premises.db, MEMORY) as database:
        await database.run(lambda connection: remember(connection, table, tallies, asked="", anew=True))
    assert premises.query("SELECT count(DISTINCT uri), sum(rows_loaded) FROM haulyard.sources") == [
        (3000, 3000)
    ]
