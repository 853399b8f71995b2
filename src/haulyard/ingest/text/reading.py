"""Files of text as pieces: cut into blocks, parsed in threads, in order, a bounded number at a time."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from haulyard.errors import IngestError
from haulyard.events import Warned, ignore
from haulyard.ingest.model import Piece, Reject
from haulyard.ingest.text.evidence import NOTHING, merged
from haulyard.ingest.text.flight import Flight
from haulyard.ingest.text.forms import Typed, agreed, parse_first, parse_widening
from haulyard.ingest.text.json_lines import without_columns
from haulyard.ingest.text.layout import Parsed
from haulyard.ingest.text.profile import TextProfile, merge, undecided_way
from haulyard.ingest.text.starting import starting
from haulyard.ingest.text.streams import Lane, Stored
from haulyard.ingest.text.values import empty_batch

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
    from concurrent.futures import Executor

    from haulyard.events import Emit
    from haulyard.ingest.model import ReadOptions, SourceFile
    from haulyard.ingest.text.cutting import Block
    from haulyard.ingest.text.evidence import Evidence
    from haulyard.ingest.text.starting import Started
    from haulyard.models.body import Buffer

#: Rows that are not in the file's encoding: so many, and more than one in a hundred, mean that it is another.
_FEW: Final = 10
_PERCENT: Final = 100
#: Bytes of a block where only the names are wanted.
_HEAD: Final = 64 * 1024


def _ignore(*_: object) -> None:
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
    doubt: Callable[[Mapping[str, Evidence], int], None] = _ignore,
) -> AsyncGenerator[Piece]:
    """Yield the rows of a file of text, in order; close the generator where it is not read to its end.

    ``stream`` has the stored bytes. With a ``schema`` the batches have exactly its columns, null where the
    file has none of that name, and a row that does not fit is a `Reject`. Without, they have the types found
    so far, and no row is rejected for its types. There is one piece at least. ``lanes`` are the threads that
    parse; ``found`` is told the file's own columns before the first piece, and what it raises is passed on.
    ``doubt`` is told in the end which columns became text although most values are of another type, and the
    number of rows.

    Raises:
        ConvergedLaterError: No schema was given, and the types found cannot hold a later value without loss.
        IngestError: It has no columns, is damaged, or not in its encoding.
        ConfigError: A type of ``schema`` cannot be read from text, or an option is wrong.
    """
    lane = Lane(lanes)
    stored = Stored()
    flight = Flight[Typed](lane, options.memory)
    async with starting(source, stream, options, schema, lane, flight.block, stored.add, emit) as file:
        found(file.names)
        reading = _Reading(source, file, stored)
        try:
            async for block in file.blocks:
                if reading.schema is None and not block.flaw:
                    while flight:
                        yield reading.piece(*await flight.next())
                    first = await lane.run(parse_first, file.form, block.data)
                    if not first.schema.names and options.columns is None:
                        raise without_columns(source.uri, reading.line, first.parsed.rejects)
                    yield reading.piece(first, stored.taken())
                    continue
                flight.add(stored.taken(), reading.parse, block, reading.schema)
                while flight.is_full or flight.is_ready:
                    yield reading.piece(*await flight.next())
            while flight:
                yield reading.piece(*await flight.next())
            if reading.is_bare and options.columns is None:
                raise without_columns(source.uri, 1, ())
            if not reading.rows or stored.size:
                yield reading.nothing()
            reading.tell(emit, doubt)
        finally:
            await flight.close()


async def text_profile(
    source: SourceFile,
    stream: AsyncIterator[Buffer],
    options: ReadOptions,
    lanes: Executor,
    *,
    emit: Emit = ignore,
) -> TextProfile:
    """Return what all rows of a file of text say of the types of its columns.

    ``options.columns`` are followed. A column of the profile stays one of text once nine in ten of its values
    are nothing else.

    Raises:
        IngestError: It has no columns, is damaged, or not in its encoding.
        ConfigError: An option is wrong.
    """
    lane = Lane(lanes)
    flight = Flight[TextProfile](lane, options.memory)
    async with starting(source, stream, options, None, lane, flight.block, lambda _: None, emit) as file:
        whole = TextProfile(dict.fromkeys(file.form.names, NOTHING))
        try:
            async for block in file.blocks:
                if block.flaw:
                    whole = replace(whole, rows=whole.rows + 1, rejected=whole.rejected + 1)
                    continue
                hopeful = {name: evidence.hopeful() for name, evidence in whole.columns.items()}
                flight.add(0, file.form.profile, block.data, hopeful)
                while flight.is_full or flight.is_ready:
                    whole = merge(whole, (await flight.next())[0])
            while flight:
                whole = merge(whole, (await flight.next())[0])
        finally:
            await flight.close()
    if not whole.columns and options.columns is None:
        raise without_columns(source.uri, 1, ())
    for name, evidence in whole.columns.items():
        if undecided_way(evidence):
            what = f"dates of column {name!r} may have the day or the month first"
            hint = "strptime makes dates of them in DuckDB, once it is known which"
            emit(Warned(f"{source.uri}: {what}: they stay text", hint=hint))
    return whole


async def text_names(
    source: SourceFile, stream: AsyncIterator[Buffer], options: ReadOptions, lanes: Executor
) -> tuple[str, ...]:
    """Return the columns of a file of text, as far as its beginning tells, and those of its path.

    Raises:
        IngestError: It has no columns, is damaged, or not in its encoding.
    """
    lane, schema = Lane(lanes), options.schema
    async with starting(source, stream, options, schema, lane, _HEAD, lambda _: None, ignore) as file:
        return (*file.names, *(name for name, _ in source.partitions))


class _Reading:
    """One file being read: the types found so far, and the line that is next."""

    def __init__(self, source: SourceFile, file: Started, stored: Stored) -> None:
        self._source = source
        self._file = file
        self._is_given = file.schema is not None
        self.line = file.line
        self._stored = stored
        self._foreign = 0
        self._undecided: Mapping[str, str] = {}
        self._doubts: dict[str, Evidence] = {}
        self.rows = 0
        self.schema = file.schema

    def parse(self, block: Block, schema: pa.Schema | None) -> Typed:
        """Parse a block, in a thread."""
        if schema is None:
            schema = self._untyped()
        if block.flaw:
            reject = Reject(self._source.uri, 0, block.flaw, raw=block.data)
            return Typed(Parsed(empty_batch(schema), (reject,), block.lines), schema)
        if self._is_given:
            return Typed(self._file.form.parse(block.data, schema), schema)
        return parse_widening(self._file.form, block.data, schema, self._undecided)

    def piece(self, result: Typed, stored: int) -> Piece:
        """Return what is handed on of a block."""
        batch, found, lines, _, foreign = result.parsed
        if not self._is_given and result.schema is not self.schema:
            self.schema = result.schema if self.schema is None else agreed(self.schema, result.schema)
        self._undecided = {**self._undecided, **result.undecided}
        for name, evidence in result.doubts.items():
            self._doubts[name] = merged(self._doubts.get(name, NOTHING), evidence)
        rejects = tuple(reject._replace(line=self.line + reject.line) for reject in found)
        self.line += lines
        rows = batch.num_rows + len(rejects)
        self.rows += rows
        self._foreign += foreign
        if self._foreign > _FEW and self._foreign * _PERCENT > self.rows:
            uri, encoding = self._source.uri, self._file.encoding
            raise IngestError(
                f"{uri} is not {encoding}: {self._foreign} of its first {self.rows} rows are not",
                hint="encoding='latin-1' (or 'cp1252', 'utf-16' …) says what it is",
            )
        return Piece(self._source, batch, rejects, rows, stored)

    @property
    def is_bare(self) -> bool:
        """Whether no column was found."""
        return not self._is_given and not (
            self._file.form.names if self.schema is None else self.schema.names
        )

    def nothing(self) -> Piece:
        """Return a piece without rows, so that the columns of a file without any are known."""
        schema = self._untyped() if self.schema is None else self.schema
        return Piece(self._source, empty_batch(schema), (), 0, self._stored.taken())

    def tell(self, emit: Emit, doubt: Callable[[Mapping[str, Evidence], int], None]) -> None:
        """Say what should be said in the end."""
        if self._foreign:
            are = "rows are" if self._foreign > 1 else "row is"
            told = f"{self._source.uri}: {self._foreign} {are} not {self._file.encoding}, and rejected"
            emit(Warned(told, hint="encoding='latin-1' (or 'cp1252' …) if that is what they are"))
        if self._doubts:
            doubt(self._doubts, self.rows)

    def _untyped(self) -> pa.Schema:
        return pa.schema((name, pa.null()) for name in self._file.form.names)
