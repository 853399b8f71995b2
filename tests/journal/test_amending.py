from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from haulyard.errors import JobError
from haulyard.journal.building import amended
from haulyard.journal.lock import Lock
from haulyard.journal.shard import Shard

if TYPE_CHECKING:
    from collections.abc import Callable

    MakeShard = Callable[..., str]
    Tamper = Callable[..., None]

_KILLED = """
import os, signal, sys
from haulyard.journal.amending import amended
when = sys.argv[2]
with amended(sys.argv[1]) as connection:
    connection.execute("PRAGMA cache_size=1")
    connection.execute("UPDATE op SET key = 'changed/' || id")
    if when == "within":
        os.kill(os.getpid(), signal.SIGKILL)
os.kill(os.getpid(), signal.SIGKILL)
"""


def _keys(path: str) -> list[str]:
    with Shard.open(path, owner="test", read_only=True) as shard:
        return [row[1] for page in shard.rows() for row in page]


def test_changed_rows_are_sealed_anew(make_shard: MakeShard) -> None:
    path = make_shard(10, batch=4)
    with amended(path) as connection:
        connection.execute("UPDATE op SET key = 'new', note = NULL WHERE id IN (3, 4, 10)")
        connection.execute("UPDATE op SET size = size + 1 WHERE id = 10")
    assert [n for n, key in enumerate(_keys(path), 1) if key == "new"] == [3, 4, 10]
    with Shard.open(path, owner="test") as shard:
        assert shard.row(10)[2] == 101


def test_nothing_changed_is_nothing_written(make_shard: MakeShard) -> None:
    path = make_shard()
    with amended(path):
        pass
    assert len(_keys(path)) == 10


def _amend(path: str, *statements: str) -> None:
    with amended(path) as connection:
        for statement in statements:
            connection.execute(statement)


def test_what_fails_half_way_changes_nothing(make_shard: MakeShard) -> None:
    path = make_shard()
    before = _keys(path)
    with pytest.raises(JobError, match="no such column"):
        _amend(path, "UPDATE op SET key = 'new'", "UPDATE op SET absent = 1")
    assert _keys(path) == before


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM op WHERE id = 10",
        "INSERT INTO op VALUES (11, 'a', 1, 1.0, NULL)",
        "UPDATE op SET id = 11 WHERE id = 10",
        "UPDATE op SET id = -id",
    ],
)
def test_rows_are_neither_added_nor_removed_nor_renumbered(make_shard: MakeShard, statement: str) -> None:
    path = make_shard()
    before = _keys(path)
    with pytest.raises(JobError), amended(path) as connection:
        connection.execute(statement)
    assert _keys(path) == before


def test_a_damaged_batch_gets_no_fresh_seal(make_shard: MakeShard, tamper: Tamper) -> None:
    path = make_shard()
    tamper(path, "UPDATE op SET key = 'forged' WHERE id = 2")
    with pytest.raises(JobError, match="is damaged in its plan: rows 1 to 4"), amended(path) as connection:
        connection.execute("UPDATE op SET size = 0 WHERE id = 1")
    with pytest.raises(JobError, match="is damaged in its plan: rows 1 to 4"):
        _keys(path)


@pytest.mark.parametrize("when", ["within", "after"])
def test_a_kill_leaves_all_of_it_or_nothing(make_shard: MakeShard, when: str) -> None:
    path = make_shard(5000, batch=1000)
    subprocess.run([sys.executable, "-c", _KILLED, path, when], check=False)
    changed = [key.startswith("changed/") for key in _keys(path)]
    assert changed == [when == "after"] * 5000
    with amended(path) as connection:
        connection.execute("UPDATE op SET key = 'again'")
    assert set(_keys(path)) == {"again"}


def test_a_shard_in_use_is_not_changed(make_shard: MakeShard) -> None:
    path = make_shard()
    with (
        Lock.acquire(path + ".lock", command="haul apply photos", what=path),
        pytest.raises(JobError, match=f"locked by process {os.getpid()} .*haul apply photos"),
        amended(path),
    ):
        pass


def test_a_full_disk_is_said_and_changes_nothing(make_shard: MakeShard) -> None:
    path = make_shard()
    before = _keys(path)
    with pytest.raises(JobError, match="database or disk is full"):
        _amend(path, "PRAGMA max_page_count=1", "UPDATE op SET key = zeroblob(100000)")
    assert _keys(path) == before
