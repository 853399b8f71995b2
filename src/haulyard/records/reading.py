"""Objects as blocks of records, streamed: any format, from the beginning or from any block on."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeVar

from haulyard.errors import ConfigError, JobError, PreconditionFailed, RecordError
from haulyard.models import ByteRange, GetOptions
from haulyard.records.formats import json_lines, json_values
from haulyard.records.formats.compression import Inflater
from haulyard.records.formats.cutting import GRID, MAX_RECORD, Cutter, LineEnds, Start
from haulyard.records.formats.delimited import DelimitedRows, Dialect, doubled, find_header
from haulyard.records.formats.detection import (
    HEAD,
    PARQUET_MAGIC,
    compression_of,
    format_of,
    promised_compression,
)
from haulyard.records.formats.encoding import UTF8_BOM, Charset, Recoder
from haulyard.records.formats.parquet import ParquetRows
from haulyard.records.formats.parser import TextParser
from haulyard.records.reading_streams import Ahead, Inflated, Recoded, Stored, in_thread
from haulyard.transfer.items import prefix_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterator
    from concurrent.futures import Future

    from haulyard.records.formats.parser import Parser
    from haulyard.records.model import Block, Compression, Format, SourceObject
    from haulyard.records.reading_streams import Stream
    from haulyard.stores.base import ObjectReader, Store

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How objects are read.

    ``""`` for ``format``, ``compression`` and ``delimiter`` means "find out"; ``compression="none"`` takes
    the bytes as they are. ``columns`` are the names where CSV has no header, and those that are wanted of
    Parquet. ``types="infer"`` makes numbers, booleans and null of CSV values. ``grid``, ``chunk`` (the
    smallest read) and ``max_record`` are in bytes; blocks are those of earlier runs only with the same
    ``grid``.

    Raises:
        ConfigError: Delimiter, quote or escape cannot be one, columns have the same name, or there is no such
            encoding.
    """

    format: Format | Literal[""] = ""
    compression: Compression | Literal["none"] = ""
    encoding: str = "utf-8"
    delimiter: str = ""
    quote: str = '"'
    escape: str = ""
    columns: tuple[str, ...] = ()
    types: Literal["strings", "infer"] = "strings"
    grid: int = GRID
    chunk: int = 8192
    max_record: int = MAX_RECORD

    def __post_init__(self) -> None:
        self.dialect("csv")
        if double := doubled(self.columns):
            raise ConfigError(f"--columns has several columns named {double}")
        Charset(self.encoding, b"", b"")

    def dialect(self, form: Format) -> Dialect:
        """Return how fields are told apart in ``form``."""
        return Dialect(self.delimiter or ("\t" if form == "tsv" else ","), self.quote, self.escape)


def _ignore(_: object) -> None:
    """Nobody wants to know."""


class Listeners(NamedTuple):
    """Who wants to know of reading.

    ``read`` is told of stored bytes as they come, ``reread`` of an object that has to be read again from its
    beginning, for it is compressed or recoded.
    """

    read: Callable[[int], None] = _ignore
    reread: Callable[[SourceObject], None] = _ignore


NOBODY = Listeners()


class _Nature(NamedTuple):
    """What was found out about an object: where its text begins, behind mark and header."""

    form: Format
    compression: Compression
    charset: Charset
    mark: Start = Start()
    begin: Start = Start()
    columns: tuple[str, ...] = ()
    is_array: bool = False

    @property
    def is_seekable(self) -> bool:
        """Whether offsets of its text are those of its bytes."""
        return not self.compression and not self.charset.is_streamed


async def blocks(
    store: Store,
    source: SourceObject,
    options: ReadOptions,
    *,
    start: Start | None = None,
    listeners: Listeners = NOBODY,
) -> AsyncGenerator[Block]:
    """Yield the blocks of one object; close the generator where it is not read to its end.

    ``start`` is where a block began or ended in an earlier run with the same options; exactly the blocks from
    there on are yielded. Memory does not grow with the object.

    Raises:
        JobError: The object is not the one that ``source`` means any more.
        RecordError: It is damaged, or not what it seems to be. All before that was yielded.
        ConfigError: A column that is wanted is missing, or a library is.
        NotFound: It is gone.
    """
    reading = _Reading(store, source, options, listeners)
    async with aclosing(reading.blocks(start)) as found:
        async for block in found:
            yield block


