from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

import haulyard
from haulyard import (
    ConfigError,
    TooManyRejects,
    export_table,
    export_table_async,
    load_table,
    load_table_async,
)

if TYPE_CHECKING:
    from pathlib import Path


def _rows(db: Path, statement: str) -> list[tuple[object, ...]]:
    with duckdb.connect(str(db), read_only=True) as connection:
        return connection.execute(statement).fetchall()


@pytest.fixture
def people(tmp_path: Path) -> Path:
    path = tmp_path / "people.csv"
    path.write_text("id,name\n1,Ann\n2,Bob\n")
    return path


def test_a_table_is_called_after_its_file(tmp_path: Path, people: Path) -> None:
    loaded = load_table(people, db=tmp_path / "a.duckdb")
    assert (loaded.table, loaded.rows_loaded) == ("people", 2)
    assert _rows(tmp_path / "a.duckdb", "FROM people") == [(1, "Ann"), (2, "Bob")]


@pytest.mark.anyio
async def test_all_that_is_asked_for_is_done(tmp_path: Path, people: Path) -> None:
    db = tmp_path / "a.duckdb"
    more = {"db": db, "table": "raw.p", "columns": ["name", "id"]}
    await load_table_async([people], where="id = 1", **more)  # type: ignore[arg-type]
    people.write_text("id,name\n1,Eve\n2,Bob\nx,Cid\n")
    loaded = await load_table_async(
        people,
        mode="upsert",
        key=["id"],
        max_rejects=None,
        rejects=tmp_path / "r.jsonl",
        **more,  # type: ignore[arg-type]
    )
    assert (loaded.rows_updated, loaded.rows_rejected) == (1, 1)
    assert loaded.rejects_file == str(tmp_path / "r.jsonl")
    assert _rows(db, "SELECT id, name FROM raw.p ORDER BY id") == [(1, "Eve"), (2, "Bob")]


def test_a_file_is_written(tmp_path: Path, people: Path) -> None:
    written = export_table(people, tmp_path / "a.csv", columns=["name"])
    assert written.rows_loaded == 2
    assert (tmp_path / "a.csv").read_text() == '"name"\n"Ann"\n"Bob"\n'


def test_rows_that_do_not_fit_are_told(tmp_path: Path, people: Path) -> None:
    schema = haulyard.read_table(people)[0].schema
    people.write_text("id,name\n1,Ann\nx,Bob\n")
    with pytest.raises(TooManyRejects) as caught:
        load_table(people, db=tmp_path / "a.duckdb", schema=schema)
    (first,) = caught.value.first
    assert isinstance(first, haulyard.Reject)
    assert (first.line, first.column, first.value) == (3, "id", "x")
    assert caught.value.path == str(tmp_path / "people_rejects.jsonl")


def test_what_is_not_allowed_loads_nothing(tmp_path: Path, people: Path) -> None:
    wrongs: list[dict[str, Any]] = [
        {"mode": "overwrite"},
        {"max_rejects": -1},
        {"format": "xlsx"},
        {"compression": "lz4"},
        {"on_drift": "ignore"},
        {"schema": {"id": "BIGINT"}},
        {"columns": "id"},
    ]
    for wrong in wrongs:
        with pytest.raises(
            ConfigError, match=r"is not allowed|is no number of rows|is no schema|is one text"
        ) as caught:
            load_table(people, db=tmp_path / "a.duckdb", **wrong)
        assert caught.value.hint
    assert not (tmp_path / "a.duckdb").exists()


def test_a_key_is_for_upsert(people: Path) -> None:
    for wrong in ({"mode": "upsert"}, {"key": ["id"]}):
        with pytest.raises(ConfigError, match="go together"):
            load_table(people, **wrong)


@pytest.mark.parametrize(
    ("one", "other"), [(load_table, load_table_async), (export_table, export_table_async)]
)
def test_both_faces_have_the_same_arguments(one: object, other: object) -> None:
    here, there = (inspect.signature(each).parameters for each in (one, other))  # type: ignore[arg-type]
    assert list(here) == list(there)
    assert [each.default for each in here.values()] == [each.default for each in there.values()]
