"""What is in each column of a dataset, by one pass of DuckDB over its batches.

DuckDB, for it counts distinct values approximately while they pass (HyperLogLog, an error of some 2 %), in
memory that grows with the number of columns alone.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import duckdb
import pyarrow as pa

from haulyard.ingest.schema import ColumnInfo, SchemaInfo
from haulyard.records.reading_streams import in_thread

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Coroutine, Iterator
    from concurrent.futures import Future

    from haulyard.ingest.model import Piece

#: Examples of a column, and rows of a batch in which they are looked for.
_EXAMPLES: Final = 3
_SEARCHED: Final = 1000


async def described(pieces: AsyncGenerator[Piece], schema: pa.Schema, files: int) -> SchemaInfo:
    """Read all of ``pieces``, which are of ``schema`` and of so many files, and keep none; the caller closes.

    Raises:
        IngestError: A file cannot be read, or files differ.
    """
    bridge = _Bridge(pieces, schema)
    counts, values = await in_thread(bridge.look, bridge.give_up)
    rows = int(counts[0])
    columns = tuple(
        ColumnInfo(
            field.name,
            str(field.type),
            field.nullable,
            rows - count,
            _in_zone(minimum, field.type),
            _in_zone(maximum, field.type),
            # Approximately there may be more of them than values.
            min(distinct, count),
            tuple(bridge.examples[number]),
        )
        for number, (field, (count, minimum, maximum, distinct)) in enumerate(
            zip(schema, values, strict=True)
        )
    )
    return SchemaInfo(columns, rows, bridge.rejected, 0, files, is_complete=True)


def _in_zone(value: Any, kind: pa.DataType) -> Any:  # noqa: ANN401 -- of whatever type a column is
    """Return a time that DuckDB gave in UTC in the zone of its column, as the examples are."""
    if value is None or not (pa.types.is_timestamp(kind) and kind.tz):
        return value
    return pa.scalar(value, kind).as_py()


class _Bridge:
    """Hands batches to DuckDB, in whose thread they are waited for."""

    def __init__(self, pieces: AsyncGenerator[Piece], schema: pa.Schema) -> None:
        self.rejected = 0
        self.examples: list[list[Any]] = [[] for _ in schema]
        self._pieces = pieces
        self._schema = schema
        self._loop = asyncio.get_running_loop()
        self._pending: Future[Piece | None] | None = None
        self._failure: BaseException | None = None
        self._is_cancelled = False

    def look(self) -> tuple[list[Any], list[list[Any]]]:
        """Return the number of rows; and for each column of values, minimum, maximum, and how many differ."""
        reader = pa.RecordBatchReader.from_batches(self._schema, self._batches())
        names = [f"c{number}" for number in range(len(self._schema))]
        told = [f"count({name}), min({name}), max({name}), approx_count_distinct({name})" for name in names]
        connection = duckdb.connect(":memory:")
        try:
            connection.execute("SET TimeZone = 'UTC'")
            connection.register("read", reader)
            columns = f" AS t({', '.join(names)})" if names else ""
            row = connection.execute(f"SELECT {', '.join(['count(*)', *told])} FROM read{columns}").fetchone()  # noqa: S608 -- our own names
        except duckdb.Error:
            # What reading raised comes out of DuckDB as a text.
            if self._failure is not None:
                raise self._failure from None
            raise
        finally:
            connection.close()
        values = list(row or [0])
        return values[:1], [values[at : at + 4] for at in range(1, len(values), 4)]

    def give_up(self) -> None:
        """Let `look` end."""
        self._is_cancelled = True
        if self._pending is not None:
            self._pending.cancel()

    def _batches(self) -> Iterator[pa.RecordBatch]:
        try:
            while (piece := self._next()) is not None:
                self.rejected += len(piece.rejects)
                self._show(piece.batch.slice(0, _SEARCHED))
                yield piece.batch
        except BaseException as error:
            self._failure = error
            raise

    def _next(self) -> Piece | None:
        self._pending = asyncio.run_coroutine_threadsafe(self._pull(), self._loop)
        if self._is_cancelled:
            self._pending.cancel()
        return self._pending.result()

    def _pull(self) -> Coroutine[Any, Any, Piece | None]:
        async def pull() -> Piece | None:
            return await anext(self._pieces, None)

        return pull()

    def _show(self, batch: pa.RecordBatch) -> None:
        """Take examples of the columns that have not enough yet."""
        for number, known in enumerate(self.examples):
            if len(known) >= _EXAMPLES:
                continue
            for value in batch.column(number):
                example = value.as_py()
                if example is not None and example not in known:
                    known.append(example)
                    if len(known) == _EXAMPLES:
                        break
