"""Whether a file is what its name says, by as little of it as tells: its footer, or its first rows."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

from haulyard.events import Warned, ignore
from haulyard.ingest.fetching import fetch
from haulyard.ingest.file_reading import examine, unnamed_footer
from haulyard.ingest.surroundings import Surroundings
from haulyard.models import ByteRange
from haulyard.records.formats.detection import HEAD, PARQUET_MAGIC, compression_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from haulyard.events import Event
    from haulyard.ingest.model import ReadOptions, SourceFile
    from haulyard.models.body import Buffer

#: What parsing the first rows may take: with this, a block is as small as blocks are.
_MEMORY: Final = 1024**2
#: Stored bytes of text that are read at most: a row may be longer, and then nothing is known of it.
_MOST: Final = 4 * 1024**2


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
        IngestError: It is empty, damaged, a page, not in its encoding, or not what ``options.format`` says.
        ConfigError: An option is wrong.
        S3Error: The store gave up.
    """
    events: list[Event] = []
    with ThreadPoolExecutor(1, thread_name_prefix="haulyard-ingest") as lanes:
        around = Surroundings(options, lanes, events.append, _MEMORY)
        opened = await examine(source, around)
        footer, head = opened.footer, b""
        if footer is None and source.size:
            head = bytes(await fetch(source, ByteRange(0, min(source.size, HEAD))))
            if head[:4] == PARQUET_MAGIC:
                footer = await unnamed_footer(source, around)
        if footer is None:
            look = await _text(source, head, around._replace(options=opened.options))
        else:
            look = Look("parquet", "", len(footer.held))
    return look._replace(warnings=tuple(event for event in events if isinstance(event, Warned)))


async def _text(source: SourceFile, head: bytes, around: Surroundings) -> Look:
    """Let the first rows be read as a load would; what there is to say is told by ``around.emit``."""
    from haulyard.ingest.text import text_pieces
    from haulyard.ingest.text.streams import Lane, opened

    read = 0
    lanes, emit = around.lanes, around.emit
    options = replace(around.options, memory=_MEMORY)

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

    async with aclosing(chunks()) as stream:
        file = await opened(source, stream, options, Lane(lanes), lambda _: None, ignore)
    async with (
        aclosing(chunks()) as stream,
        aclosing(text_pieces(source, stream, options, options.schema, lanes, emit=emit)) as pieces,
    ):
        try:
            piece = await anext(pieces, None)
        except _EnoughError:
            piece = None
            emit(Warned(f"its first row is longer than {_MOST // 1024**2} MiB"))
    if piece is not None and piece.rejects:
        first = piece.rejects[0]
        emit(Warned(f"line {first.line}: {first.reason}", hint="such rows are rejected"))
    packed = options.compression or compression_of(source.key, head) or ""
    return Look(file.form, "" if packed == "none" else packed, read)
