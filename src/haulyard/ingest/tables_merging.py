"""Rows out of a staged table into the one that they are for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from haulyard.errors import IngestError
from haulyard.ingest.loaded_sources import has_table
from haulyard.ingest.tables import quoted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from duckdb import DuckDBPyConnection

    from haulyard.ingest.tables import TableName

#: Keys that are named of many.
_TOLD: Final = 3


class Written(NamedTuple):
    """Rows that are new in the table, and rows whose values were replaced."""

    inserted: int
    updated: int = 0


def move(connection: DuckDBPyConnection, staged: TableName, table: TableName, key: Sequence[str]) -> Written:
    """Put the rows of ``staged`` into ``table``, which gets the columns that it lacks; ``staged`` is no more.

    With a ``key``, rows that have the same as one of the table replace its values.

    Raises:
        IngestError: A row has no key, or two have the same.
    """
    if key:
        _check_unique(connection, staged, key)
    if not has_table(connection, table):
        connection.execute(f"ALTER TABLE {staged.sql} RENAME TO {quoted(table.name)}")
        return Written(_count(connection, table))
    columns = _columns(connection, staged)
    present = {name.lower() for name in _columns(connection, table)}
    for name, kind in columns.items():
        if name.lower() not in present:
            connection.execute(f"ALTER TABLE {table.sql} ADD COLUMN {quoted(name)} {kind}")
    rows, before = _count(connection, staged), _count(connection, table)
    names = [quoted(name) for name in columns]
    if key:
        connection.execute(_merge(staged, table, names, [quoted(name) for name in key]))
    else:
        listed = ", ".join(names)
        connection.execute(f"INSERT INTO {table.sql} ({listed}) SELECT {listed} FROM {staged.sql}")
    inserted = _count(connection, table) - before
    connection.execute(f"DROP TABLE {staged.sql}")
    return Written(inserted, rows - inserted)


def _merge(staged: TableName, table: TableName, names: Sequence[str], key: Sequence[str]) -> str:
    """Return the statement; ``names`` and ``key`` are quoted."""
    keys = {name.lower() for name in key}
    changes = [f"{name} = s.{name}" for name in names if name.lower() not in keys]
    match = " AND ".join(f"t.{name} = s.{name}" for name in key)
    change = f"UPDATE SET {', '.join(changes)}" if changes else "DO NOTHING"
    values = ", ".join(f"s.{name}" for name in names)
    return (
        f"MERGE INTO {table.sql} AS t USING {staged.sql} AS s ON {match} "
        f"WHEN MATCHED THEN {change} "
        f"WHEN NOT MATCHED THEN INSERT ({', '.join(names)}) VALUES ({values})"
    )


def _check_unique(connection: DuckDBPyConnection, staged: TableName, key: Sequence[str]) -> None:
    """Raise IngestError where a key is null, or there twice: which row were to win, nobody has said."""
    named = ", ".join(key)
    null = " OR ".join(f"{quoted(name)} IS NULL" for name in key)
    missing = connection.execute(f"SELECT count(*) FROM {staged.sql} WHERE {null}").fetchall()[0][0]
    if missing:
        raise IngestError(
            f"{missing:,} rows have no {named}; nothing was loaded",
            hint=f"leave them out: where='{key[0]} IS NOT NULL'",
        )
    columns = ", ".join(map(quoted, key))
    twice = connection.execute(
        f"SELECT {columns}, count(*) FROM {staged.sql} GROUP BY ALL HAVING count(*) > 1 "
        f"ORDER BY ALL LIMIT {_TOLD}"
    ).fetchall()
    if twice:
        examples = ", ".join(f"{', '.join(map(str, row[:-1]))} ({row[-1]:,} times)" for row in twice)
        raise IngestError(
            f"{named} is not unique in what is loaded: {examples}; nothing was loaded",
            hint="name a key that is, or leave rows out by where=",
        )


def _columns(connection: DuckDBPyConnection, table: TableName) -> dict[str, str]:
    """Return the columns of a table, each with its type."""
    rows = connection.execute(f"DESCRIBE {table.sql}").fetchall()
    return {str(row[0]): str(row[1]) for row in rows}


def _count(connection: DuckDBPyConnection, table: TableName) -> int:
    return int(connection.execute(f"SELECT count(*) FROM {table.sql}").fetchall()[0][0])
