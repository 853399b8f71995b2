from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING

import duckdb
import pytest
from pyarrow import parquet
from tests.ingest.shelf import parquet as parquet_of

if TYPE_CHECKING:
    from tests.cli.conftest import Box

PEOPLE = b"id,name\n1,Ann\n2,Bob\n"
KNOWN = "has all of it already: 1 file loaded before"
PARQUET = parquet_of({"id": [1, 2]})
BAD = b"id,name\n1,Ann\n" + b"".join(b"%d,x\n" % n for n in range(2, 2000)) + b"x,Bob\n2001,Cid,9\n"


@pytest.fixture(autouse=True)
def _here(haul: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(haul.cwd)


@pytest.fixture
def people(haul: Box) -> str:
    haul.bucket({"in/people.csv": PEOPLE})
    return "s3://b/in/people.csv"


def query(statement: str, db: str = "haul.duckdb") -> list[tuple[object, ...]]:
    with duckdb.connect(db, read_only=True) as connection:
        return connection.execute(statement).fetchall()


def test_an_object_becomes_a_table_called_after_it(haul: Box, people: str) -> None:
    result = haul("ingest", people)
    assert result.code == 0, result.err
    first, second = result.out.splitlines()
    assert first.startswith("2 rows of 1 file (20 B) into people in haul.duckdb in ")
    assert second == "2 rows read = 2 loaded + 0 rejected"
    assert query("FROM people ORDER BY id") == [(1, "Ann"), (2, "Bob")]


def test_the_same_again_does_nothing_and_something_else_is_refused(haul: Box, people: str) -> None:
    haul("ingest", people)
    again = haul("ingest", people)
    assert (again.code, again.out) == (
        0,
        "people in haul.duckdb has all of it already: 1 file loaded before\n",
    )
    other = haul("ingest", people, "--columns", "name")
    assert other.code == 2
    assert "there is a table people already" in other.err
    assert "--mode append, --mode replace or --mode upsert" in other.err


def test_programs_get_one_object(haul: Box, people: str) -> None:
    result = haul("ingest", people, "--table", "raw.t", "--db", "x.duckdb", "--where", "id > 1", "--json")
    (found,) = result.events
    assert found.pop("seconds") >= 0
    assert found == {
        "event": "loaded",
        "destination": "x.duckdb",
        "table": "raw.t",
        "files": 1,
        "files_known": 0,
        "rows_read": 2,
        "rows_loaded": 1,
        "rows_updated": 0,
        "rows_rejected": 0,
        "rows_filtered": 1,
        "bytes": 20,
    }


def test_upsert_says_what_it_replaced(haul: Box, people: str) -> None:
    haul("ingest", people)
    haul.bucket({"new/people.csv": b"id,name\n2,Rob\n3,Cid\n"}, "c")
    result = haul("ingest", "s3://c/new/people.csv", "--mode", "upsert", "--key", "id")
    assert "of these, 1 new and 1 in place of others with the same key" in result.out
    assert query("FROM people ORDER BY id") == [(1, "Ann"), (2, "Rob"), (3, "Cid")]


def test_append_says_what_it_left_out(haul: Box, people: str) -> None:
    haul("ingest", people)
    haul.bucket({"in/people.csv": PEOPLE, "in/more.csv": b"id,name\n3,Cid\n"})
    result = haul("ingest", "s3://b/in/", "--table", "people", "--mode", "append")
    assert "1 file left out: loaded before (--force loads again)" in result.out


def test_rows_that_do_not_fit_are_shown_and_nothing_is_loaded(haul: Box) -> None:
    haul.bucket({"bad.csv": BAD})
    result = haul("ingest", "s3://b/bad.csv")
    assert result.code == 1
    assert "rejected: memory://b/bad.csv, line 2,001:" in result.out
    assert "'id': x" in result.out
    assert "rows that do not fit: 2 of 2,001, and 0 may be rejected; nothing was loaded" in result.err
    assert "they are in bad_rejects.jsonl" in result.err
    lines = (haul.cwd / "bad_rejects.jsonl").read_text().splitlines()
    assert [json.loads(line)["line"] for line in lines] == [2001, 2002]
    assert not (haul.cwd / "haul.duckdb").exists()


def test_rows_that_do_not_fit_may_be_left_out(haul: Box) -> None:
    haul.bucket({"bad.csv": BAD})
    result = haul("ingest", "s3://b/bad.csv", "--max-rejects", "-1", "--rejects", "r.jsonl")
    assert result.code == 0, result.err
    assert "2,001 rows read = 1,999 loaded + 2 rejected" in result.out
    assert "rejected rows are in bad_rejects and r.jsonl" in result.out
    assert query("SELECT line FROM bad_rejects ORDER BY 1") == [(2001,), (2002,)]


def test_rows_become_a_file(haul: Box, people: str) -> None:
    result = haul("ingest", people, "--to", "p.parquet", "--columns", "name")
    assert result.code == 0, result.err
    assert "into p.parquet in" in result.out
    assert parquet.read_table("p.parquet").to_pydict() == {"name": ["Ann", "Bob"]}


def test_rows_go_to_standard_output_and_nothing_else_does(haul: Box, people: str) -> None:
    result = haul("ingest", people, "--to", "-")
    assert result.out == '"id","name"\n1,"Ann"\n2,"Bob"\n'
    assert "2 rows read = 2 loaded + 0 rejected" in result.err


def test_columns_are_described(haul: Box, people: str) -> None:
    result = haul("ingest", people, "--schema")
    assert result.code == 0, result.err
    lines = result.out.splitlines()
    assert lines[0].split() == [
        "name",
        "type",
        "nullable",
        "nulls",
        "distinct",
        "minimum",
        "maximum",
        "examples",
    ]
    assert lines[1].split()[:2] == ["id", "BIGINT"]
    assert lines[-1] == "2 rows of 1 file"
    assert not (haul.cwd / "haul.duckdb").exists()


def test_described_columns_are_a_schema_for_the_next_load(haul: Box, people: str) -> None:
    described = haul("ingest", people, "--schema", "--json")
    assert [(each["event"], each["name"], each["type"]) for each in described.events] == [
        ("column", "id", "BIGINT"),
        ("column", "name", "VARCHAR"),
    ]
    (haul.cwd / "s.jsonl").write_text(described.out.replace("BIGINT", "VARCHAR"))
    haul("ingest", people, "--schema-file", "s.jsonl")
    assert query("SELECT id FROM people ORDER BY 1") == [("1",), ("2",)]


def test_types_may_be_given_for_some_columns(haul: Box, people: str) -> None:
    (haul.cwd / "s.json").write_text('{"id": "DECIMAL(10,2)"}')
    result = haul("ingest", people, "--schema-file", "s.json")
    assert result.code == 0, result.err
    described = query("SELECT column_name, column_type FROM (DESCRIBE people)")
    assert described == [("id", "DECIMAL(10,2)"), ("name", "VARCHAR")]
    (haul.cwd / "s.json").write_text('{"nmae": "VARCHAR"}')
    wrong = haul("ingest", people, "--schema-file", "s.json", "--table", "t")
    assert wrong.code == 1
    assert "has no column 'nmae', which the schema has\n  did you mean 'name'?" in wrong.err


def test_files_are_validated_without_loading(haul: Box) -> None:
    (haul.cwd / "a.csv").write_bytes(PEOPLE)
    (haul.cwd / "b.parquet").write_bytes(PEOPLE)
    good = haul("ingest", "a.csv", "--validate")
    assert good.code == 0
    assert "csv; 20 B of it were read" in good.out
    named = haul("ingest", "a.csv", "b.parquet", "--validate")
    assert named.code == 0
    assert "b.parquet is no Parquet, as its name says: it is read as csv" in named.out
    assert "warning" in named.out
    bad = haul("ingest", "b.parquet", "--validate", "--format", "parquet")
    assert bad.code == 1
    assert "b.parquet is no Parquet" in bad.out
    missing = haul("ingest", "c.csv", "--validate")
    assert missing.code == 4
    assert not (haul.cwd / "haul.duckdb").exists()


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.csv", b"", "a.csv is empty"),
        ("a.parquet", b"", "a.parquet is empty"),
        ("a.json", b"[]", "a.json is empty"),
        ("a.csv", b"<!DOCTYPE html><html>", "a.csv is HTML, not CSV"),
        ("a.parquet", b"<!DOCTYPE html><html>", "a.parquet is HTML, not Parquet"),
        ("a.parquet", b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "a.parquet is XML"),
        ("a.parquet", b"\x89PNG\r\n\x1a\n\0\0", "a.parquet is no Parquet, as its name says, nor any text"),
        ("a.csv", b"\x89PNG\r\n\x1a\n\0\0", "is not UTF-8"),
        ("a.parquet", b"PAR1" + bytes(99) + b"\x09\0\0\0PAR1", "a.parquet is damaged: its footer"),
        ("a.csv", b"PAR1" + bytes(99) + b"\x09\0\0\0PAR1", "a.csv is damaged: its footer"),
        ("a.csv.gz", gzip.compress(PEOPLE, mtime=0)[:-9], "a.csv.gz"),
    ],
)
def test_validating_sees_what_could_not_be_loaded(haul: Box, name: str, content: bytes, told: str) -> None:
    (haul.cwd / name).write_bytes(content)
    result = haul("ingest", name, "--validate")
    assert result.code == 1
    assert told in result.out


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.parquet", PEOPLE, "is no Parquet, as its name says: it is read as csv"),
        ("a.csv", PARQUET, "is Parquet, whatever its name says, and is read as that"),
        ("a.parquet", b"<html>", "is HTML, not Parquet"),
        ("a.parquet", b"", "is empty, and so no Parquet"),
        ("a.parquet", PARQUET[:-1], "is damaged: it does not end in a footer"),
    ],
)
def test_validating_says_what_a_load_says(haul: Box, name: str, content: bytes, told: str) -> None:
    (haul.cwd / name).write_bytes(content)
    checked, loaded = haul("ingest", name, "--validate"), haul("ingest", name)
    assert told in checked.out
    assert told in loaded.err
    assert checked.code == loaded.code


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.parquet", PARQUET[:-1]),
        ("a.csv.gz", gzip.compress(PEOPLE, mtime=0)[:-9]),
        ("a.json", b'[{"a":1},{"a":'),
    ],
)
def test_a_local_file_that_is_damaged_is_to_be_written_again(haul: Box, name: str, content: bytes) -> None:
    (haul.cwd / name).write_bytes(content)
    assert "\n  write it again" in haul("ingest", name).err
    haul.bucket({name: content})
    assert "\n  upload it again" in haul("ingest", f"s3://b/{name}").err


