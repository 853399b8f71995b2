"""JSON Lines: what is done with a block of them.

Why pyarrow. flights.csv as JSON Lines (101 MB, 336,776 rows), two cores, CPU of all threads, best of three:
pyarrow 0.43 s, DuckDB 0.32 s of a local file (it reads no bytes in memory), polars 0.30 to 0.32 s, orjson
with Arrow made of its objects 1.6 s. pyarrow takes a schema and refuses what does not fit it, has the types
of the other formats, and is imported already; to import polars takes another 0.27 s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.json as arrow_json

from haulyard.errors import IngestError
from haulyard.ingest.text.arrow_csv import lines_of
from haulyard.ingest.text.dates import dates
from haulyard.ingest.text.json_array import OTHER_FORMAT
from haulyard.ingest.text.json_exact import has_long_whole_numbers
from haulyard.ingest.text.json_profile import (
    has_large_doubles,
    profile_rows,
    profile_table,
    strings_in,
    untimed,
)
from haulyard.ingest.text.json_values import is_told_by_text, objects_in, parse_values, rows_of
from haulyard.ingest.text.layout import Parsed, format_of
from haulyard.ingest.text.values import array_of, as_type, batch_of
from haulyard.records.formats.cutting import Start
from haulyard.records.formats.detection import HEAD
from haulyard.records.formats.json_values import JsonValues, begins_array

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from haulyard.ingest.model import ReadOptions, Reject
    from haulyard.ingest.text.profile import TextProfile
    from haulyard.ingest.text.streams import Opened
    from haulyard.records.formats.encoding import Charset

#: Objects of a file's beginning whose keys are its columns, as far as anyone knows.
_OBJECTS: Final = 100


async def first_names(file: Opened, uri: str, schema: pa.Schema | None) -> tuple[str, ...]:
    """Return the columns of a file: those of ``schema``, and the keys of its first objects.

    Raises:
        IngestError: There is nothing in it.
    """
    head = await file.text.head(HEAD)
    if not head.strip() and schema is None:
        raise IngestError(f"{uri} is empty: it has no columns", hint="leave it out, or give schema=")
    names = dict.fromkeys(schema.names if schema is not None else ())
    charset = file.charset
    rows = _first_values(head, charset) if file.form == "json" else iter(head.split(b"\n"))
    for each in objects_in(rows, _OBJECTS):
        names.update(dict.fromkeys(each))
    return tuple(names)


def without_columns(uri: str, line: int, rejects: Sequence[Reject]) -> IngestError:
    """Return what is wrong with a file of JSON of which no object has a key; its first row is on ``line``."""
    for reject in rejects:
        return IngestError(f"{uri}: line {line + reject.line}: {reject.reason}", hint=OTHER_FORMAT)
    return IngestError(
        f"{uri} is empty: no object in it has a key, and it has no columns",
        hint="leave it out, or give schema=",
    )


def _first_values(head: bytes, charset: Charset) -> Iterator[bytes]:
    values = JsonValues(0, charset, Start(), is_array=begins_array(head), is_begun=False, grid=1)
    for block in values.feed(head):
        if block is not None:
            yield from block.rows


class JsonForm:
    """Rows that are JSON objects, each on a line. ``is_strict`` tells of fields that a schema lacks."""

    def __init__(
        self, uri: str, charset: Charset, names: tuple[str, ...], options: ReadOptions, *, is_strict: bool
    ) -> None:
        self._uri = uri
        self._charset = charset
        self._wanted = options.columns
        self._is_strict = is_strict
        self.names = names if options.columns is None else options.columns

    def parse(self, data: bytes, schema: pa.Schema) -> Parsed:
        """Return a block as the columns of ``schema``, and the rows that do not fit it."""
        lines = lines_of(data)
        table = self._table(data, pa.schema(map(_as_read, schema)), lines)
        if table is not None and (batch := self._fitted(table, schema, data)) is not None:
            return Parsed(batch, (), lines, self._unknown(table.schema.names, schema))
        rows = rows_of(data, self._charset, self._uri)
        parsed = parse_values(rows, schema, self._uri, lines, is_strict=self._is_strict)
        keys = {key for each in rows.objects for key in each} if self._is_strict else set()
        return parsed._replace(misfits=parsed.misfits | self._unknown(keys, schema))

    def is_lossy(self, data: bytes, parsed: Parsed) -> bool:  # noqa: ARG002 -- JSON's own types
        """What fits a type of JSON loses nothing in it."""
        return False

    def profile(self, data: bytes, hopeful: Mapping[str, list[str]]) -> TextProfile:
        """Return what a block says of the columns."""
        lines = lines_of(data)
        table = self._table(data, strings_in(hopeful), lines)
        if table is not None and (strings := untimed(table.schema)) is not None:
            table = self._table(data, strings, lines)
        profile = None if table is None else profile_table(table, hopeful, self._wanted, self._uri)
        if profile is not None:
            return profile
        return profile_rows(rows_of(data, self._charset, self._uri), hopeful, self._wanted, self._uri)

    def _table(self, data: bytes, schema: pa.Schema, lines: int) -> pa.Table | None:
        """Return the columns that pyarrow reads; None where anything is wrong with any row."""
        # Of nested fields that the schema lacks only their types tell, once pyarrow has found them.
        tells = self._is_strict or any(pa.types.is_nested(field.type) for field in schema)
        try:
            text = self._charset.utf8(data)
            table = arrow_json.read_json(
                pa.BufferReader(text),
                read_options=arrow_json.ReadOptions(use_threads=False, block_size=len(text) + 1),
                parse_options=arrow_json.ParseOptions(
                    explicit_schema=schema,
                    unexpected_field_behavior="infer" if tells else "ignore",
                ),
            )
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, UnicodeDecodeError):
            return None
        # It takes two objects on a line for two rows.
        return table if table.num_rows == lines else None

    def _fitted(self, table: pa.Table, schema: pa.Schema, data: bytes) -> pa.RecordBatch | None:
        """Return the columns in their types; None where a value is of another."""
        columns = []
        for field in schema:
            column = array_of(table, field.name)
            if has_large_doubles(column) and has_long_whole_numbers(data):
                return None  # which it reads as doubles, whatever that does to them
            if column.type != field.type:
                if not is_told_by_text(field.type):
                    return None  # a nested field that it lacks
                way = format_of(field)
                column, wrong = dates(column, way) if way else as_type(column, field.type)
                if wrong.true_count:
                    return None
            if column.null_count and not field.nullable:
                return None
            columns.append(column)
        return batch_of(columns, schema, table.num_rows)

    def _unknown(self, names: Iterable[str], schema: pa.Schema) -> frozenset[str]:
        """Return the names that ``schema`` lacks, where that matters."""
        if not self._is_strict or self._wanted is not None:
            return frozenset()
        return frozenset(names) - frozenset(schema.names)


def _as_read(field: pa.Field) -> pa.Field:
    """Return how pyarrow is to read a column: dates and the like as they are written."""
    is_string = pa.types.is_string(field.type) or pa.types.is_large_string(field.type)
    return pa.field(field.name, pa.string() if is_told_by_text(field.type) and not is_string else field.type)
