"""Files in the bucket of a scripted server, read as tables."""

from __future__ import annotations

import io
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import pyarrow as pa
import pyarrow.parquet as pq

from haulyard.client.session import session_of
from haulyard.events import Warned
from haulyard.ingest.dataset import open_dataset
from haulyard.ingest.table_options import read_options

if TYPE_CHECKING:
    from haulyard import AsyncClient
    from haulyard.ingest.dataset import Dataset
    from haulyard.ingest.model import Piece
    from haulyard.ingest.table_options import TableOptions
    from haulyard.testing.faults import FaultServer


class Shelf(NamedTuple):
    """A server with the bucket ``bucket``, a client of it, and what that client told."""

    server: FaultServer
    client: AsyncClient
    events: list[Any]

    def put(self, key: str, content: bytes | str) -> str:
        """Store an object and return its URI."""
        self.server.objects["bucket", key] = content.encode() if isinstance(content, str) else content
        return f"s3://bucket/{key}"

    async def dataset(self, *sources: str, columns: Any = None, **options: Any) -> Dataset:
        """Return the dataset of some sources; ``options`` are those of `TableOptions`."""
        found = {name: options.pop(name) for name in ("manifest", "recursive") if name in options}
        asked = read_options(columns, cast("TableOptions", options))
        return await open_dataset(session_of(self.client), sources, asked, **found)

    @property
    def warnings(self) -> list[str]:
        """What the client warned of."""
        return [event.message for event in self.events if isinstance(event, Warned)]

    def ranges(self, key: str) -> list[tuple[int, int] | None]:
        """Return the bytes of an object that were asked for, in order; None for all of it.

        The last n bytes are -n to 0.
        """
        asked = [
            request.headers.get("range")
            for request in self.server.requests
            if request.operation == "GetObject" and request.key == key
        ]
        return [None if each is None else _span(each) for each in asked]

    @property
    def received(self) -> int:
        """The bytes of all answers that were read."""
        return sum(getattr(event, "received", 0) for event in self.events)


def _span(header: str) -> tuple[int, int]:
    start, _, end = header.removeprefix("bytes=").rpartition("-")
    return (int(start), int(end) + 1) if start else (-int(end), 0)


def parquet(table: pa.Table | dict[str, Any], **options: Any) -> bytes:
    """Return a table as Parquet."""
    sink = io.BytesIO()
    pq.write_table(pa.table(table) if isinstance(table, dict) else table, sink, **options)
    return sink.getvalue()


async def read(dataset: Dataset, *arguments: Any, **options: Any) -> list[Piece]:
    """Return all pieces."""
    async with aclosing(dataset.pieces(*arguments, **options)) as pieces:
        return [piece async for piece in pieces]


def rows(pieces: list[Piece]) -> list[dict[str, Any]]:
    """Return the rows of all pieces, whose accounts have to be right."""
    for piece in pieces:
        assert piece.rows == piece.batch.num_rows + len(piece.rejects) + piece.filtered
    return [row for piece in pieces for row in piece.batch.to_pylist()]