class _Reading:
    """One object being read."""

    def __init__(
        self, store: Store, source: SourceObject, options: ReadOptions, listeners: Listeners
    ) -> None:
        self._store = store
        self._source = source
        self._options = options
        self._listeners = listeners
        self._etag = source.etag
        self._name = f"{prefix_of(store)}{source.key}"

    async def blocks(self, start: Start | None) -> AsyncGenerator[Block]:
        """Yield the blocks from ``start`` on."""
        is_begun = start is not None and start.offset > 0
        key = self._source.key
        form = self._options.format or (None if promised_compression(key) else format_of(key))
        nature = None
        if is_begun and form != "parquet":
            nature = await self._look()
            form = nature.form
        if form == "parquet":
            found = self._parquet(start or Start())
        elif nature is not None and nature.is_seekable:
            found = self._resumed(nature, start or Start())
        else:
            if nature is not None:
                self._listeners.reread(self._source)
            found = self._whole(start)
        async with aclosing(found):
            async for block in found:
                yield block

    async def _whole(self, start: Start | None) -> AsyncGenerator[Block]:
        """Read the object from its first byte; what comes before ``start`` is passed over."""
        async with self._opened(ByteRange(0)) as reader:
            stored = Stored(reader.chunks(), self._options.chunk, self._listeners.read)
            nature, text = await self._examined(stored)
            if nature.form != "parquet":
                start = start if start is not None and start.offset else nature.begin
                await text.skip(start.offset)
                async with aclosing(_parsed(text, self._parser(nature, start))) as found:
                    async for block in found:
                        yield block
                return
        async with aclosing(self._parquet(Start())) as found:
            async for block in found:
                yield block

    async def _resumed(self, nature: _Nature, start: Start) -> AsyncGenerator[Block]:
        """Read the object from ``start`` on, and nothing before it."""
        if start.offset >= self._source.size:
            return
        async with self._opened(ByteRange(start.offset)) as reader:
            stored = Stored(reader.chunks(), self._options.chunk, self._listeners.read)
            async with aclosing(_parsed(stored, self._parser(nature, start))) as found:
                async for block in found:
                    yield block

    async def _look(self) -> _Nature:
        """Find out about the object from its first 64 KiB, or more where its header is longer."""
        end = min(HEAD, self._source.size)
        while True:
            async with self._opened(ByteRange(0, end)) as reader:
                whole = end >= self._source.size
                try:
                    nature, _ = await self._examined(Stored(reader.chunks(), HEAD, _ignore), whole=whole)
                except _TooShortError:
                    end = min(end * 16, self._source.size)
                else:
                    return nature

    async def _examined(self, stored: Stream, *, whole: bool = True) -> tuple[_Nature, Ahead]:
        """Return what the object is, and its text from the very beginning.

        Raises:
            _TooShortError: ``stored`` is not the ``whole`` object, and more of it is needed.
        """
        options, key = self._options, self._source.key
        text = Ahead(stored)
        head = await text.head(HEAD)
        compression: Compression = ""
        if options.compression != "none":
            compression = options.compression or compression_of(key, head)
        if compression and not whole:
            # It is read again from the beginning, whatever is in it.
            return _Nature("csv", compression, Charset(options.encoding, b"", b"")), text
        if compression:
            text = Ahead(Inflated(text, Inflater(compression, self._name), apart=compression == "bz2"))
            head = await text.head(HEAD)
        # No more than what is always there: the same object has the same format in every run.
        form = options.format or format_of(key, _as_utf8(options.encoding, head[:HEAD])) or "csv"
        if compression and (form == "parquet" or head.startswith(PARQUET_MAGIC)):
            raise RecordError(f"{self._name} is compressed Parquet", hint="inflate it first")
        charset = Charset(options.encoding, head, self._specials(form))
        nature = _Nature(form, compression, charset)
        if form == "parquet" or (not whole and not nature.is_seekable):
            return nature, text
        if charset.is_streamed:
            text = Ahead(Recoded(text, charset))
            head = await text.head(HEAD)
        if head.startswith(UTF8_BOM) and (charset.is_utf8 or charset.is_streamed):
            nature = nature._replace(mark=Start(len(UTF8_BOM)), begin=Start(len(UTF8_BOM)))
        if form in {"csv", "tsv"}:
            nature = await self._with_header(nature, text, whole=whole)
        return nature._replace(is_array=json_values.begins_array(head[:HEAD])), text

    async def _with_header(self, nature: _Nature, text: Ahead, *, whole: bool) -> _Nature:
        if self._options.columns:
            return nature._replace(columns=self._options.columns)
        size = HEAD
        while True:
            head = await text.head(size)
            ended = text.ended and whole
            header = find_header(
                head,
                self._options.dialect(nature.form),
                nature.charset,
                start=nature.mark,
                ended=ended,
                name=self._name,
            )
            if header is not None:
                return nature._replace(columns=header.columns, begin=header.start)
            if text.ended:
                raise _TooShortError
            size = 2 * len(head)

    def _specials(self, form: Format) -> bytes:
        if form in {"csv", "tsv"}:
            return self._options.dialect(form).specials
        return json_lines.SPECIALS if form == "jsonl" else json_values.SPECIALS

    def _parser(self, nature: _Nature, start: Start) -> Parser:
        options, charset = self._options, nature.charset
        if nature.form == "json":
            return json_values.JsonValues(
                self._source.id,
                charset,
                start,
                is_array=nature.is_array,
                is_begun=start.offset > nature.begin.offset,
                grid=options.grid,
                max_record=options.max_record,
            )
        if nature.form == "jsonl":
            cutter = Cutter(LineEnds(), start, grid=options.grid, max_record=options.max_record)
            return TextParser(self._source.id, cutter, json_lines.LineRows(charset))
        dialect = options.dialect(nature.form)
        cutter = Cutter(dialect.ends(), start, grid=options.grid, max_record=options.max_record)
        rows = DelimitedRows(dialect, charset, nature.columns, infer=options.types == "infer")
        return TextParser(self._source.id, cutter, rows)

    async def _parquet(self, start: Start) -> AsyncGenerator[Block]:
        """Read Parquet in a thread, whose ranges are fetched here."""
        if not self._source.size:
            return
        ranges = _Ranges(self._fetch)
        columns = self._options.columns

        def opened() -> Iterator[Block]:
            rows = ParquetRows(self._source.id, self._name, self._source.size, ranges, columns)
            return rows.blocks(start.offset)

        found = await ranges.run(opened)
        while (block := await ranges.run(lambda: next(found, None))) is not None:
            yield block

    async def _fetch(self, start: int, end: int) -> bytes:
        async with self._opened(ByteRange(start, end)) as reader:
            data = await reader.read()
        self._listeners.read(len(data))
        return data

    @asynccontextmanager
    async def _opened(self, span: ByteRange) -> AsyncIterator[ObjectReader]:
        """Open the very object that is meant."""
        wanted = span if span != ByteRange(0) else None
        options = GetOptions(range=wanted, if_match=self._etag, version_id=self._source.version_id)
        try:
            async with await self._store.get(self._source.key, options) as reader:
                self._etag = self._etag or reader.head.etag
                yield reader
        except PreconditionFailed as error:
            raise JobError(
                f"{self._name} was replaced since the job began",
                hint="--new begins a job with the object as it is now",
            ) from error


