"""Rows into a table of DuckDB, in the transaction that its caller has begun."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, Protocol

from haulyard.errors import ConfigError, IngestError
from haulyard.ingest.loaded_sources import has_table
from haulyard.ingest.loading_feed import Feed
from haulyard.ingest.tables import quoted, registered
from haulyard.ingest.tables_fitting import fit, storable
from haulyard.ingest.tables_merging import Written, move

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa
    from duckdb import DuckDBPyConnection

    from haulyard.ingest.embedding.model import Embedded
    from haulyard.ingest.loaded_sources import Mode
    from haulyard.ingest.model import Drift
    from haulyard.ingest.tables import Database, TableName

_FEED: Final = "_haulyard_rows"


class Enrichment(Protocol):
    """Gives the rows of a load a further column, before they go where the others are."""

    @property
    def asked(self) -> Mapping[str, object]:
        """What is asked for, as JSON has it: the same load with another of these is another load."""
        ...

    @property
    def done(self) -> Embedded | None:
        """What it came to, None before that."""
        ...

    def foresee(self, schema: pa.Schema) -> str:
        """Return the name of the column. Raises ConfigError where rows of ``schema`` can have none."""
        ...

    async def apply(self, database: Database, staged: TableName, table: TableName) -> None:
        """Add the column to ``staged``, whose rows go into ``table``; in the transaction of the load."""
        ...

    async def settle(self) -> None:
        """Take note that the table has it, for good."""
        ...


class TableWriter:
    """Takes batches, and hands them to the thread of DuckDB; `close` it in any case.

    Rows that something is done with before they go into the table, because their keys must differ or a column
    is added, are staged: in a table beside it that is gone before the transaction ends.
    """

    def __init__(
        self,
        database: Database,
        table: TableName,
        mode: Mode,
        key: Sequence[str],
        drift: Drift,
        enrichment: Enrichment | None = None,
    ) -> None:
        self._database = database
        self._table = table
        self._mode = mode
        self._key = tuple(key)
        self._drift = drift
        self._enrichment = enrichment
        is_staged = mode == "upsert" or enrichment is not None
        self._target = table._replace(name=f"{table.name}_haulyard_staging") if is_staged else table
        self._feed: Feed | None = None
        self._inserting: asyncio.Task[int] | None = None

    async def begin(self, schema: pa.Schema, source: str) -> None:
        """Make the table fit for rows of ``schema``, the first of which come from ``source``.

        Raises:
            ReadAsError: The table has other types; they have to be read as those.
            IngestError: It has other columns.
            ConfigError: There is no column of the key.
        """
        columns = await self._database.run(lambda connection: self._prepare(connection, schema, source))
        feed = self._feed = Feed(schema)
        names = ", ".join(map(quoted, columns))
        statement = f"INSERT INTO {self._target.sql} ({names}) SELECT * FROM {_FEED}"

        def insert(connection: DuckDBPyConnection) -> int:
            with registered(connection, _FEED, feed.reader()):
                return int(connection.execute(statement).fetchall()[0][0])

        self._inserting = asyncio.create_task(self._database.run(insert))
        self._inserting.add_done_callback(lambda _: feed.close())

    async def write(self, batch: pa.RecordBatch) -> None:
        """Take rows.

        Raises:
            HaulError: Rows before them could not be written.
        """
        feed, inserting = self._begun()
        if not await feed.put(batch):
            await inserting
            raise IngestError(f"{self._table}: DuckDB took no more rows; nothing was loaded")

    async def finish(self, rows: int) -> Written:
        """Write what was taken, which were so many rows, and return what became of them.

        Raises:
            IngestError: It were others, or upsert met a key twice, or none.
        """
        feed, inserting = self._begun()
        feed.end()
        inserted = await inserting
        if inserted != rows:
            raise IngestError(f"{self._table}: DuckDB took {inserted:,} of {rows:,} rows; nothing was loaded")
        if self._target is self._table:
            return Written(inserted)
        if self._enrichment is not None:
            await self._enrichment.apply(self._database, self._target, self._table)
        return await self._database.run(
            lambda connection: move(connection, self._target, self._table, self._key)
        )

    async def close(self) -> None:
        """Let the thread come to its end."""
        if self._feed is None or self._inserting is None or self._inserting.done():
            return
        self._feed.give_up()
        self._inserting.cancel()
        await asyncio.wait([self._inserting])

    def _begun(self) -> tuple[Feed, asyncio.Task[int]]:
        if self._feed is None or self._inserting is None:
            raise AssertionError("begin comes first")
        return self._feed, self._inserting

    def _prepare(self, connection: DuckDBPyConnection, schema: pa.Schema, source: str) -> tuple[str, ...]:
        """Make what the rows go into, and return its columns, by their positions in ``schema``."""
        table, target = self._table, self._target
        self._database.provide(connection, len(schema))
        given = "" if self._enrichment is None else self._enrichment.foresee(schema)
        fresh = storable(schema)
        if self._mode == "replace":
            connection.execute(f"DROP TABLE IF EXISTS {table.sql}")
        if not has_table(connection, table):
            self._check_key(fresh.names, source)
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {quoted(table.schema)}")
            _create(connection, target, fresh)
            return tuple(fresh.names)
        rows: Any = connection.sql(f"SELECT * FROM {table.sql} LIMIT 0")
        present = rows.to_arrow_table().schema
        columns, added = fit(schema, present, self._drift, source, str(table), given=given)
        self._check_key(columns, source)
        for name in added:
            kind = _kind(connection, fresh.field(columns.index(name)))
            connection.execute(f"ALTER TABLE {table.sql} ADD COLUMN {quoted(name)} {kind}")
        if target is not table:
            names = ", ".join(map(quoted, columns))
            connection.execute(f"CREATE TABLE {target.sql} AS SELECT {names} FROM {table.sql} LIMIT 0")
        return columns

    def _check_key(self, columns: Sequence[str], source: str) -> None:
        names = {name.lower() for name in columns}
        for name in self._key:
            if name.lower() not in names:
                raise ConfigError(
                    f"{source} has no column {name!r}", hint=f"the columns are {', '.join(columns)}"
                )


def _create(connection: DuckDBPyConnection, table: TableName, schema: pa.Schema) -> None:
    from haulyard.ingest.literals import empty_table  # which needs pyarrow

    with registered(connection, _FEED, empty_table(schema)):
        connection.execute(f"CREATE TABLE {table.sql} AS SELECT * FROM {_FEED}")


def _kind(connection: DuckDBPyConnection, field: pa.Field) -> str:
    """Return DuckDB's name of the type of a column."""
    import pyarrow as pa

    from haulyard.ingest.literals import empty_table

    with registered(connection, _FEED, empty_table(pa.schema([field]))):
        return str(connection.execute(f"DESCRIBE {_FEED}").fetchall()[0][1])
