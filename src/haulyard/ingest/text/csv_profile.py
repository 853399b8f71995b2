"""What blocks of CSV say of the types of their columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc

from haulyard.ingest.text.arrow_csv import has_lone_returns, lines_of
from haulyard.ingest.text.digits import has_long_numbers
from haulyard.ingest.text.evidence import evidence_of, is_number, is_suspicious
from haulyard.ingest.text.exact import parse_exactly
from haulyard.ingest.text.padding import padded_fields, padded_values
from haulyard.ingest.text.profile import TextProfile
from haulyard.ingest.text.values import array_of, read_columns

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from haulyard.ingest.text.layout import Layout

#: Types are not looked for in texts that are longer, where fields are so on average.
_LONG: Final = 1024
#: And where a block is larger than any is without a long row.
_LARGE: Final = 4 * 1024**2


def profile_block(
    data: bytes, layout: Layout, hopeful: Mapping[str, list[str]], *, as_text: bool = False
) -> TextProfile:
    """Return what a block of whole records says of some columns.

    ``hopeful`` has them with the kinds of values to look for; ``as_text`` takes values as they are written.
    """
    names = list(hopeful)
    for name in _long_columns(data, layout, names):
        hopeful = {**hopeful, name: []}
    texts = {name: pa.string() for name in names if as_text or not hopeful[name]}
    rejected = 0
    table = _table_of(data, layout, names, texts)
    if table is None:
        parsed = parse_exactly(data, layout, pa.schema((name, pa.string()) for name in names))
        table, rejected = parsed.batch, len(parsed.rejects)
        raw = {name: array_of(table, name) for name in names}
    else:
        raw = numbers_as_text(data, layout, table)
    columns = {
        name: evidence_of(array_of(table, name), raw.get(name), hopeful[name], layout.uri) for name in names
    }
    return TextProfile(columns, table.num_rows + rejected, rejected)


def _long_columns(data: bytes, layout: Layout, names: Sequence[str]) -> list[str]:
    """Return columns that have long texts, which pyarrow would take for one thing after another.

    Its message of what a text is not has the text in it: to find a type for a field of 100 MB takes 10 s.
    """
    if len(data) <= _LARGE and len(data) <= _LONG * len(layout.names) * lines_of(data):
        return []
    table = _table_of(data, layout, names, dict.fromkeys(names, pa.string()))
    if table is None:
        return []
    sizes = {name: pc.max(pc.binary_length(array_of(table, name))).as_py() or 0 for name in names}
    return [name for name, size in sizes.items() if size > _LONG]


def _table_of(
    data: bytes, layout: Layout, names: Sequence[str], types: Mapping[str, pa.DataType]
) -> pa.Table | None:
    """Return columns of the types that pyarrow finds; None where anything is wrong with any row."""
    try:
        text = data if layout.charset.is_utf8 else layout.charset.utf8(data)
        if has_lone_returns(text):
            return None
        table = read_columns(text, layout, types, names)
    except (pa.ArrowInvalid, UnicodeDecodeError):
        return None
    # What is not UTF-8 is read as binary.
    return None if any(pa.types.is_binary(field.type) for field in table.schema) else table


def numbers_as_text(data: bytes, layout: Layout, table: pa.Table | pa.RecordBatch) -> dict[str, pa.Array]:
    """Return those columns of numbers as text of which the numbers do not tell everything."""
    numbers = [field.name for field in table.schema if is_number(field.type)]
    if not numbers:
        return {}
    padded = padded_fields(data, layout.dialect.delimiter)
    if padded:
        strings = [array_of(table, field.name) for field in table.schema if pa.types.is_string(field.type)]
        padded -= sum(map(padded_values, strings))
    if not padded:
        # All of them are in columns of text.
        doubles = {field.name for field in table.schema if pa.types.is_floating(field.type)}
        doubles = doubles if doubles and has_long_numbers(data) else set()
        numbers = [name for name in numbers if name in doubles or is_suspicious(array_of(table, name))]
        if not numbers:
            return {}
    types = dict.fromkeys(numbers, pa.string())
    again = _table_of(data, layout, numbers, types)
    if again is None:
        again = parse_exactly(data, layout, pa.schema(types)).batch
    return {name: array_of(again, name) for name in numbers}
