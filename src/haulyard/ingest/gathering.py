"""All pieces of a dataset as one table in memory."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

from haulyard.ingest.conforming import fitted
from haulyard.ingest.drift import lossless
from haulyard.ingest.model import ConvergedLaterError
from haulyard.ingest.schema import SchemaInfo, columns_of
from haulyard.records.reading_streams import in_thread

if TYPE_CHECKING:
    import pyarrow as pa

    from haulyard.ingest.dataset import Dataset
    from haulyard.ingest.model import Reject
    from haulyard.ingest.tallying import Tally
    from haulyard.ingest.where import Where


async def gathered(dataset: Dataset, where: Where | None, tally: Tally) -> tuple[pa.Table, SchemaInfo]:
    """Return the table and what is known of its columns.

    Files are read once where the types found on the way hold all rows, else once more with those of all.

    Raises:
        TooManyRejects: More rows do not fit than ``tally`` allows.
        IngestError: A file cannot be read.
        ConfigError: The condition or a column is wrong.
    """
    try:
        return await _once(dataset, None, where, tally)
    except ConvergedLaterError:
        tally.restart()
        return await _once(dataset, await dataset.schema(), where, tally)


async def _once(
    dataset: Dataset, schema: pa.Schema | None, where: Where | None, tally: Tally
) -> tuple[pa.Table, SchemaInfo]:
    batches: list[pa.RecordBatch] = []
    rejects: list[Reject] = []
    filtered = 0
    widest = schema
    async with aclosing(dataset.pieces(schema, where, widening=True)) as pieces:
        async for piece in pieces:
            if tally.count(piece.rejects):
                raise await tally.too_many(pieces)
            # Told at the end: all may have to be read again.
            rejects += piece.rejects if tally.has_listener else ()
            filtered += piece.filtered
            batch = piece.batch
            if widest is None:
                widest = batch.schema
            elif batch.schema != widest:
                widest = lossless(widest, batch.schema)
                if widest is None:
                    raise ConvergedLaterError
            if batch.num_rows:
                batches.append(batch)
    if widest is None:
        widest = await dataset.schema()
    if all(batch.schema.equals(widest) for batch in batches):
        # Nothing is copied then.
        table = _table(batches, widest)
    else:
        table = await in_thread(lambda: _table(batches, widest))
    tally.tell(rejects)
    files = len(dataset.files)
    return table, SchemaInfo(columns_of(table), table.num_rows, tally.rejected, filtered, files)


def _table(batches: list[pa.RecordBatch], schema: pa.Schema) -> pa.Table:
    import pyarrow as pa  # while the first bytes are on their way

    # What fields say in their metadata is of no use outside of this room.
    schema = pa.schema([field.remove_metadata() for field in schema])
    try:
        return pa.Table.from_batches([fitted(batch, schema) for batch in batches], schema)
    except pa.ArrowException as error:
        raise ConvergedLaterError from error
