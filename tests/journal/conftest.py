"""Small shards to read, write and damage."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from haulyard.journal.building import ShardBuilder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    MakeShard = Callable[..., str]
    Tamper = Callable[..., None]

_DDL = (
    "CREATE TABLE op(id INTEGER PRIMARY KEY, key TEXT NOT NULL, size INTEGER NOT NULL,"
    " at REAL NOT NULL, note TEXT)"
)


@pytest.fixture
def make_shard(tmp_path: Path) -> MakeShard:
    """Make a sealed shard of ``rows`` rows in batches of ``batch``; return its path."""

    def make(rows: int = 10, *, batch: int = 4, name: str = "00000.db") -> str:
        builder = ShardBuilder(str(tmp_path / name), _DDL, "op", ("key", "size", "at", "note"))
        plan = [(f"key/{n}", n * 10, n / 2, None if n % 3 else "third") for n in range(1, rows + 1)]
        for start in range(0, rows, batch):
            builder.add(plan[start : start + batch])
        builder.meta["prefix"] = "key/"
        builder.seal()
        return builder.path

    return make


@pytest.fixture
def tamper() -> Tamper:
    """Change a shard behind its back, by SQL."""

    def change(path: str, *statements: str) -> None:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            for statement in statements:
                assert connection.execute(statement).rowcount != 0, "the statement changed nothing"

    return change
