"""Types that hold what narrower ones did, without loss."""

from __future__ import annotations

import pyarrow as pa


def widened(one: pa.Schema, other: pa.Schema) -> pa.Schema | None:
    """Return the types that hold the values of both; None where there are none, or something would be lost.

    The columns are those of ``one``. Whole numbers become doubles: whoever casts them sees to it that none is
    too large for that (pyarrow's own casts do).
    """
    fields = []
    for field in one:
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
