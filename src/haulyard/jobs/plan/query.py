"""SQL over all shards of a job, that can only read.

The shards are not attached: SQLite takes ten of them at most, and would not notice a row that was tampered
with. What a statement reads is copied, checked, into a temporary database that lives in a bounded cache while
it is small, and vanishes with the process.
"""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from haulyard.errors import ConfigError, JobError
from haulyard.jobs.model import FALLBACK, NO_RULE, PLAN_COLUMNS, Action, Conflict, Phase
from haulyard.journal.damage import concerns_surroundings
from haulyard.journal.shard import Shard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Row = tuple[Any, ...]

#: Pages of SQLite's cache, in KiB as a negative number.
_CACHE: Final = -32 * 1024
_PAGE: Final = 1_000
_PLAN, _JOURNAL = "_plan", "_journal"
_HINT: Final = (
    f"the tables are plan (shard {' '.join(PLAN_COLUMNS)}), journal (shard id phase at details) and outcome"
    " (both)"
)

#: Where an object went, which is not where it was planned to go if a suffix made another name of it.
_WENT: Final = ", ".join(
    "coalesce(went, plan.destination) AS destination" if name == "destination" else f"plan.{name}"
    for name in PLAN_COLUMNS
)
_SCHEMA: Final = f"""
CREATE TABLE _journal(shard TEXT, id INTEGER, phase TEXT, at REAL, details TEXT, went TEXT,
  PRIMARY KEY(shard, id)) WITHOUT ROWID;
CREATE TABLE _action(n INTEGER PRIMARY KEY, word TEXT);
CREATE TABLE _conflict(n INTEGER PRIMARY KEY, word TEXT);
CREATE TABLE _rule(n INTEGER PRIMARY KEY, word TEXT);
CREATE VIEW plan AS SELECT shard, id,
  (SELECT word FROM _action WHERE n = action) AS action, (SELECT word FROM _rule WHERE n = rule) AS rule,
  key, version, nullif(size, -1) AS size, nullif(modified, 0.0) AS modified, etag, storage_class, destination,
  wave, (SELECT word FROM _conflict WHERE n = conflict) AS conflict, present FROM _plan;
CREATE VIEW journal AS SELECT shard, id, phase, at, details FROM _journal;
CREATE VIEW outcome AS SELECT plan.shard, {_WENT}, phase, at, details
  FROM plan LEFT JOIN _journal USING (shard, id);
"""  # noqa: S608 -- own names
_MAY: Final = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}


class Answer(NamedTuple):
    """What a query comes to: the names of its columns, and its rows, which are made while they are read."""

    columns: tuple[str, ...]
    rows: Iterator[Row]


def name_of(path: str) -> str:
    """Return what a shard is called in tables: ``00000``, ``ordered-00000``."""
    return os.path.basename(path).removesuffix(".db")


def ask(sql: str, shard_paths: Sequence[str], rule: Callable[[int], str]) -> Answer:
    """Run a statement over the shards; ``rule`` says what the rule with a number is called.

    Raises:
        ConfigError: The statement is wrong, or would do more than read.
        JobError: A shard is damaged, or there is no room for the temporary tables.
    """
    with _translated():
        connection = sqlite3.connect("", isolation_level=None, check_same_thread=False)
    try:
        with _translated():
            for pragma in ("journal_mode=OFF", "synchronous=OFF", f"cache_size={_CACHE}"):
                connection.execute(f"PRAGMA {pragma}")
            connection.execute(f"CREATE TABLE _plan(shard TEXT, {', '.join(PLAN_COLUMNS)})")
            connection.executescript(_SCHEMA)
            # First without any rows, which tells mistakes at once, and which tables are needed.
            needed = _tables_read(connection, sql)
            connection.execute("BEGIN")
            _words(connection, rule)
            for path in shard_paths:
                _fill(connection, path, needed)
            connection.execute("COMMIT")
            connection.set_authorizer(lambda action, *_: _verdict(action))
            cursor = connection.execute(sql)
        columns = tuple(each[0] for each in cursor.description)
    except BaseException:
        connection.close()
        raise
    return Answer(columns, _rows(connection, cursor))


