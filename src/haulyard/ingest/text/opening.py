"""A delimited file opened: its layout found from its first rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from haulyard.errors import IngestError
from haulyard.events import Warned
from haulyard.ingest.text.cutting import RecordEnds
from haulyard.ingest.text.header import find_delimiter, first_rows, names_of
from haulyard.ingest.text.layout import Layout
from haulyard.records.formats.delimited import Dialect
from haulyard.records.formats.detection import HEAD
from haulyard.records.reading_streams import Ahead

if TYPE_CHECKING:
    from collections.abc import Sequence

    from haulyard.events import Emit
    from haulyard.ingest.model import ReadOptions
    from haulyard.ingest.text.streams import Opened

#: The first record ends within so many bytes.
_MOST: Final = 16 * 1024**2


class Delimited(NamedTuple):
    """A delimited file's layout, and its text behind the header, which begins on ``line`` (from 1)."""

    layout: Layout
    text: Ahead
    line: int


class _LineFeeds:
    """Text whose lines end in carriage returns alone, with line feeds for them."""

    def __init__(self, text: Ahead) -> None:
        self._text = text

    async def read(self) -> bytes:
        """Return the next piece."""
        return (await self._text.read()).replace(b"\r", b"\n")


async def open_delimited(
    file: Opened, uri: str, options: ReadOptions, known: Sequence[str], emit: Emit
) -> Delimited:
    """Find the layout of a file; ``known`` are the names that a schema gives.

    Raises:
        IngestError: It has no columns, or its header is not in its encoding.
        ConfigError: Delimiter, quote or escape cannot be one.
    """
    text = file.text
    encoding = "utf-8" if file.charset.is_streamed else file.charset.name
    head = await text.head(HEAD)
    if b"\n" not in head and b"\r" in head.rstrip(b"\r"):
        text = Ahead(_LineFeeds(text))
        head = await text.head(HEAD)
    sample = (head if text.ended else head[: head.rfind(b"\n") + 1] or head).decode(
        file.charset.name, "replace"
    )
    delimiter = options.delimiter or ("\t" if file.form == "tsv" else find_delimiter(sample, options))
    dialect = Dialect(delimiter, options.quote, options.escape)
    start, end = await _first_record(text, RecordEnds(dialect), uri)
    head = await text.head(end)
    if start == end or (text.ended and not head.strip()):
        if known:
            await text.skip(len(head))
            return Delimited(Layout(uri, tuple(known), dialect, file.charset, options.nulls), text, 1)
        raise IngestError(f"{uri} is empty: it has no columns", hint="leave it out, or give schema=")
    try:
        first = next(dialect.records(head[start:end].decode(encoding)))
    except UnicodeDecodeError as error:
        raise IngestError(
            f"{uri}: its first line is {file.charset.complaint(error).replace('record', 'line')}",
            hint="encoding= names another one, such as 'latin-1'",
        ) from None
    names = names_of([first, *first_rows(sample, dialect)[1:]], options, known, uri)
    for note in names.notes:
        emit(Warned(note, hint="columns= and schema= go by these names"))
    if names.is_header:
        await text.skip(end)
    line = 1 + (head.count(b"\n", 0, end) if names.is_header else 0)
    return Delimited(Layout(uri, names.names, dialect, file.charset, options.nulls), text, line)


async def _first_record(text: Ahead, ends: RecordEnds, uri: str) -> tuple[int, int]:
    """Return where the first record that is not empty begins and ends; twice the same where there is none."""
    at, size = 0, HEAD
    while True:
        head = await text.head(size)
        end = ends.next(head, at)
        if end < 0 and not text.ended:
            if size > _MOST:
                raise IngestError(
                    f"{uri}: its first row does not end within {_MOST // 1024**2} MiB",
                    hint="a quote may be left open, or it is no CSV: format= says what it is",
                )
            size *= 2
            continue
        if end < 0:
            end = len(head)
            if at < end and ends.opening(head[at:]) >= 0:
                raise IngestError(
                    f"{uri}: a quote in its first row is not closed",
                    hint="quote='' if quotes mean nothing",
                )
        if at == end or head[at:end].strip(b"\r\n"):
            return at, end
        at = end
