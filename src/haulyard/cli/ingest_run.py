"""Runs `haul ingest`: what it works with, and how it ends."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from haulyard.cli import exits, ingest_show
from haulyard.cli.ingest_words import speaking_flags, warning_of_flags
from haulyard.client.session import Session
from haulyard.errors import TooManyRejects
from haulyard.ingest.dataset import check_installed, open_dataset
from haulyard.ingest.exporting import Destination, export
from haulyard.ingest.loading import Order, load, rejects_beside, shares
from haulyard.ingest.model import ReadOptions
from haulyard.ingest.tables import TableName, open_database
from haulyard.ingest.tables_naming import table_for

if TYPE_CHECKING:
    from typing import Any

    from haulyard.cli.context import Context
    from haulyard.cli.ingest_options import Options
    from haulyard.ingest.dataset import Dataset
    from haulyard.ingest.loading import Loaded
    from haulyard.ingest.model import Reject
    from haulyard.stores.assemble import Connection


class _OnConnections(Session):
    """A session on the connections that the command has anyway; those are closed with it."""

    def __init__(self, context: Context) -> None:
        # Their warnings were told when the command began.
        super().__init__(replace(context.settings, warnings=()), warning_of_flags(context.emit))
        self._context = context

    def connection(self, *, source: bool = False) -> Connection:
        return self._context.connection(source=source)


async def ingest(options: Options, context: Context) -> int:
    """Load, or look."""
    with speaking_flags():
        return await _ingest(options, context)


async def _ingest(options: Options, context: Context) -> int:
    check_installed("pyarrow", "duckdb")
    session = _OnConnections(context)
    if options.validate:
        from haulyard.cli.ingest_validate import validate

        reading = await asyncio.to_thread(read_options, options)
        return await validate(options, reading, session, context)
    # What is wrong with them is said before anything is looked for.
    destination = Destination.parse(options.to) if options.to else None
    order = _order(options) if destination is None else None
    reading = await asyncio.to_thread(read_options, options)
    dataset = await open_dataset(
        session, options.sources, reading, manifest=options.manifest, recursive=options.recursive
    )
    if options.schema:
        return await _describe(dataset, context)
    try:
        if destination is not None:
            loaded = await _export(options, destination, dataset, session, context)
        else:
            loaded = await _load(options, cast("Order", order), dataset, session, context)
    except TooManyRejects as error:
        context.output.results(ingest_show.Rejected(cast("Reject", each)) for each in error.first)
        raise
    except asyncio.CancelledError:
        context.output.note("nothing was loaded; the same command begins again")
        raise
    summary = ingest_show.Summary(loaded)
    if options.to == "-":
        await context.output.drain()
        # Standard output has the rows.
        context.output.note(summary.text())
    else:
        context.output.result(summary)
    return exits.FAILED if loaded.embedded is not None and loaded.embedded.failed else exits.OK


async def _describe(dataset: Dataset, context: Context) -> int:
    """Print what is in the columns."""
    from haulyard.ingest.tables_types import sql_types

    with context.progress("rows") as expect:
        expect(len(dataset.files), dataset.size)
        info = await dataset.describe()
        types = await asyncio.to_thread(sql_types, await dataset.schema())
    columns = [ingest_show.Column(each, kind) for each, kind in zip(info.columns, types, strict=True)]
    if context.output.as_json:
        context.output.results(columns)
    else:
        context.output.lines(ingest_show.table_of(columns, info))
    return exits.OK


def _order(options: Options) -> Order:
    table = TableName.parse(options.table) if options.table else table_for(options.sources)
    return Order(
        table,
        options.mode,
        options.rejects or rejects_beside(options.db, table),
        options.key,
        options.force,
        options.max_rejects,
        options.where or None,
    )


async def _load(
    options: Options, order: Order, dataset: Dataset, session: Session, context: Context
) -> Loaded:
    async with open_database(options.db, shares(options.memory).database) as database:
        with context.progress("rows") as expect:
            embedder = None
            if options.embedding is not None:
                from haulyard.ingest.embedding.enrichment import Embedder

                embedder = Embedder(session, options.embedding, expect)
            return await load(dataset, database, order, session.emit, embedder, expect=expect)


async def _export(
    options: Options, destination: Destination, dataset: Dataset, session: Session, context: Context
) -> Loaded:
    order = destination.order(options.rejects, options.max_rejects, options.where or None)
    with context.progress("rows") as expect:
        expect(len(dataset.files), dataset.size)
        return await export(dataset, session, destination, order, session.emit, raw=context.output.raw)


def read_options(options: Options) -> ReadOptions:
    """Return how files become rows.

    Raises:
        ConfigError: The file of names and types is not what it has to be.
    """
    given: dict[str, Any] = {"nulls": options.nulls} if options.nulls else {}
    if options.schema_file:
        from haulyard.ingest.tables_types import read_schema

        given["schema"] = read_schema(options.schema_file)
    return ReadOptions(
        format=options.format,  # type: ignore[arg-type]  # one of the flag's choices
        compression=options.compression,  # type: ignore[arg-type]  # likewise
        encoding=options.encoding,
        delimiter=options.delimiter,
        quote=options.quote,
        escape=options.escape,
        header=options.header,
        names=options.names,
        columns=options.columns or None,
        on_drift=options.on_drift,
        hive=options.hive,
        memory=shares(options.memory).reading,
        **given,
    )
