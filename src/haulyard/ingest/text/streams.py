"""The stored bytes of a file on their way to its rows: inflated, recoded, looked at."""

from __future__ import annotations

import asyncio
import codecs
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from haulyard.errors import IngestError, RecordError
from haulyard.ingest.model import again
from haulyard.ingest.text.content import form_by_content
from haulyard.records.formats.compression import Inflater
from haulyard.records.formats.detection import HEAD, compression_of, format_of
from haulyard.records.formats.encoding import UTF8_BOM, Charset
from haulyard.records.reading_streams import Ahead, Recoded
from haulyard.records.reading_streams import Stored as StoredBytes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator
    from concurrent.futures import Executor, Future

    from haulyard.events import Emit
    from haulyard.ingest.model import ReadOptions, SourceFile
    from haulyard.models.body import Buffer
    from haulyard.records.model import Format
    from haulyard.records.reading_streams import Stream

T = TypeVar("T")

#: Bytes by which records of any text format may be cut.
_SPECIALS: Final = b",;|\t\"'\n\r"
#: Inflated pieces (of up to 1 MiB) that are handed on at a time.
_PIECES: Final = 8
#: Of text in two-byte units, so many of the bytes on one side are zero at least.
_ZEROS: Final = 0.7


class Opened(NamedTuple):
    """A file's text in UTF-8, or in what ``charset`` says, behind any byte order mark."""

    form: Format
    charset: Charset
    text: Ahead


class Stored:
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


class Lane:
    """Work that is done in threads while the loop goes on."""

    def __init__(self, lanes: Executor) -> None:
        self._lanes = lanes

    def begin(self, work: Callable[..., T], *arguments: object) -> Future[T]:
        """Begin ``work``."""
        return self._lanes.submit(work, *arguments)

    async def run(self, work: Callable[..., T], *arguments: object) -> T:
        """Return what ``work`` does; cancelled, wait for its end."""
        return await ended(self.begin(work, *arguments))


async def ended(work: Future[T]) -> T:
    """Return what becomes of ``work``; cancelled, wait for its end: no thread outlives who waits for it."""
    try:
        return await asyncio.shield(asyncio.wrap_future(work))
    except asyncio.CancelledError:
        await drop([work])
        raise


async def drop(works: Iterable[Future[T]]) -> None:
    """Let nothing begin that has not begun, and wait for the end of the rest."""
    running = [asyncio.wrap_future(work) for work in works if not work.cancel()]
    if running:
        await asyncio.wait(running)
        for each in running:
            each.exception()  # asked for, so that asyncio does not complain that nobody did


async def opened(
    source: SourceFile,
    stream: AsyncIterator[Buffer],
    options: ReadOptions,
    lane: Lane,
    count: Callable[[int], None],
    emit: Emit,
) -> Opened:
    """Find out how a file is made, and return its text; ``count`` is told of stored bytes.

    Raises:
        IngestError: It is damaged, was made to fill memory, or is a page of HTML or XML.
        ConfigError: A library for its compression is missing, or there is no such encoding.
    """
    text = Ahead(StoredBytes(stream, 1, count))
    head = await text.head(HEAD)
    compression = options.compression or compression_of(source.key, head[:HEAD])
    if compression and compression != "none":
        text = Ahead(_Inflated(text, Inflater(compression, source.uri), lane, again(source.uri)))
        head = await text.head(HEAD)
    charset = Charset(options.encoding or _guessed(head[:HEAD]), head, _SPECIALS)
    if charset.is_streamed:
        text = Ahead(Recoded(text, charset))
        head = await text.head(HEAD)
    if head.startswith(UTF8_BOM):
        await text.skip(len(UTF8_BOM))
        head = await text.head(HEAD)
    form = options.format
    if not form:
        form = format_of(source.key, head[:HEAD] or b"\n") or "csv"
        form = form_by_content(form, head[:HEAD], charset, source.uri, emit)
    return Opened(form, charset, text)


def _guessed(head: bytes) -> str:
    """Return the encoding of text that has no mark: UTF-16 has a zero beside each ASCII character."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)):
        return "utf-8"  # the mark tells
    pairs = len(head) // 2
    if pairs and head[1::2].count(0) > _ZEROS * pairs:
        return "utf-16-le"
    if pairs and head[0::2].count(0) > _ZEROS * pairs and head[1::2].count(0) < pairs // 2:
        return "utf-16-be"
    return "utf-8"


class _Inflated:
    """The text of a compressed file, inflated in a thread."""

    def __init__(self, stream: Stream, inflater: Inflater, lane: Lane, again: str) -> None:
        self._stream = stream
        self._again = again
        self._inflater = inflater
        self._lane = lane
        self._pieces: Iterator[bytes] = iter(())

    async def read(self) -> bytes:
        """Return the next piece of at most 8 MiB."""
        try:
            while not (piece := await self._lane.run(self._next)):
                data = await self._stream.read()
                if not data:
                    self._inflater.finish()
                    return b""
                self._pieces = self._inflater.feed(data)
        except RecordError as error:
            hint = error.hint.replace("upload it again", self._again)
            raise IngestError(error.message, hint=hint) from error
        return piece

    def _next(self) -> bytes:
        return b"".join(islice(self._pieces, _PIECES))
