"""Parquet: the footer first, then only the column chunks that are wanted, fetched ahead of decoding."""

from __future__ import annotations

import asyncio
from collections import deque
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, TypeVar

from haulyard.errors import IngestError
from haulyard.ingest.fetching import AHEAD, PART, TAIL, fetch
from haulyard.ingest.ranges import Span, Sparse, joined, missing
from haulyard.models import ByteRange
from haulyard.records.formats.detection import PARQUET_MAGIC
from haulyard.records.reading_streams import in_thread
from haulyard.transfer.workers import first_error

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
    from concurrent.futures import Executor

    import pyarrow as pa

    from haulyard.ingest.model import SourceFile
    from haulyard.models.body import Buffer

T = TypeVar("T")

#: A file up to so many bytes is fetched by one request: a second one takes as long as they do.
WHOLE: Final = 512 * 1024
#: Bytes between two column chunks that are fetched rather than asking twice.
GAP: Final = 32 * 1024
#: The footer is looked for in so many bytes at the end: a part of the file, within bounds. One of 19 columns
#: has some 2 KiB for each row group.
_FOOTER_PART: Final = 256
_FOOTERS: Final = (TAIL, 512 * 1024)
#: The length of the footer, and the magic: the last bytes of the file.
_END: Final = 8
#: A footer up to so many bytes is understood in less time than a thread takes to begin.
_AT_ONCE: Final = 64 * 1024
_ENCRYPTED: Final = b"PARE"
#: Row groups of fewer decoded bytes are decoded by one thread: others decode other files meanwhile.
_ALONE: Final = 16 * 1024**2
#: Rows of which it is not worth while to keep dictionaries.
_FEW: Final = 1024
#: Bytes and rows of a decoded batch, at most.
_BATCH: Final = 16 * 1024**2
_ROWS: Final = 512 * 1024


class Footer(NamedTuple):
    """What a Parquet file says of itself; ``held`` are the bytes at its end (or all) that came with it."""

    metadata: Any
    schema: pa.Schema
    start: int
    held: Buffer

    @property
    def rows(self) -> int:
        """The number of rows."""
        return int(self.metadata.num_rows)


class NotParquetError(Exception):
    """The file does not end as Parquet does; ``head`` is its beginning."""

    def __init__(self, head: bytes) -> None:
        super().__init__()
        self.head = head


