"""`load_table_async` and `export_table_async`, for programs with an event loop."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Unpack

from haulyard.client.async_client import AsyncClient
from haulyard.client.session import session_of
from haulyard.errors import ConfigError
from haulyard.ingest.dataset import check_installed, open_dataset
from haulyard.ingest.table_options import TableOptions, check_options, listing_options, read_options, strings

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from haulyard.client.arguments import StrPath
    from haulyard.client.session import Session
    from haulyard.ingest.async_reading import Sources
    from haulyard.ingest.dataset import Dataset
    from haulyard.ingest.embedding.model import Embedding
    from haulyard.ingest.loaded_sources import Mode
    from haulyard.ingest.loading import Loaded
    from haulyard.ingest.where import Where


@listing_options
async def load_table_async(
    sources: Sources,
    *,
    table: str = "",
    db: StrPath = "haul.duckdb",
    mode: Mode = "create",
    key: Sequence[str] = (),
    force: bool = False,
    columns: Sequence[str] | None = None,
    where: Where | None = None,
    max_rejects: int | None = 0,
    rejects: StrPath = "",
    embedding: Embedding | None = None,
    client: AsyncClient | None = None,
    **options: Unpack[TableOptions],
) -> Loaded:
    """Load files of S3 or this machine into a table of DuckDB, in one transaction.

    The database remembers what was loaded into a table, by URL and ETag, in ``haulyard.sources``.

    Args:
        sources: As in `read_table_async`.
        table: Its name, or ``schema.name``; by default after the file, or the prefix.
        db: The DuckDB file, which is made where there is none.
        mode: Of a table that is there: ``create`` leaves it alone if it was loaded from the same, and raises
            ConfigError otherwise; ``append`` and ``upsert`` add the files that it was not loaded from;
            ``replace`` makes it anew.
        key: Columns that tell rows apart, for ``upsert``: rows of the same key get the new values.
        force: Load files once more that were loaded before, for ``append`` and ``upsert``.
        columns: As in `read_table_async`.
        where: As in `read_table_async`.
        max_rejects: How many rows may not fit; None for any number. They go into ``TABLE_rejects``.
        rejects: The file of JSON Lines that they go to as well; by default ``TABLE_rejects.jsonl`` beside
            the database.
        embedding: A column of vectors to be added.
        client: As in `read_table_async`.
        options: How files become rows (`haulyard.TableOptions`). Half of ``memory`` is for DuckDB.

    Raises:
        TooManyRejects: More rows than ``max_rejects`` do not fit; nothing was loaded.
        DatabaseLocked: Another process has the database open.
        NotFound: There is nothing to load; the hint names the nearest that exist.
        IngestError: A file is damaged or was replaced while it was read, files differ, or a key is there
            twice; nothing was loaded.
        ConfigError: An argument makes no sense, a library is missing, or the table is of something else.
        TypeError: There is no such option.

    Example:
        >>> loaded = await load_table_async("s3://demo/flights.csv", db="demo.duckdb")
        >>> print(loaded.table, loaded.rows_loaded)
    """
    check_options(load_table_async, options)
    check_installed("pyarrow", "duckdb")
    from haulyard.ingest.embedding.enrichment import Embedder
    from haulyard.ingest.loading import Order, load, rejects_beside, shares
    from haulyard.ingest.tables import TableName, open_database
    from haulyard.ingest.tables_naming import table_for

    if (mode == "upsert") != bool(key):
        raise ConfigError("mode='upsert' and key go together", hint="write mode='upsert', key=['id']")
    names, path = _names(sources), os.fspath(db)
    name = TableName.parse(table) if table else table_for(names)
    file = os.fspath(rejects) or rejects_beside(path, name)
    order = Order(name, mode, file, strings("key", key), force, max_rejects, where)
    async with _opened(names, columns, client, options) as (dataset, session):
        embedder = None if embedding is None else Embedder(session, embedding)
        async with open_database(path, shares(options.get("memory", 0)).database) as database:
            return await load(dataset, database, order, session.emit, embedder)


@listing_options
async def export_table_async(
    sources: Sources,
    to: StrPath,
    *,
    columns: Sequence[str] | None = None,
    where: Where | None = None,
    max_rejects: int | None = 0,
    rejects: StrPath = "",
    client: AsyncClient | None = None,
    **options: Unpack[TableOptions],
) -> Loaded:
    """Write files of S3 or this machine as one file, which appears when it is complete.

    Args:
        sources: As in `read_table_async`.
        to: ``s3://bucket/key`` or a path that ends in ``.parquet``, ``.csv``, ``.tsv`` or ``.csv.gz``.
        columns: As in `read_table_async`.
        where: As in `read_table_async`.
        max_rejects: As in `load_table_async`.
        rejects: The file of JSON Lines for rows that do not fit; by default ``to`` with ``.rejects.jsonl``
            behind it, in the current directory where that is in S3.
        client: As in `read_table_async`.
        options: How files become rows (`haulyard.TableOptions`).

    Raises:
        TooManyRejects: As in `load_table_async`; nothing was written.
        NotFound: As in `load_table_async`.
        IngestError: As in `load_table_async`, or the file cannot be written or hold the rows.
        ConfigError: An argument makes no sense, or a library is missing.
        TypeError: There is no such option.

    Example:
        >>> await export_table_async("s3://demo/flights.csv", "s3://demo/flights.parquet")
    """
    check_options(export_table_async, options)
    check_installed("pyarrow")
    from haulyard.ingest.exporting import Destination, export

    destination = Destination.parse(os.fspath(to))
    order = destination.order(os.fspath(rejects), max_rejects, where)
    async with _opened(_names(sources), columns, client, options) as (dataset, session):
        return await export(dataset, session, destination, order, session.emit)


def _names(sources: Sources) -> list[str]:
    return [os.fspath(each) for each in ([sources] if isinstance(sources, (str, os.PathLike)) else sources)]


@asynccontextmanager
async def _opened(
    sources: Sequence[str], columns: Sequence[str] | None, client: AsyncClient | None, options: TableOptions
) -> AsyncGenerator[tuple[Dataset, Session]]:
    from haulyard.ingest.loading import shares

    if client is None:
        async with AsyncClient() as own, _opened(sources, columns, own, options) as both:
            yield both
        return
    session = session_of(client)
    reading: TableOptions = {**options, "memory": shares(options.get("memory", 0)).reading}
    dataset = await open_dataset(
        session,
        sources,
        read_options(columns, reading),
        manifest=os.fspath(options.get("manifest", "")),
        recursive=options.get("recursive", False),
    )
    yield dataset, session
