"""Types that hold what narrower ones did, without loss."""

from __future__ import annotations

import pyarrow as pa


def widened(one: pa.Schema, other: pa.Schema) -> pa.Schema | None:
    """Return the types that hold the values of both; None where there are none, or something would be lost.

    The columns are those of ``one``. Whole numbers become doubles: whoever casts them sees to it that none is
    too large for that (pyarrow's own casts do).
    """
    if not set(other.names) <= set(one.names):
        return None
    fields = []
    for field in one:
        if field.name not in other.names:
            fields.append(field)
            continue
        kind = _both(field, other.field(field.name))
        if kind is None:
            return None
        fields.append(kind)
    return pa.schema(fields)


def _both(one: pa.Field, other: pa.Field) -> pa.Field | None:
    if pa.types.is_null(one.type) or one.equals(other, check_metadata=True):
        return other
    if pa.types.is_null(other.type):
        return one
    pair = {_family(one.type), _family(other.type)}
    if (one.metadata or None) != (other.metadata or None):
        return None  # dates that are written in two ways
    if pair == {"int", "double"}:
        return one.with_type(pa.float64())
    return _stamped(one, other) if pair <= {"date", "timestamp"} else None


def _stamped(one: pa.Field, other: pa.Field) -> pa.Field | None:
    stamps = [each.type for each in (one, other) if pa.types.is_timestamp(each.type)]
    zones = {stamp.tz for stamp in stamps}
    units = {stamp.unit for stamp in stamps}
    return one.with_type(pa.timestamp("ns" if "ns" in units else "us", *zones)) if len(zones) == 1 else None


def _family(kind: pa.DataType) -> str:
    is_ = pa.types
    for name, test in (
        ("int", is_.is_integer),
        ("double", is_.is_floating),
        ("date", is_.is_date),
        ("timestamp", is_.is_timestamp),
    ):
        if test(kind):
            return name
    return str(kind)


def joined(one: pa.DataType | None, other: pa.DataType | None) -> pa.DataType | None:
    """Return the type that holds nested values of two; text where they differ too much."""
    if one is None or other is None or one == other:
        return other if one is None else one
    is_ = pa.types
    if is_.is_null(one) or is_.is_null(other):
        return other if is_.is_null(one) else one
    if is_.is_struct(one) and is_.is_struct(other):
        names = dict.fromkeys([*(field.name for field in one), *(field.name for field in other)])
        return pa.struct([(name, _member(one, other, name)) for name in names])
    if is_.is_list(one) and is_.is_list(other):
        return pa.list_(joined(one.value_type, other.value_type))
    if {one, other} == {pa.int64(), pa.float64()}:
        return pa.float64()
    return pa.string()


def _member(one: pa.DataType, other: pa.DataType, name: str) -> pa.DataType | None:
    types = [each.field(name).type for each in (one, other) if each.get_field_index(name) >= 0]
    return joined(types[0], types[-1])


def has_doubles(kind: pa.DataType) -> bool:
    """Whether a type is one of doubles, or lists or objects with some."""
    is_ = pa.types
    if is_.is_list(kind) or is_.is_large_list(kind):
        return has_doubles(kind.value_type)
    return any(has_doubles(each.type) for each in kind) if is_.is_struct(kind) else is_.is_floating(kind)
