"""The end of a Parquet file: what it says of the rest, mostly fetched by one request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from haulyard.errors import IngestError
from haulyard.ingest.fetching import TAIL, fetch
from haulyard.ingest.model import again
from haulyard.models import ByteRange
from haulyard.records.formats.detection import PARQUET_MAGIC
from haulyard.records.reading_streams import in_thread

if TYPE_CHECKING:
    import pyarrow as pa

    from haulyard.ingest.model import SourceFile
    from haulyard.models.body import Buffer

#: A file up to so many bytes is fetched by one request: a second one takes as long as they do.
WHOLE: Final = 512 * 1024
#: The footer is looked for in so many bytes at the end: a part of the file, within bounds. One of 19 columns
#: has some 2 KiB for each row group.
_FOOTER_PART: Final = 256
_FOOTERS: Final = (TAIL, 512 * 1024)
#: The length of the footer, and the magic: the last bytes of the file.
_END: Final = 8
#: Times of INT96 are microseconds, as Spark writes them and DuckDB reads them: as nanoseconds, which pyarrow
#: makes of them unasked, those before 1677 and behind 2262 come out as others, 9999-12-31 as 1816-03-29.
INT96_UNIT: Final = "us"
#: A footer up to so many bytes is understood in less time than a thread takes to begin.
_AT_ONCE: Final = 64 * 1024
_ENCRYPTED: Final = b"PARE"


class Footer(NamedTuple):
    """What a Parquet file says of itself.

    ``held`` are its bytes from ``start`` on; where that is all of it, ``file`` reads it. With ``is_widened``
    the file has floats of 16 bits where ``schema`` has floats of 32, and `widened` makes its batches so.
    """

    metadata: Any
    schema: pa.Schema
    is_widened: bool
    start: int
    held: Buffer
    file: Any = None

    @property
    def rows(self) -> int:
        """The number of rows."""
        return int(self.metadata.num_rows)

    @property
    def decoded(self) -> int:
        """About the bytes of all rows when they are decoded."""
        groups = (self.metadata.row_group(number) for number in range(self.metadata.num_row_groups))
        # Dictionaries hide how much there is; a value of 8 bytes a row is a fair guess at least.
        return sum(max(group.total_byte_size, 8 * group.num_rows * group.num_columns) for group in groups)


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
        raise damaged(source, "it is encrypted", hint="decrypt it first; its keys cannot be given")
    if held[-4:] != PARQUET_MAGIC:
        head = held[:4096] if not start else bytes(await fetch(source, ByteRange(0, min(size, 64 * 1024))))
        if head[:4] != PARQUET_MAGIC:
            raise NotParquetError(head)
        raise damaged(source, "it does not end in a footer: cut short, or not written to its end")
    needed = int.from_bytes(held[-_END:-4], "little") + _END
    if needed + len(PARQUET_MAGIC) > size:
        raise damaged(source, f"its footer would be {needed} bytes long, and the file has {size}")
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
        file = pq.ParquetFile(
            pa.BufferReader(held),
            pre_buffer=False,
            page_checksum_verification=True,
            coerce_int96_timestamp_unit=INT96_UNIT,
        )
        metadata, schema = file.metadata, file.schema_arrow.remove_metadata()
    except failures() as error:
        raise damaged(source, f"its footer: {reason_of(error)}") from error
    return Footer(metadata, *_last.widened(schema), start, held, None if start else file)


def widened(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return a batch with floats of 32 bits for those of 16, which DuckDB and most others do not know."""
    return batch.cast(_wide_schema(batch.schema))


class _Last:
    """Remembers what was made of the last schema: most files of a table have the same one."""

    def __init__(self) -> None:
        self._found: tuple[pa.Schema, pa.Schema] | None = None

    def widened(self, schema: pa.Schema) -> tuple[pa.Schema, bool]:
        """Return ``schema`` with floats of 32 bits for those of 16, and whether there are any."""
        found = self._found
        if found is None or not found[0].equals(schema, check_metadata=True):
            wide = _wide_schema(schema)
            found = self._found = schema, schema if wide.equals(schema) else wide
        return found[1], found[1] is not found[0]


_last: Final = _Last()


def _wide_schema(schema: pa.Schema) -> pa.Schema:
    import pyarrow as pa

    return pa.schema([field.with_type(_wide(field.type)) for field in schema])


def _wide(of: pa.DataType) -> pa.DataType:
    import pyarrow as pa
    from pyarrow import types

    if types.is_float16(of):
        return pa.float32()
    if types.is_struct(of):
        return pa.struct([field.with_type(_wide(field.type)) for field in of])
    if types.is_list(of):
        return pa.list_(of.value_field.with_type(_wide(of.value_type)))
    return of


def failures() -> tuple[type[Exception], ...]:
    """Return what pyarrow raises for damaged files."""
    import pyarrow as pa

    return (pa.ArrowException, OSError, ValueError, LookupError, NotImplementedError)


def reason_of(error: Exception) -> str:
    """Return what an error of pyarrow says in its first line; the others concern only pyarrow."""
    return str(error).partition("\n")[0]


def damaged(source: SourceFile, what: str, *, hint: str = "") -> IngestError:
    """Return the error for a damaged file."""
    return IngestError(f"{source.uri} is damaged: {what}", hint=hint or again(source.uri))