def test_times_are_shown_whole(haul: Box) -> None:
    (haul.cwd / "t.csv").write_bytes(b"at,z\n2013-01-01 05:00:00.123456,2013-01-01T05:00:00.5+02:00\n")
    told = haul("ingest", "t.csv", "--schema").out
    assert told.count("2013-01-01 05:00:00.123456 ") >= 2
    assert told.count("2013-01-01 03:00:00.500000+00:00") == 3
    assert "TIMESTAMP WITH TIME ZONE" in told


def test_a_file_without_rows_is_loaded_and_told(haul: Box) -> None:
    (haul.cwd / "h.csv").write_bytes(b"id,name\n")
    result = haul("ingest", "h.csv")
    assert result.code == 0
    assert "there are no rows, only columns, in " in result.err
    assert query("SELECT column_name FROM (DESCRIBE h)") == [("id",), ("name",)]


def test_validating_warns_of_what_would_be_rejected_or_read_otherwise(haul: Box) -> None:
    (haul.cwd / "a.csv").write_bytes(b"name\n\xe9\nb\n")
    (haul.cwd / "b.csv").write_bytes(b'{"a":1}\n{"a":2}\n')
    result = haul("ingest", "a.csv", "b.csv", "--validate")
    assert result.code == 0
    assert "csv; 9 B of it were read; line 2: not UTF-8" in result.out
    assert "b.csv is JSON Lines, whatever its name says" in result.out
    named = haul("ingest", "a.csv", "--validate", "--encoding", "latin-1")
    assert "warning" not in named.out


