from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from itertools import chain
from typing import TYPE_CHECKING

import pytest

from haulyard.errors import JobError
from haulyard.journal.building import BATCH_ROWS, ShardBuilder
from haulyard.journal.shard import Shard

if TYPE_CHECKING:
    from collections.abc import Callable

_DDL = (
    "CREATE TABLE op(id INTEGER PRIMARY KEY, key TEXT NOT NULL, size INTEGER NOT NULL);"
    " CREATE INDEX k ON op(key)"
)
_COLUMNS = ("id", "key", "size")


@pytest.fixture
def path(tmp_path: os.PathLike[str]) -> str:
    return os.path.join(tmp_path, "00000.db")


def test_what_was_added_is_read_again_with_ids_from_one(path: str) -> None:
    builder = ShardBuilder(path, _DDL, "op", _COLUMNS)
    builder.add([("a", 1), ("b", 2)])
    builder.add([])
    builder.add([("c\0é", 2**62)])
    assert builder.count == 3
    builder.meta["prefix"] = "x"
    builder.seal()
    with Shard.open(path, owner="test", read_only=True) as shard:
        assert list(shard.rows()) == [[(1, "a", 1), (2, "b", 2)], [(3, "c\0é", 2**62)]]
        assert (shard.count, shard.columns, shard.meta("prefix")) == (3, _COLUMNS, "x")


@pytest.mark.parametrize("count", [1, 199, 200, 201, BATCH_ROWS, BATCH_ROWS + 1, 2 * BATCH_ROWS + 450])
def test_any_number_of_rows_is_cut_into_batches(path: str, count: int) -> None:
    builder = ShardBuilder(path, _DDL, "op", _COLUMNS[1:])
    builder.add([(f"k{n}", n) for n in range(1, count + 1)])
    builder.seal()
    with Shard.open(path, owner="test", read_only=True) as shard:
        pages = list(shard.rows())
    assert max(map(len, pages)) <= BATCH_ROWS
    assert list(chain(*pages)) == [(n, f"k{n}", n) for n in range(1, count + 1)]


def test_a_shard_without_rows_is_one_too(path: str) -> None:
    ShardBuilder(path, _DDL, "op", _COLUMNS).seal()
    with Shard.open(path, owner="test") as shard:
        assert list(shard.rows()) == []
        assert shard.last_phases().counts() == {}


def test_before_it_is_sealed_there_is_no_shard_and_afterwards_no_part(path: str) -> None:
    builder = ShardBuilder(path, _DDL, "op", _COLUMNS)
    builder.add([("a", 1)])
    assert os.listdir(os.path.dirname(path)) == ["00000.db.part"]
    builder.seal()
    assert os.listdir(os.path.dirname(path)) == ["00000.db"]
    builder.discard()
    assert os.path.exists(path)


def test_a_discarded_shard_leaves_nothing(path: str) -> None:
    builder = ShardBuilder(path, _DDL, "op", _COLUMNS)
    builder.add([("a", 1)])
    builder.discard()
    builder.discard()
    assert os.listdir(os.path.dirname(path)) == []


@pytest.mark.parametrize("content", [b"", b"torn" * 1000])
def test_the_part_of_a_killed_process_is_thrown_away(path: str, content: bytes) -> None:
    with open(path + ".part", "wb") as file:
        file.write(content)
    builder = ShardBuilder(path, _DDL, "op", _COLUMNS)
    builder.add([("a", 1)])
    builder.seal()
    with Shard.open(path, owner="test", read_only=True) as shard:
        assert shard.row(1) == (1, "a", 1)


def test_a_sealed_shard_is_not_made_again(make_shard: Callable[..., str]) -> None:
    path = make_shard()
    with pytest.raises(JobError, match="is there already"):
        ShardBuilder(path, _DDL, "op", _COLUMNS)


def test_it_is_synced_before_it_gets_its_name_and_the_directory_after(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    fsync, rename = os.fsync, os.rename

    def note_fsync(descriptor: int) -> None:
        done.append(os.path.basename(os.readlink(f"/proc/self/fd/{descriptor}")))
        fsync(descriptor)

    def note_rename(source: str, target: str) -> None:
        done.append("rename")
        rename(source, target)

    builder = ShardBuilder(path, _DDL, "op", _COLUMNS)
    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(os, "rename", note_rename)
    builder.seal()
    assert done == ["00000.db.part", "rename", os.path.basename(os.path.dirname(path))]


def test_a_full_disk_is_said_and_nothing_is_sealed(path: str) -> None:
    builder = ShardBuilder(path, _DDL, "op", _COLUMNS)
    builder._connection.execute("PRAGMA max_page_count=20")
    with pytest.raises(JobError, match="cannot be written: database or disk is full") as caught:
        builder.add([("k" * 1000, n) for n in range(1000)])
    assert "make room" in caught.value.hint
    builder.discard()
    assert os.listdir(os.path.dirname(path)) == []


def test_a_directory_that_is_not_there_is_said(tmp_path: os.PathLike[str]) -> None:
    with pytest.raises(JobError, match=r"absent/00000\.db\.part cannot be written"):
        ShardBuilder(os.path.join(tmp_path, "absent", "00000.db"), _DDL, "op", _COLUMNS)


def test_a_value_that_is_not_of_its_column_is_refused_at_once(path: str) -> None:
    builder = ShardBuilder(path, _DDL, "op", _COLUMNS)
    with pytest.raises(TypeError):
        builder.add([("a", "1")])
    builder.add([("a", 1)])
    builder.seal()
    with Shard.open(path, owner="test", read_only=True) as shard:
        assert list(shard.rows()) == [[(1, "a", 1)]]


def test_the_layout_is_what_the_documentation_says(make_shard: Callable[..., str]) -> None:
    with closing(sqlite3.connect(make_shard(10, batch=4))) as connection:
        tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
        assert tables == {"meta", "op", "seal", "log"}
        assert connection.execute("SELECT first, last FROM seal").fetchall() == [(1, 4), (5, 8), (9, 10)]
        values = dict(connection.execute("SELECT name, value FROM meta").fetchall())
        assert len(values.pop("id")) == 16
        assert values == {
            "format": "1",
            "table": "op",
            "columns": "key size at note",
            "rows": "10",
            "prefix": "key/",
        }
