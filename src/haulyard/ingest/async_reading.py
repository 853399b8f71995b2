"""`read_table_async`, `scan_async` and `describe_table_async`, for programs with an event loop."""

from __future__ import annotations

import os
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, Literal, Unpack

from haulyard.client.async_client import AsyncClient
from haulyard.client.session import session_of
from haulyard.errors import ConfigError
from haulyard.ingest.dataset import check_installed, open_dataset
from haulyard.ingest.table_options import check_options, listing_options, read_options
from haulyard.ingest.tallying import Tally
from haulyard.records.reading_streams import in_thread

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    import pyarrow as pa

    from haulyard.client.arguments import StrPath
    from haulyard.ingest.dataset import Dataset
    from haulyard.ingest.model import Reject
    from haulyard.ingest.schema import SchemaInfo
    from haulyard.ingest.table_options import TableOptions
    from haulyard.ingest.where import Where

    #: One source, or several.
    Sources = StrPath | Sequence[StrPath]
    #: What a table is returned as.
    Kind = Literal["arrow", "pandas", "polars", "duckdb"]

_MODULES: Final = {"arrow": (), "pandas": ("pandas",), "polars": ("polars",), "duckdb": ("duckdb",)}


@listing_options
async def read_table_async(
    sources: Sources,
    *,
    columns: Sequence[str] | None = None,
    where: Where | None = None,
    as_: Kind = "arrow",
    max_rejects: int | None = 0,
    on_reject: Callable[[Reject], None] | None = None,
    client: AsyncClient | None = None,
    **options: Unpack[TableOptions],
) -> tuple[Any, SchemaInfo]:
    """Read files of S3 or this machine as one table.

    CSV, TSV, JSON Lines, JSON arrays and Parquet, compressed or not. Of Parquet only the columns and row
    groups that are needed are fetched. Types are found over all rows of all files.

    Args:
        sources: ``s3://bucket/key``, its ``https://`` form or a path: of a file, of a prefix that ends in a
            slash, or with ``*`` and ``?``; or several of them.
        columns: Those that are wanted, in this order; all by default.
        where: Only rows of which this is true: what SQL has behind WHERE, in the meaning of DuckDB, or an
            expression of ``pyarrow.compute``.
        as_: ``arrow`` (a ``pyarrow.Table``), ``pandas``, ``polars`` (data frames) or ``duckdb`` (a relation).
        max_rejects: How many rows that do not fit may be left out; None for any number.
        on_reject: Is called with each of these.
        client: Whose settings, keys and connections are used; one of its own by default.
        options: How files become rows (`haulyard.TableOptions`).

    Returns:
        The table, and what is known of its columns.

    Raises:
        NotFound: There is nothing to read; the hint names the nearest that exist.
        TooManyRejects: More rows than ``max_rejects`` do not fit.
        IngestError: A file is damaged or was replaced while it was read, or files differ.
        ConfigError: An argument makes no sense, or a library is missing.
        TypeError: There is no such option.

    Example:
        >>> table, info = await read_table_async("s3://demo/flights.csv", where="dep_delay > 60")
    """
    check_options(read_table_async, options)
    if as_ not in _MODULES:
        raise ConfigError(f"as_={as_!r} is not allowed", hint=f"give one of {', '.join(_MODULES)}")
    check_installed("pyarrow", *_MODULES[as_])
    tally = Tally(max_rejects, on_reject)
    async with _opened(sources, columns, client, options) as dataset:
        from haulyard.ingest.gathering import gathered  # which needs pyarrow

        table, info = await gathered(dataset, where, tally)
    if as_ == "arrow":
        return table, info
    return await in_thread(lambda: _converted(table, as_)), info


@listing_options
async def scan_async(
    sources: Sources,
    *,
    columns: Sequence[str] | None = None,
    where: Where | None = None,
    max_rejects: int | None = 0,
    on_reject: Callable[[Reject], None] | None = None,
    client: AsyncClient | None = None,
    **options: Unpack[TableOptions],
) -> AsyncGenerator[pa.RecordBatch]:
    """Yield the rows of files as batches of Arrow, all of one schema, in memory that does not grow.

    Close it where it is not read to its end. Text is read twice unless ``schema`` is given: to find the types
    of all rows, then for the rows. There is one batch at least, which may have no row.

    Args:
        sources: As in `read_table_async`.
        columns: As in `read_table_async`.
        where: As in `read_table_async`.
        max_rejects: As in `read_table_async`.
        on_reject: As in `read_table_async`.
        client: As in `read_table_async`.
        options: As in `read_table_async`.

    Raises:
        NotFound: As in `read_table_async`.
        TooManyRejects: As in `read_table_async`; batches may have come before.
        IngestError: Likewise.
        ConfigError: As in `read_table_async`.
    """
    check_options(scan_async, options)
    check_installed("pyarrow")
    tally = Tally(max_rejects, on_reject)
    async with _opened(sources, columns, client, options) as dataset:
        schema = await dataset.schema()
        is_empty = True
        async with aclosing(dataset.pieces(schema, where)) as pieces:
            async for piece in pieces:
                if tally.count(piece.rejects):
                    raise await tally.too_many(pieces)
                tally.tell(piece.rejects)
                if piece.batch.num_rows:
                    is_empty = False
                    yield piece.batch
        if is_empty:
            import pyarrow as pa

            yield pa.RecordBatch.from_arrays([pa.nulls(0, field.type) for field in schema], schema=schema)


@listing_options
async def describe_table_async(
    sources: Sources,
    *,
    columns: Sequence[str] | None = None,
    client: AsyncClient | None = None,
    **options: Unpack[TableOptions],
) -> SchemaInfo:
    """Read all rows once more than `read_table_async`, keep none, and say what is in each column.

    Rows that do not fit are counted.

    Args:
        sources: As in `read_table_async`.
        columns: As in `read_table_async`.
        client: As in `read_table_async`.
        options: As in `read_table_async`.

    Raises:
        NotFound: As in `read_table_async`.
        IngestError: A file is damaged or was replaced, or files differ.
        ConfigError: As in `read_table_async`.
    """
    check_options(describe_table_async, options)
    check_installed("pyarrow", "duckdb")
    async with _opened(sources, columns, client, options) as dataset:
        return await dataset.describe()


@asynccontextmanager
async def _opened(
    sources: Sources,
    columns: Sequence[str] | None,
    client: AsyncClient | None,
    options: TableOptions,
) -> AsyncGenerator[Dataset]:
    if client is None:
        async with AsyncClient() as own, _opened(sources, columns, own, options) as dataset:
            yield dataset
        return
    names = [sources] if isinstance(sources, (str, os.PathLike)) else sources
    yield await open_dataset(
        session_of(client),
        [os.fspath(each) for each in names],
        read_options(columns, options),
        manifest=os.fspath(options.get("manifest", "")),
        recursive=options.get("recursive", False),
    )


def _converted(table: pa.Table, kind: Kind) -> Any:  # noqa: ANN401 -- of one of three libraries
    if kind == "pandas":
        return table.to_pandas()
    if kind == "polars":
        import polars as pl

        return pl.from_arrow(table)
    import duckdb

    return duckdb.connect(":memory:").from_arrow(table)
