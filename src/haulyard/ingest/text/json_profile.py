"""What blocks of JSON say of the types of their columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pyarrow as pa

from haulyard.ingest.text.digits import MOST, NO_DIGITS, Digits
from haulyard.ingest.text.evidence import KINDS, Evidence, evidence_of, is_suspicious, rough_in
from haulyard.ingest.text.json_exact import is_rough
from haulyard.ingest.text.json_values import is_number
from haulyard.ingest.text.profile import TextProfile
from haulyard.ingest.text.values import array_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from haulyard.ingest.text.json_values import Rows

#: What strings of JSON may be but text: numbers and truths have a notation of their own.
_KINDS: Final = tuple(kind for kind in KINDS if kind not in {"int", "double", "bool", "YYYYMMDD"})
_INT64: Final = 2**63


def strings_in(hopeful: Mapping[str, Sequence[str]]) -> pa.Schema:
    """Return the columns that have shown to be strings, which pyarrow would look through for times."""
    return pa.schema((name, pa.string()) for name, kinds in hopeful.items() if set(kinds) <= set(_KINDS))


def untimed(schema: pa.Schema) -> pa.Schema | None:
    """Return a schema with strings for times, which pyarrow's JSON reader finds without their zones.

    None where there are none.
    """
    fields = [field.with_type(_untimed(field.type)) for field in schema]
    return None if fields == list(schema) else pa.schema(fields)


def _untimed(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_timestamp(kind):
        return pa.string()
    if pa.types.is_list(kind):
        return pa.list_(_untimed(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(_untimed(field.type)) for field in kind])
    return kind


def profile_table(
    table: pa.Table, hopeful: Mapping[str, Sequence[str]], wanted: Sequence[str] | None, uri: str
) -> TextProfile | None:
    """Return what columns that pyarrow found say; None where values have to be looked at one by one."""
    columns = {}
    for name in table.column_names if wanted is None else wanted:
        if name not in table.column_names:
            columns[name] = Evidence(nulls=table.num_rows)
            continue
        column = array_of(table, name)
        if has_large_doubles(column):
            return None
        columns[name] = _evidence(column, hopeful.get(name, _KINDS), uri)
    return TextProfile(columns, table.num_rows)


def has_large_doubles(column: pa.Array) -> bool:
    """Whether doubles of a column, or in its lists and objects, may be whole numbers that they round."""
    return any(pa.types.is_floating(each.type) and is_suspicious(each) for each in _leaves(column))


def _leaves(column: pa.Array) -> Iterator[pa.Array]:
    """Yield what is in lists and objects, as columns."""
    if pa.types.is_list(column.type):
        yield from _leaves(column.flatten())
    elif pa.types.is_struct(column.type):
        for each in column.flatten():
            yield from _leaves(each)
    else:
        yield column


def profile_rows(
    rows: Rows, hopeful: Mapping[str, Sequence[str]], wanted: Sequence[str] | None, uri: str
) -> TextProfile:
    """Return what objects say of their keys, value by value."""
    names = wanted if wanted is not None else dict.fromkeys(key for each in rows.objects for key in each)
    columns = {
        name: _evidence_of_values([each.get(name) for each in rows.objects], hopeful.get(name, _KINDS), uri)
        for name in names
    }
    rejected = len(rows.rejects)
    return TextProfile(columns, len(rows.objects) + rejected, rejected)


def _evidence(column: pa.Array, hopeful: Sequence[str], uri: str) -> Evidence:
    values = len(column) - column.null_count
    if values and pa.types.is_nested(column.type):
        rough = sum(rough_in(each) for each in _leaves(column))
        return Evidence(values, column.null_count, {"nested": values}, beyond=rough, found=column.type)
    return evidence_of(column, None, [kind for kind in hopeful if kind in _KINDS], uri)


def _evidence_of_values(values: list[object], hopeful: Sequence[str], uri: str) -> Evidence:
    texts = [value if isinstance(value, str) else None for value in values]
    told = _evidence(pa.array(texts, pa.string()), hopeful, uri)
    fits = dict(told.fits)
    present = [value for value in values if value is not None]
    integers = sum(
        isinstance(value, int) and is_number(value) and -_INT64 <= value < _INT64 for value in present
    )
    fits["int"] = integers
    fits["double"] = integers + sum(isinstance(value, float) for value in present)
    fits["bool"] = sum(isinstance(value, bool) for value in present)
    nested = [value for value in present if isinstance(value, list | dict)]
    found = _nested_type(nested)
    if found is not None:
        fits["nested"] = len(nested)
    # How many digits doubles need is not looked at: with integers that they round they are text.
    digits = Digits(0, MOST + 1) if fits["double"] > integers else NO_DIGITS
    return Evidence(
        len(present),
        len(values) - len(present),
        fits,
        beyond=sum(map(is_rough, present)),
        digits=digits,
        misfits=told.misfits,
        found=found,
    )


def _nested_type(values: Sequence[object]) -> pa.DataType | None:
    """Return the type that holds some lists or objects; None where they are too different."""
    if not values:
        return None
    try:
        return pa.array(values).type
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        return None
