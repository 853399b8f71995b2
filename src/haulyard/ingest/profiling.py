"""The columns of all files, from footers and from all rows of text, several files at a time."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

from haulyard.events import TypesSought
from haulyard.ingest.drift import Columns, check_names, check_pinned, pinned_in, united
from haulyard.ingest.fetching import Stream
from haulyard.ingest.file_reading import examine, unnamed_footer
from haulyard.ingest.remarks import tell_doubts
from haulyard.records.formats.detection import PARQUET_MAGIC
from haulyard.records.reading_ahead import opened_ahead

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    import pyarrow as pa

    from haulyard.events import Emit
    from haulyard.ingest.model import ReadOptions, SourceFile
    from haulyard.ingest.surroundings import Surroundings
    from haulyard.ingest.text import TextProfile
    from haulyard.models.body import Buffer

#: Files that are looked at at a time, at most.
_FILES: Final = 32


class _Found(NamedTuple):
    """What one file has: columns of Parquet, or a profile of text."""

    source: SourceFile
    names: Sequence[str]
    columns: Columns | None = None
    profile: TextProfile | None = None


async def columns_of(
    files: Sequence[SourceFile],
    around: Surroundings,
    partitions: Mapping[str, pa.DataType],
    wanted: Sequence[str] | None,
) -> pa.Schema:
    """Return the columns of all files together, those of their paths behind them.

    Raises:
        IngestError: They differ in a way that is not allowed in a column that is ``wanted`` (None for all),
            or one cannot be read.
    """

    def read(source: SourceFile) -> AsyncGenerator[_Found]:
        return _looked_at(source, around)

    whole = _Whole(around.options, None if wanted is None else frozenset(wanted))
    weight = around.memory
    ahead = opened_ahead(
        files, read, ahead=_FILES - 1, weigh=lambda each: min(each.size, weight), most=4 * weight
    )
    async with aclosing(ahead) as opened:
        async for each in opened:
            async with aclosing(each.blocks()) as blocks:
                async for found in blocks:
                    whole.add(found)
    schema = whole.schema(partitions)
    whole.tell(schema, around.emit)
    return schema


class _Whole:
    """What is known of the columns of all files so far."""

    def __init__(self, options: ReadOptions, wanted: frozenset[str] | None) -> None:
        self._drift = options.on_drift
        self._pinned = options.schema
        self._wanted = wanted
        self._first: tuple[str, tuple[str, ...]] | None = None
        self._columns: Columns | None = None
        self._text: TextProfile | None = None
        self._begun = ""

    def add(self, found: _Found) -> None:
        """Add the columns of one file; IngestError where they may not differ as they do."""
        uri, drift = found.source.uri, self._drift
        names = [*found.names, *(name for name, _ in found.source.partitions)]
        kept = tuple(dict.fromkeys(name for name in names if self._wanted is None or name in self._wanted))
        self._first = self._first or (uri, kept)
        check_names(*self._first, uri, kept, drift)
        if found.columns is not None:
            known, columns = self._columns, Columns(uri, pinned_in(found.columns.schema, self._pinned))
            self._columns = columns if known is None else united(known, columns, drift, self._wanted)
        if found.profile is not None:
            from haulyard.ingest.text import merge

            self._begun = self._begun or uri
            self._text = found.profile if self._text is None else merge(self._text, found.profile)

    def schema(self, partitions: Mapping[str, pa.DataType]) -> pa.Schema:
        """Return all columns, those of ``partitions`` last."""
        import pyarrow as pa

        found = self._columns
        if self._text is not None:
            from haulyard.ingest.text import types_of

            text = Columns(self._begun, pinned_in(types_of(self._text), self._pinned))
            # Types of text are found out, so that those of Parquet decide only as far as they can.
            found = text if found is None else united(found, text, "add-columns")
        schema = pa.schema([]) if found is None else found.schema
        added = [pa.field(name, kind) for name, kind in partitions.items()]
        schema = pa.schema([*(field for field in schema if field.name not in partitions), *added])
        if self._pinned is None:
            return schema
        pinned = [name for name in self._pinned.names if self._wanted is None or name in self._wanted]
        check_pinned("the table", pinned, schema.names, self._drift)
        absent = [self._pinned.field(name) for name in pinned if name not in schema.names]
        return pa.schema([*pinned_in(schema, self._pinned), *absent])

    def tell(self, schema: pa.Schema, emit: Emit) -> None:
        """Say which columns are text although most of their values are of another type."""
        if self._text is not None:
            from haulyard.ingest.text.doubts import doubtful

            pinned = () if self._pinned is None else self._pinned.names
            columns = {
                name: each
                for name, each in self._text.columns.items()
                if name in schema.names and name not in pinned
            }
            found = doubtful(replace(self._text, columns=columns), schema)
            tell_doubts({name: (evidence, True) for name, evidence in found.items()}, emit)


async def _looked_at(source: SourceFile, around: Surroundings) -> AsyncGenerator[_Found]:
    opened = await examine(source, around)
    footer = opened.footer
    if footer is None:
        async with Stream(source, around.memory) as stream:
            if (await stream.head())[:4] != PARQUET_MAGIC:
                from haulyard.ingest.text import text_profile

                options = opened.options
                async with aclosing(_told(source, stream, around.emit)) as chunks:
                    profile = await text_profile(source, chunks, options, around.lanes, emit=around.emit)
                yield _Found(source, tuple(profile.columns), profile=profile)
                return
        footer = await unnamed_footer(source, around)
    yield _Found(source, footer.schema.names, Columns(source.uri, footer.schema))


async def names_of(source: SourceFile, around: Surroundings) -> Sequence[str]:
    """Return the columns of one file, by its beginning or its footer; of JSON those of its first objects.

    Raises:
        IngestError: It has no columns, or cannot be read.
    """
    opened = await examine(source, around)
    footer = opened.footer
    if footer is None:
        async with Stream(source, around.memory) as stream:
            if (await stream.head())[:4] != PARQUET_MAGIC:
                from haulyard.ingest.text import text_names

                return await text_names(source, aiter(stream), opened.options, around.lanes)
        footer = await unnamed_footer(source, around)
    return [*footer.schema.names, *(name for name, _ in source.partitions)]


async def _told(source: SourceFile, stream: Stream, emit: Emit) -> AsyncGenerator[Buffer]:
    """Yield what is stored, and tell how much that was."""
    async for piece in stream:
        emit(TypesSought(source.uri, len(piece)))
        yield piece