class _TooShortError(Exception):
    """More of the object is needed to know what it is."""


class _Ranges:
    """Fetches ranges for a thread; neither thread nor fetching outlives a call of `run`."""

    def __init__(self, fetch: Callable[[int, int], Coroutine[None, None, bytes]]) -> None:
        self._fetch = fetch
        self._loop = asyncio.get_running_loop()
        self._pending: Future[bytes] | None = None
        self._is_cancelled = False

    def __call__(self, start: int, end: int) -> bytes:
        """Return the bytes of a range; called in the thread."""
        self._pending = asyncio.run_coroutine_threadsafe(self._fetch(start, end), self._loop)
        if self._is_cancelled:
            self._pending.cancel()
        return self._pending.result()

    async def run(self, work: Callable[[], T]) -> T:
        """Return what ``work`` does in a thread; cancelled, it ends with the range that it waits for."""
        return await in_thread(work, self._give_up)

    def _give_up(self) -> None:
        self._is_cancelled = True
        if self._pending is not None:
            self._pending.cancel()


async def _parsed(stream: Stream, parser: Parser) -> AsyncGenerator[Block]:
    """Yield the blocks of a text; others get their turn in between."""
    while True:
        data = await stream.read()
        for block in parser.feed(data) if data else parser.finish():
            if block is None:
                await asyncio.sleep(0)
            else:
                yield block
        if not data:
            return


def _as_utf8(encoding: str, head: bytes) -> bytes:
    """Return a beginning in which JSON can be recognised."""
    charset = Charset(encoding, head, b"")
    return Recoder(charset).feed(head) if charset.is_streamed else head
