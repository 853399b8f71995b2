"""The columns of all files, from footers and from all rows of text, several files at a time."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Final, NamedTuple

from haulyard.ingest.drift import Columns, check_names, united
from haulyard.ingest.fetching import Stream
from haulyard.ingest.file_reading import examine, unnamed_footer
from haulyard.records.formats.detection import PARQUET_MAGIC
from haulyard.records.reading_ahead import opened_ahead

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    import pyarrow as pa

    from haulyard.ingest.file_reading import Surroundings
    from haulyard.ingest.model import SourceFile
    from haulyard.ingest.text import TextProfile

#: Files that are looked at at a time, at most.
_FILES: Final = 32


class _Found(NamedTuple):
    """What one file has: a profile of text, or columns of Parquet; with the rows that were looked at."""

    source: SourceFile
    profile: TextProfile | None
    columns: Columns | None


async def columns_of(
    files: Sequence[SourceFile], around: Surroundings, partitions: Mapping[str, pa.DataType]
) -> pa.Schema:
    """Return the columns of all files together, those of their paths behind them.

    Raises:
        IngestError: They differ in a way that is not allowed, or one cannot be read.
    """
    import pyarrow as pa

    from haulyard.ingest.text import merge, types_of

    drift = around.options.on_drift
    text: TextProfile | None = None
    found: Columns | None = None
    first: tuple[str, tuple[str, ...]] | None = None
    begun: str = ""

    def read(source: SourceFile) -> AsyncGenerator[_Found]:
        return _looked_at(source, around)

    weight = around.memory
    ahead = opened_ahead(
        files, read, ahead=_FILES - 1, weigh=lambda each: min(each.size, weight), most=4 * weight
    )
    async with aclosing(ahead) as opened:
        async for each in opened:
            async with aclosing(each.blocks()) as blocks:
                async for source, profile, columns in blocks:
                    names = tuple(profile.columns) if profile is not None else tuple(columns.schema.names)
                    names += tuple(name for name, _ in source.partitions if name not in names)
                    if first is None:
                        first = source.uri, names
                    check_names(*first, source.uri, names, drift)
                    if profile is not None:
                        begun = begun or source.uri
                        text = profile if text is None else merge(text, profile)
                    elif columns is not None:
                        found = columns if found is None else united(found, columns, drift)
    if text is not None:
        of_text = Columns(begun, types_of(text))
        found = of_text if found is None else united(found, of_text, "add-columns")
    schema = found.schema if found is not None else pa.schema([])
    added = [pa.field(name, kind) for name, kind in partitions.items() if name not in schema.names]
    return pa.schema([*schema, *added])


async def _looked_at(source: SourceFile, around: Surroundings) -> AsyncGenerator[_Found]:
    from haulyard.ingest.text import text_profile

    opened = await examine(source, around)
    footer = opened.footer
    if footer is None:
        async with Stream(source, around.memory) as stream:
            if (await stream.head())[:4] != PARQUET_MAGIC:
                options = opened.options
                profile = await text_profile(source, aiter(stream), options, around.lanes, emit=around.emit)
                yield _Found(source, profile, None)
                return
        footer = await unnamed_footer(source, around)
    yield _Found(source, None, Columns(source.uri, footer.schema))
