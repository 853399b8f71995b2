"""`read_table`, `scan` and `describe_table`: `haulyard.ingest.async_reading` without an event loop."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Unpack

from haulyard.client.client import Client, inside
from haulyard.ingest.async_reading import describe_table_async, read_table_async, scan_async
from haulyard.ingest.table_options import face_of

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    import pyarrow as pa

    from haulyard.client.async_client import AsyncClient
    from haulyard.client.portal import Portal
    from haulyard.ingest.async_reading import Kind, Sources
    from haulyard.ingest.model import Reject
    from haulyard.ingest.schema import SchemaInfo
    from haulyard.ingest.table_options import TableOptions
    from haulyard.ingest.where import Where


@face_of(read_table_async)
def read_table(
    sources: Sources,
    *,
    columns: Sequence[str] | None = None,
    where: Where | None = None,
    as_: Kind = "arrow",
    max_rejects: int | None = 0,
    on_reject: Callable[[Reject], None] | None = None,
    client: Client | None = None,
    **options: Unpack[TableOptions],
) -> tuple[Any, SchemaInfo]:
    """Read files of S3 or this machine as one table; as `read_table_async`.

    Example:
        >>> table, info = read_table("s3://demo/flights.csv", where="dep_delay > 60", as_="pandas")
    """
    with driving(client) as (driven, portal):
        return portal.call(
            read_table_async,
            sources,
            columns=columns,
            where=where,
            as_=as_,
            max_rejects=max_rejects,
            on_reject=on_reject,
            client=driven,
            **options,
        )


@face_of(scan_async)
def scan(
    sources: Sources,
    *,
    columns: Sequence[str] | None = None,
    where: Where | None = None,
    max_rejects: int | None = 0,
    on_reject: Callable[[Reject], None] | None = None,
    client: Client | None = None,
    **options: Unpack[TableOptions],
) -> Generator[pa.RecordBatch]:
    """Yield the rows of files as batches of Arrow, all of one schema; as `scan_async`.

    Example:
        >>> for batch in scan("s3://demo/flights/*.parquet", columns=["origin", "dep_delay"]):
        ...     print(batch.num_rows)
    """
    with driving(client) as (driven, portal):
        batches = scan_async(
            sources,
            columns=columns,
            where=where,
            max_rejects=max_rejects,
            on_reject=on_reject,
            client=driven,
            **options,
        )
        # One at a time: a page of them, as listings are fetched, would fill the memory.
        yield from portal.iterate(batches, page=1)


@face_of(describe_table_async)
def describe_table(
    sources: Sources,
    *,
    columns: Sequence[str] | None = None,
    client: Client | None = None,
    **options: Unpack[TableOptions],
) -> SchemaInfo:
    """Say of each column of files what is in it; as `describe_table_async`.

    Example:
        >>> describe_table("s3://demo/flights.csv")["origin"].distinct
        3
    """
    with driving(client) as (driven, portal):
        return portal.call(describe_table_async, sources, columns=columns, client=driven, **options)


@contextmanager
def driving(client: Client | None) -> Iterator[tuple[AsyncClient, Portal]]:
    """Yield what drives a client; one that nobody gave is closed at the end."""
    if client is not None:
        yield inside(client)
        return
    with Client() as own:
        yield inside(own)