def test_validating_reads_little_of_a_long_file(haul: Box) -> None:
    (haul.cwd / "rows.csv").write_bytes(b"id,name\n" + b"1,Ann\n" * 300_000)
    (haul.cwd / "row.csv").write_bytes(b'id\n"' + b"x" * 6_000_000 + b'"\n')
    result = haul("ingest", "rows.csv", "row.csv", "--validate")
    assert result.code == 0
    assert "csv; 128.0 KiB of it were read" in result.out
    assert "csv; 4.0 MiB of it were read; its first row is longer than 4 MiB" in result.out


def test_a_database_is_a_file(haul: Box, people: str) -> None:
    for path in (":memory:", "s3://b/x.duckdb", "people.csv"):
        (haul.cwd / "people.csv").write_bytes(PEOPLE)
        result = haul("ingest", people, "--db", path)
        assert result.code == 2
        assert "is no path of a local file" in result.err or "is no DuckDB database" in result.err


def test_a_key_that_is_not_there_is_told_with_its_neighbours(haul: Box, people: str) -> None:
    result = haul("ingest", people.replace("people", "peple"))
    assert result.code == 4
    assert "memory://b/in/people.csv" in result.err


def test_progress_counts_bytes(haul: Box, people: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("haulyard.observe.progress._PATIENCE", 0.0)
    result = haul("ingest", people, "--progress")
    assert "20.0/20.0" in result.err
    assert "finding types" not in result.err
    described = haul("ingest", people, "--schema", "--progress")
    assert "finding types" in described.err
    assert "2 rows" in described.err


def test_progress_says_when_types_are_found_again(haul: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("haulyard.observe.progress._PATIENCE", 0.0)
    (haul.cwd / "t.csv").write_bytes(b"n\n" + b"1\n" * 999 + b"x\n" + b"1\n" * 999)
    result = haul("ingest", "t.csv", "--max-rejects", "1", "--progress")
    assert result.code == 0, result.err
    assert "finding types" in result.err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--mode", "upsert"], "needs the columns that tell rows apart"),
        (["--key", "id"], "--key is for --mode upsert"),
        (["--force"], "--force is for --mode append and upsert"),
        (["--max-rejects", "-2"], "is no number of rows"),
        (["--to", "a.csv", "--table", "t"], "--table is for a table"),
        (["--to", "a.csv", "--mode", "append"], "--mode is for a table"),
        (["--to", "a.xls"], "does not say what it is to be"),
        (["--schema", "--validate"], "two questions"),
        (["--schema", "--to", "a.csv"], "--schema loads nothing"),
        (["--header", "--names", "a,b"], "--names are for files without a header"),
        (["--memory-limit", "1MB"], "128MiB is the least"),
        (["--memory-limit", "much"], "is no size"),
        (["--delimiter", "ab"], "is not one character"),
        (["--columns", "a,,b"], "has an empty name"),
        (["--where", "id > "], "it ends too early, behind '>'"),
        (["--names", "a,b,c"], "has 2 columns, and 3 names were given"),
        (["--encoding", "klingon"], "is not the name of a text encoding"),
        (["--quote", "é"], "cannot be the quote"),
        (["--max-rejects", "few"], "invalid int value"),
        (["--schema-file", "none.json"], "No such file"),
        (["--table", "a.b.c"], "is no name of a table"),
        (["--table", "haulyard.t"], "is kept for what was loaded"),
    ],
)
def test_flags_that_make_no_sense_are_refused(haul: Box, people: str, words: list[str], told: str) -> None:
    result = haul("ingest", people, *words)
    assert result.code == 2
    assert told in result.err


def test_several_sources_need_a_name(haul: Box) -> None:
    haul.bucket({"a.csv": PEOPLE, "b.csv": PEOPLE})
    result = haul("ingest", "s3://b/a.csv", "s3://b/b.csv")
    assert result.code == 2
    assert "the sources have several names: a, b" in result.err
    assert haul("ingest", "s3://b/a.csv", "s3://b/b.csv", "--table", "t").code == 0
    assert query("SELECT count(*) FROM t") == [(4,)]