async def read_footer(source: SourceFile, tail: Buffer = b"") -> Footer:
    """Fetch and understand the footer, mostly by one request; ``tail`` is what is known of the file's end.

    Raises:
        NotParquetError: It is something else.
        IngestError: It is damaged, encrypted, or was replaced.
    """
    size = source.size
    if tail:
        start, held = size - len(tail), bytes(tail)
    else:
        start = 0 if size <= WHOLE else size - min(max(size // _FOOTER_PART, _FOOTERS[0]), _FOOTERS[1])
        held = bytes(await fetch(source, ByteRange(start, size) if start else None))
    if held[-4:] == _ENCRYPTED:
        raise _damaged(source, "it is encrypted", hint="decrypt it first; its keys cannot be given")
    if held[-4:] != PARQUET_MAGIC:
        head = held[:4096] if not start else bytes(await fetch(source, ByteRange(0, min(size, 64 * 1024))))
        if head[:4] != PARQUET_MAGIC:
            raise NotParquetError(head)
        raise _damaged(source, "it does not end in a footer: cut short, or not written to its end")
    needed = int.from_bytes(held[-_END:-4], "little") + _END
    if needed + len(PARQUET_MAGIC) > size:
        raise _damaged(source, f"its footer would be {needed} bytes long, and the file has {size}")
    if needed > len(held):
        held = bytes(await fetch(source, ByteRange(size - needed, start))) + held
        start = size - needed
    if needed <= _AT_ONCE:
        return _understood(source, start, held)
    return await in_thread(lambda: _understood(source, start, held))


def _understood(source: SourceFile, start: int, held: bytes) -> Footer:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        metadata = pq.read_metadata(pa.BufferReader(held))
        schema = metadata.schema.to_arrow_schema().remove_metadata()
    except _failures() as error:
        raise _damaged(source, f"its footer: {_reason(error)}") from error
    return Footer(metadata, schema, start, held)


def spans_of(metadata: Any, group: int, columns: Sequence[str]) -> list[Span]:  # noqa: ANN401 -- no types
    """Return where the chunks of ``columns``, or of what is nested in them, lie in the file."""
    row_group = metadata.row_group(group)
    found = []
    for index in chunks_of(row_group, columns):
        chunk = row_group.column(index)
        start = chunk.data_page_offset
        if chunk.has_dictionary_page and 0 < chunk.dictionary_page_offset < start:
            start = chunk.dictionary_page_offset
        found.append(Span(start, start + chunk.total_compressed_size))
    return found


def chunks_of(row_group: Any, columns: Sequence[str]) -> list[int]:  # noqa: ANN401 -- no types
    """Return the numbers of the chunks of ``columns``, or of what is nested in them."""
    wanted = set(columns)
    paths = (row_group.column(index).path_in_schema for index in range(row_group.num_columns))
    return [index for index, path in enumerate(paths) if path in wanted or _is_below(path, wanted)]


def _is_below(path: str, wanted: set[str]) -> bool:
    """Whether the path is of what is nested in a column of ``wanted``; names may have dots themselves."""
    at = path.find(".")
    while at >= 0:
        if path[:at] in wanted:
            return True
        at = path.find(".", at + 1)
    return False


class ParquetReading(Generic[T]):
    """The rows of one file: of the row groups ``groups``, and of them ``columns``.

    ``finish`` makes what is wanted of a decoded batch, the number of its first row in the file, from 1, and
    the names of the columns of text that came as dictionaries, as they are stored: where rows are left out,
    few are made strings. It runs in the thread that decodes. ``memory`` bounds the fetched bytes that wait to
    be decoded; one row group may be larger.
    """

    def __init__(
        self,
        source: SourceFile,
        footer: Footer,
        columns: Sequence[str],
        groups: Sequence[int],
        memory: int,
        lanes: Executor,
        finish: Callable[[pa.RecordBatch, int, frozenset[str]], T],
    ) -> None:
        self._source = source
        self._footer = footer
        self._columns = list(columns)
        self._groups = groups
        self._memory = memory
        self._lanes = lanes
        self._finish = finish
        self._waiting: deque[asyncio.Task[_Fetched]] = deque()
        self._held = 0

    async def batches(self) -> AsyncGenerator[tuple[T, int]]:
        """Yield what became of the rows, and the bytes that were fetched for them; row group by row group.

        Close it where it is not read to its end.

        Raises:
            IngestError: A row group is damaged, or the file was replaced.
        """
        metadata = self._footer.metadata
        upcoming = deque(group for group in self._groups if metadata.row_group(group).num_rows)
        counts = (metadata.row_group(group).num_rows for group in range(metadata.num_row_groups))
        begins = list(accumulate(counts, initial=1))
        try:
            while upcoming or self._waiting:
                while upcoming and self._has_room(upcoming[0]):
                    self._begin(upcoming.popleft())
                fetched = await self._waiting[0]
                self._waiting.popleft()
                stored = fetched.stored
                async for finished in self._decoded(fetched, begins[fetched.group]):
                    yield finished, stored
                    stored = 0
                self._held -= fetched.size
        finally:
            for task in self._waiting:
                task.cancel()
            if self._waiting:
                await asyncio.wait(self._waiting)

    def _spans(self, group: int) -> list[Span]:
        return spans_of(self._footer.metadata, group, self._columns)

    def _has_room(self, group: int) -> bool:
        if not self._waiting:
            return True
        size = sum(span.size for span in self._spans(group))
        return len(self._waiting) < AHEAD and self._held + size <= self._memory

    def _begin(self, group: int) -> None:
        spans = self._spans(group)
        size = sum(span.size for span in spans)
        self._held += size
        self._waiting.append(asyncio.create_task(self._fetch(group, spans, size)))

    async def _fetch(self, group: int, spans: list[Span], size: int) -> _Fetched:
        source, footer = self._source, self._footer
        tail = Span(footer.start, footer.start + len(footer.held))
        if any(not 0 < span.start <= span.end <= tail.end for span in spans):
            raise _damaged(source, f"row group {group} is said to lie outside of it")
        absent = [left for span in spans if (left := missing(span, (tail,))) is not None]
        file = Sparse(source.size)
        file.hold(footer.start, footer.held)
        stored = 0
        try:
            async with asyncio.TaskGroup() as tasks:
                for span in joined(absent, GAP):
                    stored += span.size
                    tasks.create_task(_fetch_into(file, source, span))
        except BaseExceptionGroup as errors:
            raise first_error(errors) from None
        return _Fetched(group, file, stored, size, self._decoded_size(group), self._encoded(group))

    def _encoded(self, group: int) -> frozenset[str]:
        """Return the columns of text that are dictionaries all through.

        A text that stands for itself takes 4 bytes for its length alone, the number of one in a dictionary
        mostly 2 at most.
        """
        import pyarrow as pa

        row_group, schema = self._footer.metadata.row_group(group), self._footer.schema
        if row_group.num_rows < _FEW:
            return frozenset()
        chunks = (row_group.column(index) for index in chunks_of(row_group, self._columns))
        return frozenset(
            chunk.path_in_schema
            for chunk in chunks
            if chunk.has_dictionary_page
            and chunk.path_in_schema in schema.names
            and schema.field(chunk.path_in_schema).type == pa.string()
            and chunk.total_uncompressed_size < 3 * chunk.num_values
        )

    def _decoded_size(self, group: int) -> int:
        row_group = self._footer.metadata.row_group(group)
        chunks = (row_group.column(index) for index in chunks_of(row_group, self._columns))
        # Dictionaries hide how much there is; a value of 8 bytes a row is a fair guess at least.
        return sum(max(chunk.total_uncompressed_size, 8 * row_group.num_rows) for chunk in chunks)

    async def _decoded(self, fetched: _Fetched, first: int) -> AsyncGenerator[T]:
        decoder = _Decoder(self._source, self._footer.metadata, fetched, self._columns)

        def step() -> T:
            number = first + decoder.rows
            return self._finish(decoder.next(), number, fetched.encoded)

        while not decoder.is_done:
            yield await in_thread(step, lanes=self._lanes)


class _Fetched(NamedTuple):
    """The bytes of a row group that are needed: ``stored`` of them came, ``size`` are held.

    Decoded they are about ``decoded`` bytes; the columns ``encoded`` stay dictionaries.
    """

    group: int
    file: Sparse
    stored: int
    size: int
    decoded: int
    encoded: frozenset[str]


class _Decoder:
    """Decodes one row group, in a thread."""

    def __init__(
        self,
        source: SourceFile,
        metadata: Any,  # noqa: ANN401 -- pyarrow has no types
        fetched: _Fetched,
        columns: list[str],
    ) -> None:
        self._source = source
        self._metadata = metadata
        self._fetched = fetched
        self._columns = columns
        self._group = metadata.row_group(fetched.group)
        self._batches: Iterator[pa.RecordBatch] | None = None
        #: The rows that were decoded.
        self.rows = 0

    @property
    def is_done(self) -> bool:
        """Whether all rows that the footer promises were decoded."""
        return self.rows >= int(self._group.num_rows)

    def next(self) -> pa.RecordBatch:
        """Return the next batch."""
        try:
            if self._batches is None:
                self._batches = self._open()
            batch = next(self._batches, None)
            if batch is None:
                raise ValueError(f"{self.rows} rows, and the footer says {self._group.num_rows}")
            self.rows += batch.num_rows
            # In the order of the request, not of the file.
            return batch.select(self._columns)
        except _failures() as error:
            number, count = self._fetched.group, self._metadata.num_row_groups
            raise _damaged(self._source, f"row group {number} of {count}: {_reason(error)}") from error

    def _open(self) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        file = pq.ParquetFile(
            pa.PythonFile(self._fetched.file, mode="r"),
            metadata=self._metadata,
            # A chunk is then read as a whole, and what lies in one range is not copied.
            buffer_size=0,
            pre_buffer=False,
            read_dictionary=list(self._fetched.encoded),
            page_checksum_verification=True,
        )
        decoded = self._fetched.decoded
        batches: Iterator[pa.RecordBatch] = file.iter_batches(
            batch_size=_rows_of_batch(int(self._group.num_rows), decoded),
            row_groups=[self._fetched.group],
            columns=self._columns,
            use_threads=decoded > _ALONE,
        )
        return batches


async def _fetch_into(file: Sparse, source: SourceFile, span: Span) -> None:
    """Fetch a range, by several requests where it is large."""
    if span.size <= PART:
        file.hold(span.start, await fetch(source, ByteRange(*span)))
        return
    import pyarrow as pa

    whole = memoryview(pa.allocate_buffer(span.size)).cast("B")

    async def part(start: int, end: int) -> None:
        data = await fetch(source, ByteRange(start, end))
        whole[start - span.start : end - span.start] = data

    for first in range(span.start, span.end, AHEAD * PART):
        async with asyncio.TaskGroup() as tasks:
            for start in range(first, min(first + AHEAD * PART, span.end), PART):
                tasks.create_task(part(start, min(start + PART, span.end)))
    file.hold(span.start, whole)


def _rows_of_batch(rows: int, decoded: int) -> int:
    average = max(decoded // max(rows, 1), 1)
    return max(1, min(_ROWS, _BATCH // average))


def _failures() -> tuple[type[Exception], ...]:
    """Return what pyarrow raises for damaged files."""
    import pyarrow as pa

    return (pa.ArrowException, OSError, ValueError, LookupError, NotImplementedError)


def _reason(error: Exception) -> str:
    # Several lines of it concern only pyarrow.
    return str(error).partition("\n")[0]


def _damaged(source: SourceFile, what: str, *, hint: str = "upload it again") -> IngestError:
    return IngestError(f"{source.uri} is damaged: {what}", hint=hint)
