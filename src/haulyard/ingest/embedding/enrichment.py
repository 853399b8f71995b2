"""An embedding as a load takes it: the column that its rows get."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from haulyard.ingest.embedding.job import embed, foresee, settle

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pyarrow as pa

    from haulyard.client.session import Session
    from haulyard.ingest.embedding.model import Embedded, Embedding
    from haulyard.ingest.tables import Database, TableName


class Embedder:
    """Gives the rows of a load their vectors; see `haulyard.ingest.tables_writing.Enrichment`.

    Args:
        session: Has the settings, and is told of events.
        embedding: What is asked for.
        expect: Is told of the bytes of texts that are to be sent.

    Attributes:
        done: What it came to, None before that.
    """

    def __init__(
        self,
        session: Session,
        embedding: Embedding,
        expect: Callable[[int, int], None] = lambda _records, _bytes: None,
    ) -> None:
        self._session = session
        self._embedding = embedding
        self._expect = expect
        self.done: Embedded | None = None

    @property
    def asked(self) -> Mapping[str, object]:
        """The model, the columns and what else the vectors hang on."""
        names = ("model", "column", "into", "url", "dimensions")
        given = {name: getattr(self._embedding, name) for name in names}
        return {name: value for name, value in given.items() if value}

    def foresee(self, schema: pa.Schema) -> str:
        """Return what the column of vectors is called. Raises ConfigError where there can be none."""
        from pyarrow import types

        columns = {
            field.name: any(
                test(field.type) for test in (types.is_string, types.is_large_string, types.is_string_view)
            )
            for field in schema
        }
        return foresee(self._embedding, columns, self._session.settings.environment)[1]

    async def apply(self, database: Database, staged: TableName, table: TableName) -> None:
        """Add the column to ``staged``, whose rows go into ``table``. Raises as `embed`."""
        self.done = await embed(
            self._session, database, staged, self._embedding, table=table, expect=self._expect
        )

    async def settle(self) -> None:
        """Remove what was kept for another try."""
        if self.done is not None:
            await asyncio.to_thread(settle, self.done)
