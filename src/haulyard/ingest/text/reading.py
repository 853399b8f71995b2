"""Files of text as pieces: cut into blocks, parsed in threads, in order, a bounded number at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pyarrow as pa

from haulyard.errors import IngestError
from haulyard.events import Warned, ignore
from haulyard.ingest.model import Piece, Reject
from haulyard.ingest.text.arrow_csv import parse
from haulyard.ingest.text.cutting import Cutter, RecordEnds
from haulyard.ingest.text.finding import Typed, agreed, parse_first, parse_widening
from haulyard.ingest.text.flight import Flight, blocks, most_of
from haulyard.ingest.text.layout import Layout, Parsed
from haulyard.ingest.text.opening import open_delimited
from haulyard.ingest.text.streams import Lane, opened

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable
    from concurrent.futures import Executor

    from haulyard.events import Emit
    from haulyard.ingest.model import ReadOptions, SourceFile
    from haulyard.ingest.text.cutting import Block
    from haulyard.models.body import Buffer

#: Rows that are not in the file's encoding: so many, and more than one in a hundred, mean that it is another.
_FEW: Final = 10
_PERCENT: Final = 100


def _ignore(_: tuple[str, ...]) -> None:
    """Nobody wants to know."""


async def text_pieces(
    source: SourceFile,
    stream: AsyncIterator[Buffer],
    options: ReadOptions,
    schema: pa.Schema | None,
    lanes: Executor,
    *,
    emit: Emit = ignore,
    found: Callable[[tuple[str, ...]], None] = _ignore,
) -> AsyncGenerator[Piece]:
    """Yield the rows of a file of text, in order; close the generator where it is not read to its end.

    ``stream`` has the stored bytes. With a ``schema`` the batches have exactly its columns, null where the
    file has none of that name, and a row that does not fit is a `Reject`. Without, they have the types found
    so far, and no row is rejected for its types. There is one piece at least. ``lanes`` are the threads that
    parse; ``found`` is told the file's own columns before the first piece, and what it raises is passed on.

    Raises:
        ConvergedLaterError: No schema was given, and the types found cannot hold a later value without loss.
        IngestError: It has no columns, is damaged, or not in its encoding.
        ConfigError: A type of ``schema`` cannot be read from text, or an option is wrong.
    """
    lane = Lane(lanes)
    stored = _Stored()
    file = await opened(source, stream, options, lane, stored.add)
    known = schema.names if schema is not None else ()
    delimited = await open_delimited(file, source.uri, options, known, emit)
    layout = delimited.layout
    found(layout.names)
    reading = _Reading(source, options, layout, schema, delimited.line, stored)
    flight = Flight[Typed](lane, options.memory)
    cutter = Cutter(RecordEnds(layout.dialect), size=flight.block, most=most_of(options.memory))
    try:
        async for block in blocks(delimited.text, cutter, lane):
            if reading.schema is None and not block.flaw:
                while flight:
                    yield reading.piece(*await flight.next())
                first = await lane.run(parse_first, block.data, layout, reading.names)
                yield reading.piece(first, stored.taken())
                continue
            flight.add(stored.taken(), reading.parse, block, reading.schema)
            while flight.is_full or flight.is_ready:
                yield reading.piece(*await flight.next())
        while flight:
            yield reading.piece(*await flight.next())
        if not reading.rows or stored.size:
            yield reading.nothing()
        if note := reading.note():
            emit(note)
    finally:
        await flight.close()


def _nothing(schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.array([], field.type) for field in schema], schema=schema)


class _Stored:
    """How many stored bytes were read since this was last asked."""

    def __init__(self) -> None:
        self.size = 0

    def add(self, size: int) -> None:
        """Count more of them."""
        self.size += size

    def taken(self) -> int:
        """Return how many there were."""
        size, self.size = self.size, 0
        return size


class _Reading:
    """One file being read: the types found so far, and the line that is next."""

    def __init__(
        self,
        source: SourceFile,
        options: ReadOptions,
        layout: Layout,
        schema: pa.Schema | None,
        line: int,
        stored: _Stored,
    ) -> None:
        self._source = source
        self._layout = layout
        self._given = schema
        self._line = line
        self._stored = stored
        self._foreign = 0
        self.rows = 0
        self.schema = schema
        self.names = [name for name in options.columns or layout.names if name in layout.names]

    def parse(self, block: Block, schema: pa.Schema | None) -> Typed:
        """Parse a block, in a thread."""
        if schema is None:
            schema = pa.schema((name, pa.null()) for name in self.names)
        if block.flaw:
            reject = Reject(self._source.uri, 0, block.flaw, raw=block.data)
            return Typed(Parsed(_nothing(schema), (reject,), block.lines), schema)
        if self._given is not None:
            return Typed(parse(block.data, self._layout, schema), schema)
        return parse_widening(block.data, self._layout, schema)

    def piece(self, result: Typed, stored: int) -> Piece:
        """Return what is handed on of a block."""
        batch, rejects, lines, _, foreign = result.parsed
        if self._given is None:
            self.schema = result.schema if self.schema is None else agreed(self.schema, result.schema)
        rejects = tuple(reject._replace(line=self._line + reject.line) for reject in rejects)
        self._line += lines
        rows = batch.num_rows + len(rejects)
        self.rows += rows
        self._foreign += foreign
        if self._foreign > _FEW and self._foreign * _PERCENT > self.rows:
            raise IngestError(
                f"{self._source.uri} is not {self._layout.charset.name.upper()}: "
                f"{self._foreign} of its first {self.rows} rows are not, the first on line {rejects[0].line}",
                hint="--encoding latin-1 (or cp1252, utf-16 …) says what it is",
            )
        return Piece(self._source, batch, rejects, rows, stored)

    def nothing(self) -> Piece:
        """Return a piece without rows, so that the columns of a file without any are known."""
        schema = self.schema
        if schema is None:
            schema = pa.schema((name, pa.null()) for name in self.names)
        return Piece(self._source, _nothing(schema), (), 0, self._stored.taken())

    def note(self) -> Warned | None:
        """Return what should be said in the end."""
        if not self._foreign:
            return None
        name = self._layout.charset.name.upper()
        are = "rows are" if self._foreign > 1 else "row is"
        return Warned(
            f"{self._source.uri}: {self._foreign} {are} not {name}, and rejected",
            hint="--encoding latin-1 (or cp1252 …) if that is what they are",
        )
