"""Rows into a table of DuckDB, in the transaction that its caller has begun."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from haulyard.errors import ConfigError, IngestError
from haulyard.ingest.loaded_sources import has_table
from haulyard.ingest.loading_feed import Feed
from haulyard.ingest.tables import OURS, TableName, quoted
from haulyard.ingest.tables_fitting import fit, storable

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa
    from duckdb import DuckDBPyConnection

    from haulyard.ingest.loaded_sources import Mode
    from haulyard.ingest.model import Drift
    from haulyard.ingest.tables import Database

_STAGING: Final = TableName(OURS, "staging")
_FEED: Final = "_haulyard_rows"
#: Keys that are named of many.
_TOLD: Final = 3


class Written(NamedTuple):
    """Rows that are new in the table, and rows whose values were replaced."""

    inserted: int
    updated: int = 0


class TableWriter:
    """Takes batches, and hands them to the thread of DuckDB; `close` it in any case.

    Rows of ``upsert`` go into a staging table first: the keys must differ before they are matched.
    """

    def __init__(
        self, database: Database, table: TableName, mode: Mode, key: Sequence[str], drift: Drift
    ) -> None:
        self._database = database
        self._table = table
        self._mode = mode
        self._key = tuple(key)
        self._drift = drift
        self._target = _STAGING if mode == "upsert" else table
        self._columns: tuple[str, ...] = ()
        self._feed: Feed | None = None
        self._inserting: asyncio.Task[int] | None = None

    async def begin(self, schema: pa.Schema, source: str) -> None:
        """Make the table fit for rows of ``schema``, the first of which come from ``source``.

        Raises:
            ReadAsError: The table has other types; they have to be read as those.
            IngestError: It has other columns.
            ConfigError: There is no column of the key.
        """
        self._columns = await self._database.run(lambda connection: self._prepare(connection, schema, source))
        feed = self._feed = Feed(schema)
        names = ", ".join(map(quoted, self._columns))
        statement = f"INSERT INTO {self._target.sql} ({names}) SELECT * FROM {_FEED}"

        def insert(connection: DuckDBPyConnection) -> int:
            connection.register(_FEED, feed.reader())
            try:
                return _count(connection, statement)
            finally:
                connection.unregister(_FEED)

        self._inserting = asyncio.create_task(self._database.run(insert))
        self._inserting.add_done_callback(lambda _: feed.close())

    async def write(self, batch: pa.RecordBatch) -> None:
        """Take rows.

        Raises:
            HaulError: Rows before them could not be written.
        """
        if self._feed is None or self._inserting is None:
            raise AssertionError("begin comes first")
        if not await self._feed.put(batch):
            await self._inserting
            raise IngestError(f"{self._table}: DuckDB took no more rows")

    async def finish(self, rows: int) -> Written:
        """Write what was taken, which were so many rows, and return what became of them.

        Raises:
            IngestError: It were others, or upsert met a key twice, or none.
        """
        if self._feed is None or self._inserting is None:
            return Written(0)
        self._feed.end()
        inserted = await self._inserting
        if inserted != rows:
            raise IngestError(f"{self._table}: DuckDB took {inserted:,} of {rows:,} rows; nothing was loaded")
        if self._mode != "upsert":
            return Written(inserted)
        return await self._database.run(self._merge)

    async def close(self) -> None:
        """Let the thread come to its end."""
        if self._feed is None or self._inserting is None or self._inserting.done():
            return
        self._feed.give_up()
        self._inserting.cancel()
        await asyncio.wait([self._inserting])

    def _prepare(self, connection: DuckDBPyConnection, schema: pa.Schema, source: str) -> tuple[str, ...]:
        table = self._table
        fresh = storable(schema)
        if self._mode == "replace":
            connection.execute(f"DROP TABLE IF EXISTS {table.sql}")
        if not has_table(connection, table):
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {quoted(table.schema)}")
            _create(connection, table, fresh)
            columns = tuple(fresh.names)
        else:
            rows: Any = connection.execute(f"SELECT * FROM {table.sql} LIMIT 0")
            present = rows.to_arrow_table()
            columns, added = fit(schema, present.schema, self._drift, source, str(table))
            for name in added:
                kind = _kind(connection, fresh, schema.names.index(name))
                connection.execute(f"ALTER TABLE {table.sql} ADD COLUMN {quoted(name)} {kind}")
        if self._mode == "upsert":
            self._check_key(columns, source)
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {OURS}")
            # Nothing of a transaction outlives it, but another release may have left one.
            connection.execute(f"DROP TABLE IF EXISTS {_STAGING.sql}")
            names = ", ".join(map(quoted, columns))
            connection.execute(f"CREATE TABLE {_STAGING.sql} AS SELECT {names} FROM {table.sql} LIMIT 0")
        return columns

    def _check_key(self, columns: Sequence[str], source: str) -> None:
        names = {name.lower() for name in columns}
        for name in self._key:
            if name.lower() not in names:
                raise ConfigError(
                    f"{source} has no column {name!r}", hint=f"the columns are {', '.join(columns)}"
                )

    def _merge(self, connection: DuckDBPyConnection) -> Written:
        self._check_unique(connection)
        table = self._table
        keys = {name.lower() for name in self._key}
        others = [quoted(name) for name in self._columns if name.lower() not in keys]
        match = " AND ".join(f"t.{quoted(name)} = s.{quoted(name)}" for name in self._key)
        change = (
            f"UPDATE SET {', '.join(f'{name} = s.{name}' for name in others)}" if others else "DO NOTHING"
        )
        names = [quoted(name) for name in self._columns]
        rows = _count(connection, f"SELECT count(*) FROM {_STAGING.sql}")
        before = _count(connection, f"SELECT count(*) FROM {table.sql}")
        connection.execute(
            f"MERGE INTO {table.sql} AS t USING {_STAGING.sql} AS s ON {match} "
            f"WHEN MATCHED THEN {change} "
            f"WHEN NOT MATCHED THEN INSERT ({', '.join(names)}) VALUES ({', '.join(f's.{n}' for n in names)})"
        )
        inserted = _count(connection, f"SELECT count(*) FROM {table.sql}") - before
        connection.execute(f"DROP TABLE {_STAGING.sql}")
        return Written(inserted, rows - inserted)

    def _check_unique(self, connection: DuckDBPyConnection) -> None:
        """Raise IngestError where a key is null, or there twice: which row were to win, nobody has said."""
        key = ", ".join(map(quoted, self._key))
        named = ", ".join(self._key)
        null = " OR ".join(f"{quoted(name)} IS NULL" for name in self._key)
        if missing := _count(connection, f"SELECT count(*) FROM {_STAGING.sql} WHERE {null}"):
            raise IngestError(
                f"{missing:,} rows have no {named}; nothing was loaded",
                hint=f"leave them out: --where '{self._key[0]} IS NOT NULL'",
            )
        twice = connection.execute(
            f"SELECT {key}, count(*) AS rows FROM {_STAGING.sql} GROUP BY ALL HAVING count(*) > 1 "
            f"ORDER BY ALL LIMIT {_TOLD}"
        ).fetchall()
        if twice:
            examples = ", ".join(f"{', '.join(map(str, row[:-1]))} ({row[-1]} times)" for row in twice)
            raise IngestError(
                f"{named} is not unique in what is loaded: {examples}; nothing was loaded",
                hint="name a key that is, or leave rows out by --where",
            )


def _create(connection: DuckDBPyConnection, table: TableName, schema: pa.Schema) -> None:
    connection.register(_FEED, schema.empty_table())
    try:
        connection.execute(f"CREATE TABLE {table.sql} AS SELECT * FROM {_FEED}")
    finally:
        connection.unregister(_FEED)


def _kind(connection: DuckDBPyConnection, schema: pa.Schema, index: int) -> str:
    """Return DuckDB's name of the type of a column."""
    return sql_types(connection, schema)[index]


def sql_types(connection: DuckDBPyConnection, schema: pa.Schema) -> list[str]:
    """Return DuckDB's names of the types of ``schema``."""
    connection.register(_FEED, schema.empty_table())
    try:
        return [str(row[1]) for row in connection.execute(f"DESCRIBE {_FEED}").fetchall()]
    finally:
        connection.unregister(_FEED)


def _count(connection: DuckDBPyConnection, statement: str) -> int:
    row = connection.execute(statement).fetchone()
    return int(row[0]) if row else 0
