"""Parquet: blocks of rows that never cross a row group, read by ranges.

Where a block begins follows from the directory of the file alone, so that addresses are the same in every run
and reading begins at any row group without those before it.
"""

from __future__ import annotations

import io
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from haulyard.errors import ConfigError, RecordError
from haulyard.records.formats.arrow_json import ArrowJson
from haulyard.records.formats.delimited import check_columns
from haulyard.records.model import Block

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

#: Rows of a block at most, and bytes of it by the averages of its row group.
ROWS: Final = 10_000
_BLOCK: Final = 4 * 1024**2
#: Bytes that are asked for at least; what pyarrow reads of a column at a time.
_READ: Final = 1024**2
#: A row group up to so many bytes is fetched at once instead of column by column.
_GROUP: Final = 8 * 1024**2


class RangeFile(io.RawIOBase):
    """A file whose bytes come from ``fetch(start, end)``, a little more than was asked for."""

    def __init__(self, size: int, fetch: Callable[[int, int], bytes]) -> None:
        self._size = size
        self._fetch = fetch
        self._at = 0
        self._window = b""
        self._begin = 0

    def readable(self) -> bool:
        """It can be read."""
        return True

    def seekable(self) -> bool:
        """Reading begins anywhere."""
        return True

    def tell(self) -> int:
        """Return where the next read begins."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go elsewhere; nothing is fetched for that."""
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def read(self, size: int = -1, /) -> bytes:
        """Return ``size`` bytes, fewer at the end."""
        end = self._size if size < 0 else min(self._at + size, self._size)
        if not self._begin <= self._at <= end <= self._begin + len(self._window):
            # A directory is read backwards: a short read at the end is of the last bytes.
            start = min(self._at, max(self._size - _READ, 0)) if end == self._size else self._at
            self.prefetch(start, max(end, start + _READ))
        data = self._window[self._at - self._begin : end - self._begin]
        self._at = end
        return data

    def prefetch(self, start: int, end: int) -> None:
        """Hold these bytes, and no others."""
        end = min(end, self._size)
        if not self._begin <= start <= end <= self._begin + len(self._window):
            self._window = self._fetch(start, end) if start < end else b""
            self._begin = start


class ParquetRows:
    """The rows of a Parquet file, read by ``fetch(start, end)``.

    ``columns`` are those that are wanted, all of them if there are none.

    Raises:
        RecordError: It is no Parquet, or damaged, or columns have the same name.
        ConfigError: pyarrow is missing, or a column is.
    """

    def __init__(
        self, object_id: int, name: str, size: int, fetch: Callable[[int, int], bytes], columns: Sequence[str]
    ) -> None:
        self._object = object_id
        self._name = name
        self._file = RangeFile(size, fetch)
        module = _pyarrow()
        try:
            self._parquet = module.ParquetFile(
                self._file,
                pre_buffer=False,
                buffer_size=_READ,
                # As nanoseconds times before 1677 and behind 2262 come out as others.
                coerce_int96_timestamp_unit="us",
            )
        except (ValueError, OSError) as error:
            raise self._damaged(error) from error
        names = self._parquet.schema_arrow.names
        check_columns(names, name)
        if missing := [column for column in columns if column not in names]:
            raise ConfigError(
                f"{name} has no column {', '.join(map(repr, missing))}",
                hint=f"its columns are {', '.join(names)}",
            )
        self._columns = list(columns) or names
        self._json = ArrowJson()

    def blocks(self, start: int = 0) -> Iterator[Block]:
        """Yield the blocks from row ``start`` on, which is where one of them begins."""
        first = 0
        metadata = self._parquet.metadata
        for number in range(metadata.num_row_groups):
            group = metadata.row_group(number)
            if first + group.num_rows > start:
                yield from self._group(number, group, first, start)
            first += group.num_rows

    def _group(self, number: int, group: Any, first: int, start: int) -> Iterator[Block]:  # noqa: ANN401 -- no types
        size = _rows_of_block(group)
        self._prefetch(group)
        rows: list[bytes] = []
        offset = first
        for batch in self._batches(number, size):
            rows += batch
            last = offset + len(rows) == first + group.num_rows
            while len(rows) >= size or (rows and last):
                block, rows = rows[:size], rows[size:]
                if offset >= start:
                    yield Block(self._object, offset, 0, block, offset + len(block))
                offset += len(block)
        if offset != first + group.num_rows:
            raise self._damaged(ValueError(f"row group {number} has fewer rows than it says"))

    def _batches(self, number: int, size: int) -> Iterator[list[bytes]]:
        try:
            batches = self._parquet.iter_batches(
                batch_size=size, row_groups=[number], columns=self._columns, use_threads=False
            )
            for batch in batches:
                # In the order of the request, not of the file.
                yield self._json.rows(batch.select(self._columns))
        except (ValueError, OSError, LookupError, NotImplementedError) as error:
            raise self._damaged(error) from error

    def _prefetch(self, group: Any) -> None:  # noqa: ANN401 -- pyarrow has no types
        spans = [_span(group.column(index)) for index in range(group.num_columns)]
        if not spans:
            return
        begin, end = min(span[0] for span in spans), max(span[1] for span in spans)
        if end - begin <= _GROUP:
            self._file.prefetch(begin, end)

    def _damaged(self, error: Exception) -> RecordError:
        # Several lines of it concern only pyarrow.
        reason = str(error).partition("\n")[0]
        return RecordError(f"{self._name} is no Parquet, or damaged: {reason}", hint="upload it again")


def _rows_of_block(group: Any) -> int:  # noqa: ANN401 -- pyarrow has no types
    average = max(group.total_byte_size // max(group.num_rows, 1), 1)
    return int(max(1, min(ROWS, _BLOCK // average)))


def _span(column: Any) -> tuple[int, int]:  # noqa: ANN401 -- pyarrow has no types
    begin = column.data_page_offset
    if column.dictionary_page_offset:
        begin = min(begin, column.dictionary_page_offset)
    return begin, begin + column.total_compressed_size


def _pyarrow() -> Any:  # noqa: ANN401 -- a module that need not be installed, and has no types
    try:
        return import_module("pyarrow.parquet")
    except ImportError:
        raise ConfigError(
            "Parquet needs the library pyarrow, which is not installed",
            hint="pip install 'haulyard[data]'",
        ) from None
