"""Changing plan rows of a sealed shard, before anything was done with them."""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from haulyard.errors import JobError
from haulyard.journal import meta
from haulyard.journal.damage import concerns_surroundings, damaged, foreign_errors, unwritable
from haulyard.journal.lock import Lock
from haulyard.journal.opening import connect_reader, connect_writer
from haulyard.journal.plan_rows import PlanRows

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def amended(path: str, *, owner: str = "plan") -> Iterator[sqlite3.Connection]:
    """Change rows of a sealed shard's plan: all that the block does, or nothing of it, whenever it is killed.

    The block gets a connection with a transaction begun, to ``UPDATE`` rows of the plan; it neither commits
    nor inserts nor deletes. Batches of changed rows are checked as they were before, and sealed anew. If the
    block raises, nothing is changed.

    Raises:
        JobError: The shard is locked, damaged, or cannot be written; or rows were added or removed.
    """
    with Lock.acquire(path + ".lock", command=owner, what=path), closing(connect_writer(path)) as connection:
        plan = PlanRows(connection, path, meta.read(connection, path))
        try:
            _watch(connection, plan.table)
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            _seal_anew(connection, path, plan)
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            if concerns_surroundings(error):
                raise unwritable(path, error) from error
            raise damaged(path, f"({error})") from error


def _watch(connection: sqlite3.Connection, table: str) -> None:
    """Have SQLite itself note the batches in which rows change."""
    connection.execute("PRAGMA temp_store=MEMORY")
    connection.execute("CREATE TEMP TABLE touched(first INTEGER PRIMARY KEY)")
    note = "INSERT OR IGNORE INTO touched SELECT max(first) FROM main.seal WHERE first <= "
    for event, item in (("UPDATE", "OLD.id"), ("DELETE", "OLD.id"), ("INSERT", "NEW.id")):
        connection.execute(
            f'CREATE TEMP TRIGGER touch_{event} AFTER {event} ON main."{table}" BEGIN {note}{item}; END'
        )


def _seal_anew(connection: sqlite3.Connection, path: str, plan: PlanRows) -> None:
    rows = connection.execute(f'SELECT count(*), max(id) FROM "{plan.table}"').fetchone()  # noqa: S608 -- own name
    if rows != (plan.count, plan.count or None):
        raise JobError(f"rows of {path} were added or removed", hint="a sealed plan keeps its rows")
    touched = [row[0] for row in connection.execute("SELECT first FROM touched ORDER BY first")]
    if not touched:
        return
    # Another connection sees the rows as they were: a damaged batch must not get a fresh seal.
    with closing(connect_reader(path)) as before, foreign_errors(path):
        old = PlanRows(before, path, meta.read(before, path))
        for first in touched:
            old.verify(first)
    for first, last in connection.execute(
        "SELECT first, last FROM seal WHERE first IN (SELECT first FROM touched)"
    ).fetchall():
        connection.execute("UPDATE seal SET crc = ? WHERE first = ?", (plan.crc(first, last), first))
