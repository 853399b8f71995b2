"""One file of Parquet as pieces: which row groups and columns, and what becomes of their rows."""

from __future__ import annotations

from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, Final

from haulyard.ingest.model import Piece
from haulyard.ingest.parquet import ParquetReading, decoded_at_once
from haulyard.ingest.parquet_footer import widened
from haulyard.ingest.pruning import row_groups
from haulyard.records.reading_streams import in_thread

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    import pyarrow as pa

    from haulyard.ingest.conforming import Conformed, Plan, Shaper
    from haulyard.ingest.model import SourceFile
    from haulyard.ingest.parquet_footer import Footer
    from haulyard.ingest.surroundings import Found, Surroundings

#: A file that is there as a whole is decoded at once where that makes no more than so many bytes: of
#: thousands of small files each step takes longer than the work in it.
_AT_ONCE: Final = 16 * 1024**2
#: So few are decoded in the loop, in 0.2 ms. A thread has to wait for the interpreter's lock several times a
#: file, 5 ms each time while the loop is busy with thousands of them.
_TINY: Final = 64 * 1024


async def parquet_pieces(
    source: SourceFile, footer: Footer, around: Surroundings, shaper: Shaper, found: Found
) -> AsyncGenerator[Piece]:
    """Yield the rows of one file as ``shaper`` makes them; at least one piece, which may be empty.

    Raises:
        IngestError: The file is damaged or was replaced, or columns have the same name.
        ConfigError: The condition does not fit.
    """
    plan = shaper.plan(source, footer.schema)
    found(source, plan.names, plan.schema)
    groups = _groups(source, footer, shaper, plan)
    finish = partial(_shaped, shaper, source) if footer.is_widened else partial(shaper, source)
    read = 0
    stored = len(footer.held)
    if not footer.start and footer.decoded <= min(_AT_ONCE, around.memory):
        decode = partial(decoded_at_once, source, footer, plan.columns, groups, finish)
        done = decode() if footer.decoded <= _TINY else await in_thread(decode, lanes=around.lanes)
        for conformed in done:
            read += conformed.rows
            yield _piece(source, conformed, stored)
            stored = 0
    else:
        reading = ParquetReading(source, footer, plan.columns, groups, around.memory, around.lanes, finish)
        async with aclosing(reading.batches()) as batches:
            async for work, fetched in batches:
                read += work.rows
                yield _piece(source, work, fetched + stored)
                stored = 0
    if read < footer.rows or not footer.rows:
        # The row groups that were passed over count as what was left out.
        import pyarrow as pa

        fields = [plan.schema.field(name) for name in plan.columns]
        empty = [pa.nulls(0, field.type) for field in fields]
        batch = pa.RecordBatch.from_arrays(empty, schema=pa.schema(fields))
        passed = footer.rows - read
        yield Piece(source, shaper(source, batch, 1).batch, (), passed, stored, passed)


def _shaped(
    shaper: Shaper, source: SourceFile, batch: pa.RecordBatch, first: int, encoded: frozenset[str]
) -> Conformed:
    return shaper(source, widened(batch), first, encoded)


def _piece(source: SourceFile, work: Conformed, stored: int) -> Piece:
    return Piece(source, work.batch, work.rejects, work.rows, stored, work.filtered)


def _groups(source: SourceFile, footer: Footer, shaper: Shaper, plan: Plan) -> list[int]:
    """Return the row groups that may have rows which are wanted."""
    condition = plan.condition
    if condition is None or condition.necessary is None or not plan.can_prune:
        return list(range(footer.metadata.num_row_groups))
    return row_groups(footer.metadata, condition.necessary, source, shaper.partitions)
