"""`load_table` and `export_table`: `haulyard.ingest.async_ingesting` without an event loop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from haulyard.ingest.async_ingesting import export_table_async, load_table_async
from haulyard.ingest.reading import driving
from haulyard.ingest.table_options import face_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from haulyard.client.arguments import StrPath
    from haulyard.client.client import Client
    from haulyard.ingest.async_reading import Sources
    from haulyard.ingest.embedding.model import Embedding
    from haulyard.ingest.loaded_sources import Mode
    from haulyard.ingest.loading import Loaded
    from haulyard.ingest.table_options import TableOptions
    from haulyard.ingest.where import Where


@face_of(load_table_async)
def load_table(
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
    client: Client | None = None,
    **options: Unpack[TableOptions],
) -> Loaded:
    """Load files of S3 or this machine into a table of DuckDB; as `load_table_async`.

    Example:
        >>> loaded = load_table("s3://demo/flights.csv", db="demo.duckdb")
        >>> print(loaded.table, loaded.rows_loaded)
    """
    with driving(client) as (driven, portal):
        return portal.call(
            load_table_async,
            sources,
            table=table,
            db=db,
            mode=mode,
            key=key,
            force=force,
            columns=columns,
            where=where,
            max_rejects=max_rejects,
            rejects=rejects,
            embedding=embedding,
            client=driven,
            **options,
        )


@face_of(export_table_async)
def export_table(
    sources: Sources,
    to: StrPath,
    *,
    columns: Sequence[str] | None = None,
    where: Where | None = None,
    max_rejects: int | None = 0,
    rejects: StrPath = "",
    client: Client | None = None,
    **options: Unpack[TableOptions],
) -> Loaded:
    """Write files of S3 or this machine as one file; as `export_table_async`.

    Example:
        >>> export_table("s3://demo/flights.csv", "flights.parquet", columns=["origin", "dep_delay"])
    """
    with driving(client) as (driven, portal):
        return portal.call(
            export_table_async,
            sources,
            to,
            columns=columns,
            where=where,
            max_rejects=max_rejects,
            rejects=rejects,
            client=driven,
            **options,
        )
