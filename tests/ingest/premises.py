"""A directory of files, a database beside it, and loads from the one into the other."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa

from haulyard.client.async_client import AsyncClient
from haulyard.client.session import session_of
from haulyard.ingest.dataset import open_dataset
from haulyard.ingest.loading import Order, load
from haulyard.ingest.model import ConvergedLaterError, Piece, ReadOptions, Reject, SourceFile
from haulyard.ingest.tables import TableName, open_database
from haulyard.stores.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence
    from pathlib import Path

    from haulyard.events import Event
    from haulyard.ingest.loading import Loaded
    from haulyard.ingest.tables_writing import Enrichment

#: Plenty for a test, and little enough for DuckDB to mind it.
MEMORY = 128 * 1024**2


@dataclass
class Premises:
    """``events`` are those of all loads."""

    directory: Path
    events: list[Event] = field(default_factory=list)

    @property
    def db(self) -> str:
        return str(self.directory / "t.duckdb")

    def write(self, name: str, text: str) -> str:
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return str(path)

    def order(self, table: str = "t", mode: Any = "create", **more: Any) -> Order:
        return Order(TableName.parse(table), mode, str(self.directory / "rejects.jsonl"), **more)

    async def load(
        self,
        *sources: str,
        options: ReadOptions | None = None,
        enrichment: Enrichment | None = None,
        order: Order | None = None,
        **more: Any,
    ) -> Loaded:
        reading = replace(options or ReadOptions(), memory=MEMORY)
        async with (
            AsyncClient(on_event=self.events.append) as client,
            open_database(self.db, MEMORY) as database,
        ):
            dataset = await open_dataset(session_of(client), sources, reading)
            return await load(dataset, database, order or self.order(**more), self.events.append, enrichment)

    async def load_pieces(self, dataset: Any, **more: Any) -> Loaded:
        async with open_database(self.db, MEMORY) as database:
            return await load(dataset, database, self.order(**more), self.events.append)

    def query(self, statement: str) -> list[Any]:
        with duckdb.connect(self.db, read_only=True) as connection:
            return connection.execute(statement).fetchall()


class Pieces:
    """Stands in for a dataset: what a run with each schema yields is the test's."""

    def __init__(
        self, *batches: pa.RecordBatch, rejects: Sequence[Reject] = (), rows: int | None = None
    ) -> None:
        self.files: tuple[SourceFile, ...] = (SourceFile(MemoryStore("m"), "k", "mem://m/k", 10, "e1"),)
        self.options = ReadOptions()
        self.size = 10
        self.asked: list[pa.Schema | None] = []
        self.later: pa.Schema | None = None
        """With this, the first run ends in ConvergedLaterError."""
        self.failure: Exception | None = None
        self.before_failure: Callable[[], object] = lambda: None
        self._batches = batches
        self._rejects = rejects
        self._rows = rows

    async def schema(self) -> pa.Schema:
        return self.later or self._batches[0].schema

    async def pieces(self, schema: pa.Schema | None = None, where: Any = None) -> AsyncGenerator[Piece]:
        self.asked.append(schema)
        for batch in self._batches:
            shaped = batch if schema is None else batch.cast(schema)
            rows = batch.num_rows + len(self._rejects) if self._rows is None else self._rows
            yield Piece(self.files[0], shaped, self._rejects, rows, 5)
        if schema is None and self.later is not None:
            raise ConvergedLaterError
        if self.failure is not None:
            self.before_failure()
            # Where a test is cancelled.
            await asyncio.sleep(0)
            raise self.failure


def batch(**columns: Any) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict(columns)