def _tables_read(connection: sqlite3.Connection, sql: str) -> set[str]:
    read: set[str] = set()

    def authorize(action: int, table: str | None, *_: str | None) -> int:
        if action == sqlite3.SQLITE_READ and table:
            read.add(table)
        return _verdict(action)

    connection.set_authorizer(authorize)
    cursor = connection.execute(sql)
    if cursor.description is None:
        raise ConfigError("the query asks for nothing", hint=f"begin it with SELECT; {_HINT}")
    cursor.close()
    connection.set_authorizer(None)
    return read


def _verdict(action: int) -> int:
    return sqlite3.SQLITE_OK if action in _MAY else sqlite3.SQLITE_DENY


def _words(connection: sqlite3.Connection, rule: Callable[[int], str]) -> None:
    connection.executemany("INSERT INTO _action VALUES (?, ?)", [(each.value, each.word) for each in Action])
    connection.executemany(
        "INSERT INTO _conflict VALUES (?, ?)", [(each.value, each.word) for each in Conflict]
    )
    names = [(FALLBACK, rule(FALLBACK)), (NO_RULE, "")]
    index = 0
    while name := rule(index):
        names.append((index, name))
        index += 1
    connection.executemany("INSERT INTO _rule VALUES (?, ?)", names)


def _fill(connection: sqlite3.Connection, path: str, needed: set[str]) -> None:
    shard_name = name_of(path)
    with Shard.open(path, owner="plan", read_only=True) as shard:
        if _PLAN in needed:
            insert = f"INSERT INTO {_PLAN} VALUES ({', '.join('?' * (len(PLAN_COLUMNS) + 1))})"  # noqa: S608 -- own names
            # Rows that are in an ordered shard too are read there.
            for page in shard.rows(where=f"action <> {Action.ORDERED.value}"):
                connection.executemany(insert, [(shard_name, *row) for row in page])
        if _JOURNAL in needed:
            connection.executemany(
                f"INSERT OR REPLACE INTO {_JOURNAL} VALUES (?, ?, ?, ?, ?, ?)",  # noqa: S608 -- own name
                _journal_rows(shard_name, shard),
            )


def _journal_rows(shard_name: str, shard: Shard) -> Iterator[Row]:
    """Yield each entry with where its object went, None for where it was planned to go.

    What comes after a copy (it is done, undone, kept) need not repeat where the copy is.
    """
    went: dict[int, str] = {}
    for item, phase, at, details in shard.entries():
        if not item:  # the run itself
            continue
        if "destination" in details:
            went[item] = details["destination"]
        elif phase == Phase.COPIED:
            went.pop(item, None)
        yield shard_name, item, phase, at, json.dumps(details), went.get(item)


def _rows(connection: sqlite3.Connection, cursor: sqlite3.Cursor) -> Iterator[Row]:
    try:
        while True:
            with _translated():
                page = cursor.fetchmany(_PAGE)
            if not page:
                return
            yield from page
    finally:
        connection.close()


@contextmanager
def _translated() -> Iterator[None]:
    # Several statements in one are a Warning up to Python 3.11, which is no Error.
    try:
        yield
    except (sqlite3.Error, sqlite3.Warning) as error:
        if isinstance(error, sqlite3.Error) and concerns_surroundings(error):
            raise JobError(
                f"the temporary tables of the query failed: {error}",
                hint="make room in the directory for temporary files, or set SQLITE_TMPDIR to one with more",
            ) from error
        if "not authorized" in str(error) or "prohibited" in str(error):
            raise ConfigError("a query may only read the plan", hint=f"use SELECT; {_HINT}") from error
        raise ConfigError(f"the query is wrong: {error}", hint=_HINT) from error
