"""CSV text as columns of given types, by pyarrow; and single values, by the same rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from haulyard.errors import ConfigError
from haulyard.ingest.literals import integer, integers, null, strings, truth
from haulyard.ingest.type_names import type_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from haulyard.ingest.text.layout import Layout

_FALSE: Final = truth(False)  # noqa: FBT003 -- the value
_TRUE: Final = truth(True)  # noqa: FBT003 -- the value
_ONE: Final = integer(1, pa.int64())
_QUOTE, _QUOTE_AND_FEED, _NOTHING = strings(['"', '"\n', ""])
_INTEGER: Final = r"-?(?:[0-9]+|0[xX][0-9a-fA-F]+)"
_NUMBER: Final = (
    r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|[+-]?(?i:inf|infinity|nan(?:\(.*\))?)"
)
_TRUTH: Final = "1|0|true|True|TRUE|false|False|FALSE"
_DATE: Final = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_HOURS: Final = "[0-9]{2}"
_ZONE: Final = "(?:Z|[+-][0-9]{2}(?::?[0-9]{2})?)"
#: Digits behind the point of a second.
_FRACTION: Final = {
    "s": "",
    "ms": r"(?:\.[0-9]{1,3})?",
    "us": r"(?:\.[0-9]{1,6})?",
    "ns": r"(?:\.[0-9]{1,9})?",
}


def read_columns(
    data: bytes,
    layout: Layout,
    types: Mapping[str, pa.DataType],
    include: Sequence[str] | None = None,
    *,
    with_empty: bool = False,
) -> pa.Table:
    """Return CSV without a header as columns; those without a type get one that pyarrow finds.

    Columns of ``include`` that the file lacks are null. Empty lines are passed over, or rows of nulls (of
    empty texts, if these are no nulls) ``with_empty``.

    Raises:
        pa.ArrowInvalid: A row has too few or too many fields, or a value does not fit its type.
    """
    dialect = layout.dialect
    if not data or (data[0] in b"\r\n" and not data.strip(b"\r\n")):
        names = layout.names if include is None else include
        return pa.table({name: pa.nulls(0, types.get(name, pa.null())) for name in names})
    return arrow_csv.read_csv(
        pa.BufferReader(data),
        read_options=arrow_csv.ReadOptions(
            use_threads=False, block_size=len(data) + 1, column_names=layout.names
        ),
        parse_options=arrow_csv.ParseOptions(
            delimiter=dialect.delimiter,
            quote_char=dialect.quote or False,
            escape_char=dialect.escape or False,
            ignore_empty_lines=not with_empty,
        ),
        convert_options=arrow_csv.ConvertOptions(
            column_types=dict(types),
            null_values=list(layout.nulls),
            strings_can_be_null=True,
            include_columns=list(include) if include is not None else None,
            include_missing_columns=True,
        ),
    )


def array_of(table: pa.Table | pa.RecordBatch, name: str) -> pa.Array:
    """Return a column of a table as one array."""
    column = table[name]
    if isinstance(column, pa.Array):
        return column
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def batch_of(columns: Sequence[pa.Array], schema: pa.Schema, rows: int) -> pa.RecordBatch:
    """Return columns as a batch, which has its number of rows without any column as well."""
    if columns:
        return pa.RecordBatch.from_arrays(columns, schema=schema)
    return pa.RecordBatch.from_struct_array(pa.nulls(rows, pa.struct([])))


def empty_batch(schema: pa.Schema) -> pa.RecordBatch:
    """Return the columns of a schema without any row."""
    return batch_of([pa.nulls(0, field.type) for field in schema], schema, 0)


def check_type(name: str, kind: pa.DataType) -> None:
    """Raise ConfigError where text cannot be read as a type at all."""
    try:
        _converted(strings(["x"]), kind)
    except pa.ArrowInvalid:
        return
    except pa.ArrowNotImplementedError:
        raise ConfigError(
            f"column {name!r} of a CSV file cannot be read as {type_name(kind)}",
            hint="read it as VARCHAR, or give the file as JSON Lines",
        ) from None


def as_type(texts: pa.Array, kind: pa.DataType) -> tuple[pa.Array, pa.Array]:
    """Return texts as a type, null where they do not fit, and which do not.

    They fit where pyarrow would have read them from CSV.
    """
    if pa.types.is_string(kind):
        return texts, pa.repeat(_FALSE, len(texts))
    encoded = texts.dictionary_encode()
    distinct = encoded.dictionary
    plausible = _plausible(distinct, kind)
    candidates = distinct.filter(plausible)
    parts: list[pa.Array] = []
    _convert(candidates, kind, parts)
    converted = pa.concat_arrays(parts) if parts else pa.nulls(0, kind)
    # Back to the places of all distinct values: those that are not plausible are null.
    places = pc.subtract(pc.cumulative_sum(plausible.cast(pa.int64())), _ONE)
    places = pc.if_else(plausible, places, null(pa.int64()))
    values = converted.take(places).take(encoded.indices)
    return values, pc.and_(values.is_null(), texts.is_valid())


def _plausible(texts: pa.Array, kind: pa.DataType) -> pa.Array:
    """Tell which texts look like a type: what is certain not to fit needs no trying."""
    is_ = pa.types
    if is_.is_integer(kind):
        pattern = _INTEGER
    elif is_.is_floating(kind) or is_.is_decimal(kind):
        pattern = _NUMBER
    elif is_.is_date(kind):
        pattern = _DATE
    elif is_.is_timestamp(kind):
        clock = f"{_HOURS}(?::{_HOURS}(?::{_HOURS}{_FRACTION[kind.unit]})?)?"
        pattern = f"{_DATE}[ T]{clock}{_ZONE}" if kind.tz else f"{_DATE}(?:[ T]{clock})?"
    elif is_.is_time(kind):
        pattern = f"{_HOURS}:{_HOURS}(?::{_HOURS}{_FRACTION[kind.unit]})?"
    elif is_.is_boolean(kind):
        pattern = _TRUTH
    else:
        return pa.repeat(_TRUE, len(texts))
    return pc.match_substring_regex(texts, rf"\A[ \t]*(?:{pattern})[ \t]*\z")


def _convert(texts: pa.Array, kind: pa.DataType, parts: list[pa.Array]) -> None:
    """Convert texts half by half, until only those are alone that do not fit."""
    if not len(texts):
        return
    try:
        parts.append(_converted(texts, kind))
    except pa.ArrowInvalid:
        if len(texts) == 1:
            parts.append(pa.nulls(1, kind))
            return
        half = len(texts) // 2
        _convert(texts.slice(0, half), kind, parts)
        _convert(texts.slice(half), kind, parts)


def _converted(texts: pa.Array, kind: pa.DataType) -> pa.Array:
    doubled = pc.replace_substring(texts, '"', '""')
    quoted = pc.binary_join_element_wise(_QUOTE, doubled, _QUOTE_AND_FEED, _NOTHING)
    ends = integers((0, len(quoted)), pa.int32())
    data = pc.binary_join(pa.ListArray.from_arrays(ends, quoted), _NOTHING)[0].as_py().encode()
    table = arrow_csv.read_csv(
        pa.BufferReader(data),
        read_options=arrow_csv.ReadOptions(
            use_threads=False, block_size=len(data) + 1, column_names=["value"]
        ),
        convert_options=arrow_csv.ConvertOptions(column_types={"value": kind}, null_values=[]),
    )
    return array_of(table, "value")
