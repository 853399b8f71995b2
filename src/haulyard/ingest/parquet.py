"""The rows of Parquet: only the column chunks that are wanted, fetched ahead of decoding."""

from __future__ import annotations

import asyncio
from collections import deque
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, TypeVar

from haulyard.ingest.fetching import AHEAD, PART, fetch
from haulyard.ingest.parquet_footer import INT96_UNIT, Footer, damaged, failures, reason_of
from haulyard.ingest.ranges import Span, Sparse, joined, missing
from haulyard.models import ByteRange
from haulyard.records.reading_streams import in_thread
from haulyard.transfer.workers import first_error

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
    from concurrent.futures import Executor

    import pyarrow as pa

    from haulyard.ingest.model import SourceFile

T = TypeVar("T")

#: Bytes between two column chunks that are fetched rather than asking twice.
GAP: Final = 32 * 1024
#: Row groups of fewer decoded bytes are decoded by one thread: others decode other files meanwhile.
_ALONE: Final = 16 * 1024**2
#: Rows of which it is not worth while to keep dictionaries.
_FEW: Final = 1024
#: Bytes and rows of a decoded batch, at most.
_BATCH: Final = 16 * 1024**2
_ROWS: Final = 512 * 1024


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
            raise damaged(source, f"row group {group} is said to lie outside of it")
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
        except failures() as error:
            number, count = self._fetched.group, self._metadata.num_row_groups
            raise damaged(self._source, f"row group {number} of {count}: {reason_of(error)}") from error

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
            coerce_int96_timestamp_unit=INT96_UNIT,
        )
        decoded = self._fetched.decoded
        batches: Iterator[pa.RecordBatch] = file.iter_batches(
            batch_size=_rows_of_batch(int(self._group.num_rows), decoded),
            row_groups=[self._fetched.group],
            columns=self._columns,
            use_threads=decoded > _ALONE,
        )
        return batches


def decoded_at_once(
    source: SourceFile,
    footer: Footer,
    columns: Sequence[str],
    groups: Sequence[int],
    finish: Callable[[pa.RecordBatch, int, frozenset[str]], T],
) -> list[T]:
    """Return what ``finish`` makes of all rows of a file that is held as a whole, as in `ParquetReading`.

    Raises:
        IngestError: A row group is damaged.
    """
    metadata, names = footer.metadata, list(columns)
    done: list[T] = []
    first = 1
    number = 0
    try:
        for number in range(metadata.num_row_groups):
            rows = metadata.row_group(number).num_rows
            if number in groups and rows:
                batches = list(footer.file.iter_batches(rows, [number], names, use_threads=False))
                if sum(batch.num_rows for batch in batches) != rows:
                    raise ValueError(f"it has not the {rows} rows that the footer says")
                # One batch: as many rows as there are, and little enough.
                done.extend(finish(batch.select(names), first, frozenset()) for batch in batches)
            first += rows
    except failures() as error:
        where = f"row group {number} of {metadata.num_row_groups}"
        raise damaged(source, f"{where}: {reason_of(error)}") from error
    return done


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
