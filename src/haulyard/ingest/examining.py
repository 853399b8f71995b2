"""Whether a file is what its name says, by as little of it as tells: its footer, or its first rows."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

from haulyard.errors import IngestError
from haulyard.events import Warned, ignore
from haulyard.ingest.fetching import fetch
from haulyard.ingest.parquet_footer import NotParquetError, read_footer
from haulyard.models import ByteRange
from haulyard.records.formats.detection import HEAD, PARQUET_MAGIC, compression_of, format_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from haulyard.events import Event
    from haulyard.ingest.model import ReadOptions, SourceFile
    from haulyard.models.body import Buffer

#: What parsing the first rows may take: with this, a block is as small as blocks are.
_MEMORY: Final = 1024**2
#: Stored bytes of text that are read at most: a row may be longer, and then nothing is known of it.
_MOST: Final = 4 * 1024**2
_SAYS: Final = "--format says what it is"


class Look(NamedTuple):
    """What a file is: ``form``, how it is packed (``""``: not), and what there is to warn of.

    ``size`` is the number of stored bytes that were read.
    """

    form: str
    packed: str
    size: int
    warnings: tuple[Warned, ...] = ()


class _EnoughError(Exception):
    """The first row is longer than what is looked at."""


async def first_look(source: SourceFile, options: ReadOptions) -> Look:
    """Read the footer of Parquet, or the first rows of text, and say what the file is.

    Raises:
        IngestError: It is empty, damaged, a page, not in its encoding, or its name lies about Parquet.
        ConfigError: An option is wrong.
        S3Error: The store gave up.
    """
    head = await fetch(source, ByteRange(0, min(source.size, HEAD))) if source.size else b""
    is_parquet = bytes(head[:4]) == PARQUET_MAGIC
    if (options.format or format_of(source.key)) == "parquet":
        try:
            footer = await read_footer(source) if source.size else None
        except NotParquetError:
            footer = None
        if footer is None:
            what = "is no Parquet, whatever its name says" if source.size else "is empty, and so no Parquet"
            raise IngestError(f"{source.uri} {what}", hint=_SAYS)
        return Look("parquet", "", len(footer.held))
    if not is_parquet:
        return await _text(source, bytes(head), options)
    if options.format or format_of(source.key):
        raise IngestError(f"{source.uri} is Parquet, whatever its name says", hint=_SAYS)
    return Look("parquet", "", len((await read_footer(source)).held))


async def _text(source: SourceFile, head: bytes, options: ReadOptions) -> Look:
    """Let the first rows be read as a load would."""
    from haulyard.ingest.text import text_pieces
    from haulyard.ingest.text.streams import Lane, opened

    read = 0
    events: list[Event] = []
    options = replace(options, memory=_MEMORY)

    async def chunks() -> AsyncGenerator[Buffer]:
        nonlocal read
        read = len(head)
        yield head
        for start in range(len(head), source.size, HEAD):
            if read >= _MOST:
                raise _EnoughError
            piece = await fetch(source, ByteRange(start, min(start + HEAD, source.size)))
            read += len(piece)
            yield piece

    with ThreadPoolExecutor(1, thread_name_prefix="haulyard-ingest") as lanes:
        async with aclosing(chunks()) as stream:
            file = await opened(source, stream, options, Lane(lanes), lambda _: None, ignore)
        async with (
            aclosing(chunks()) as stream,
            aclosing(
                text_pieces(source, stream, options, options.schema, lanes, emit=events.append)
            ) as pieces,
        ):
            try:
                piece = await anext(pieces, None)
            except _EnoughError:
                piece = None
                events.append(Warned(f"its first row is longer than {_MOST // 1024**2} MiB"))
    if piece is not None and piece.rejects:
        first = piece.rejects[0]
        events.append(Warned(f"line {first.line}: {first.reason}", hint="such rows are rejected"))
    packed = options.compression or compression_of(source.key, head) or ""
    warnings = tuple(event for event in events if isinstance(event, Warned))
    return Look(file.form, "" if packed == "none" else packed, read, warnings)
