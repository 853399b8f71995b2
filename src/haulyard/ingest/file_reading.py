"""One file as pieces, whatever is in it: Parquet by its row groups, text by `haulyard.ingest.text`."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from haulyard.errors import ConfigError, IngestError
from haulyard.events import Warned
from haulyard.ingest.engines import PARQUET, TEXT, imported
from haulyard.ingest.fetching import Stream, fetch
from haulyard.ingest.model import again
from haulyard.ingest.parquet_footer import WHOLE, NotParquetError, read_footer
from haulyard.ingest.parquet_reading import parquet_pieces
from haulyard.records.formats.detection import PARQUET_MAGIC, format_of, promised_compression
from haulyard.records.reading_streams import in_thread

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    from haulyard.ingest.conforming import Shaper
    from haulyard.ingest.model import Piece, ReadOptions, SourceFile
    from haulyard.ingest.parquet_footer import Footer
    from haulyard.ingest.surroundings import Found, Surroundings
    from haulyard.ingest.text.evidence import Evidence
    from haulyard.models.body import Buffer


class Opened(NamedTuple):
    """What a file turned out to be: Parquet with this footer, or else text, read with ``options``."""

    footer: Footer | None
    options: ReadOptions


async def examine(source: SourceFile, around: Surroundings) -> Opened:
    """Find out what a file is: by its name, and where that is wrong by its content, with a warning.

    Raises:
        IngestError: It is Parquet and damaged, or not what ``around.options`` say.
    """
    options = around.options
    form = options.format or format_of(source.key)
    if form != "parquet":
        return Opened(None, options)
    try:
        held = await _held(source, around)
        await imported(PARQUET)
        return Opened(await read_footer(source, held), options)
    except NotParquetError as error:
        if options.format:
            raise IngestError(
                f"{source.uri} is no Parquet", hint="leave format= out, and it is found out"
            ) from None
        if not error.head:
            raise IngestError(f"{source.uri} is empty, and so no Parquet", hint=again(source.uri)) from None
        from haulyard.ingest.text.content import check_markup  # which needs pyarrow, as reading does

        check_markup("parquet", error.head, source.uri)
        found = format_of("", error.head) or "csv"
        if b"\0" in error.head:
            raise IngestError(
                f"{source.uri} is no Parquet, as its name says, nor any text", hint=again(source.uri)
            ) from None
        around.emit(Warned(f"{source.uri} is no Parquet, as its name says: it is read as {found}"))
        return Opened(None, replace(options, format=found))


async def _held(source: SourceFile, around: Surroundings) -> Buffer:
    """Return what is known of a file's end; all of it where it is small."""
    tail = around.tails.get(source.uri, b"")
    return await fetch(source) if not tail and 0 < source.size <= WHOLE else tail


async def pieces_of(
    source: SourceFile, around: Surroundings, shaper: Shaper, found: Found
) -> AsyncGenerator[Piece]:
    """Yield the rows of one file as ``shaper`` makes them; at least one piece, which may be empty.

    Raises:
        IngestError: The file is damaged, was replaced, or is not what it must be.
    """
    opened = await examine(source, around)
    footer = opened.footer
    if footer is None:
        around = around._replace(options=replace(opened.options, columns=shaper.text_columns()))
        while footer is None:
            async with Stream(source, around.memory) as stream:
                await imported(TEXT)
                if (await stream.head())[:4] == PARQUET_MAGIC:
                    footer = await unnamed_footer(source, around)
                    continue
                try:
                    async with aclosing(_text(source, stream, around, shaper, found)) as pieces:
                        async for piece in pieces:
                            yield piece
                except _SpeltOtherwiseError as error:
                    around = around._replace(options=replace(around.options, columns=error.columns))
                else:
                    return
    async with aclosing(parquet_pieces(source, footer, around, shaper, found)) as pieces:
        async for piece in pieces:
            yield piece


async def unnamed_footer(source: SourceFile, around: Surroundings) -> Footer:
    """Return the footer of Parquet that was taken for text.

    Raises:
        IngestError: It must be text.
    """
    if around.options.format:
        raise IngestError(
            f"{source.uri} is Parquet, not {around.options.format}",
            hint="leave format= out, and it is found out",
        )
    if format_of(source.key) is not None or promised_compression(source.key):
        around.emit(Warned(f"{source.uri} is Parquet, whatever its name says, and is read as that"))
    try:
        return await read_footer(source)
    except NotParquetError:
        raise IngestError(
            f"{source.uri} begins like Parquet and does not end like it", hint=again(source.uri)
        ) from None


class _SpeltOtherwiseError(Exception):
    """The file has the ``columns`` that a condition names in upper or lower case; nothing was read yet."""

    def __init__(self, columns: tuple[str, ...]) -> None:
        super().__init__()
        self.columns = columns


async def _text(
    source: SourceFile, stream: Stream, around: Surroundings, shaper: Shaper, found: Found
) -> AsyncGenerator[Piece]:
    from haulyard.ingest.text import text_pieces

    schema = None
    own = {name for name, _ in source.partitions}
    if shaper.schema is not None:
        import pyarrow as pa

        schema = pa.schema([field for field in shaper.schema if field.name not in own])
    options = replace(around.options, memory=around.memory)

    def noted(names: Sequence[str]) -> None:
        found(source, names, None)
        try:
            columns = shaper.spelt(names)
        except ConfigError:
            # JSON may show more columns later; else the first batch tells.
            return
        if columns is not None and columns != options.columns:
            raise _SpeltOtherwiseError(columns)

    def doubted(columns: Mapping[str, Evidence], rows: int) -> None:
        if around.remarks is not None:
            around.remarks.doubt(columns, rows)

    row = 1
    pieces = text_pieces(
        source,
        aiter(stream),
        options,
        schema,
        around.lanes,
        emit=around.emit,
        found=noted,
        doubt=doubted,
    )
    async with aclosing(pieces):
        async for piece in pieces:
            if shaper.is_idle(source, piece.batch.schema):
                yield piece
                continue
            batch = piece.batch
            work = await in_thread(lambda: shaper(source, batch, row), lanes=around.lanes)  # noqa: B023 -- awaited
            rejects = [*piece.rejects, *work.rejects]
            filtered = piece.filtered + work.filtered
            yield piece._replace(batch=work.batch, rejects=rejects, filtered=filtered)
            row += piece.rows
