"""Batches of Parquet made of the types of a table; the rows that do not fit are told, and left out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from haulyard.ingest.model import KEPT_ROW, Reject

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from haulyard.ingest.model import SourceFile

#: Of a value that does not fit, so many characters are told.
_TOLD: Final = 200
#: Parts of it that a double may differ from its decimal: what computing with doubles adds to 0.3.
_ROUNDED: Final = 2.0**-50


def cast(
    batch: pa.RecordBatch, schema: pa.Schema, source: SourceFile, first: int, rejects: list[Reject]
) -> pa.RecordBatch:
    """Return a batch of ``schema``, without the rows that do not fit, which are told in ``rejects``."""
    import pyarrow as pa
    import pyarrow.compute as pc

    refused: dict[int, Reject] = {}
    arrays = []
    for field in schema:
        at = batch.schema.get_field_index(field.name)
        column = pa.nulls(batch.num_rows, field.type) if at < 0 else batch.column(at)
        if column.type != field.type:
            bad = list(_misfits(column, field.type, 0))
            for row in bad:
                refused.setdefault(row, _reject(source, batch, first, row, field))
            if bad:
                fits = pc.invert(pc.is_in(pa.array(range(len(column))), pa.array(bad)))
                column = pc.if_else(fits, column, pa.scalar(None, column.type))
            column = column.cast(field.type)
        if not field.nullable and column.null_count:
            for row in pc.indices_nonzero(column.is_null()).to_pylist():
                refused.setdefault(row, _reject(source, batch, first, row, field))
        arrays.append(column)
    found = pa.RecordBatch.from_arrays(arrays, schema=schema)
    if not refused:
        return found
    rejects += [refused[row] for row in sorted(refused)]
    return found.filter(pc.invert(pc.is_in(pa.array(range(batch.num_rows)), pa.array(list(refused)))))


def _misfits(column: pa.Array, kind: pa.DataType, start: int) -> Iterator[int]:
    """Yield the rows whose value is none of ``kind``, found by halving."""
    import pyarrow as pa

    try:
        is_kept = _is_kept(column, column.cast(kind))
    except (pa.ArrowException, ValueError):
        is_kept = False
    if not is_kept:
        if len(column) == 1:
            yield start
            return
        half = len(column) // 2
        yield from _misfits(column[:half], kind, start)
        yield from _misfits(column[half:], kind, start + half)


def _is_kept(column: pa.Array, made: pa.Array) -> bool:
    """Whether values are still what they were, after a cast that pyarrow makes without a word.

    Its casts refuse most of what would lose something, but not the hours of a day, digits of a decimal,
    truths of other numbers, and numbers beyond a float. Rounding to the digits of a float is no loss.
    """
    from pyarrow import types

    old, new = column.type, made.type
    if types.is_list(old) and types.is_list(new):
        return _is_kept(column.flatten(), made.flatten())
    if types.is_struct(old) and types.is_struct(new):
        return _are_members_kept(column, made)
    if types.is_timestamp(old):
        return _is_time_kept(column, made)
    if types.is_boolean(new) and (types.is_integer(old) or types.is_floating(old)):
        return _is_same(made.cast(old), column)
    return not types.is_floating(old) or _is_double_kept(column, made)


def _are_members_kept(column: pa.Array, made: pa.Array) -> bool:
    import pyarrow.compute as pc

    known = {field.name for field in made.type}
    for field in column.type:
        values = pc.struct_field(column, field.name)
        # What the other type has no member for would be gone.
        if field.name not in known and values.null_count < len(values):
            return False
        if field.name in known and not _is_kept(values, pc.struct_field(made, field.name)):
            return False
    return True


def _is_time_kept(column: pa.Array, made: pa.Array) -> bool:
    from pyarrow import types

    if types.is_time(made.type):
        return not len(column.drop_null())  # the day would be gone
    if types.is_date(made.type):
        return _is_same(made.cast(column.type), column)
    return True


def _is_double_kept(column: pa.Array, made: pa.Array) -> bool:
    import pyarrow.compute as pc
    from pyarrow import types

    if types.is_decimal(made.type):
        from haulyard.ingest.literals import double  # which imports pyarrow

        difference = pc.abs(pc.subtract(made.cast(column.type), column))
        most = pc.multiply(pc.abs(column), double(_ROUNDED).cast(column.type))
        return bool(pc.less_equal(difference, most).false_count == 0)
    if types.is_floating(made.type):
        return _is_same(pc.is_inf(made), pc.is_inf(column))
    return True


def _is_same(one: pa.Array, other: pa.Array) -> bool:
    """Whether no value differs; null is not compared."""
    import pyarrow.compute as pc

    return bool(pc.equal(one, other).false_count == 0)


def _reject(source: SourceFile, batch: pa.RecordBatch, first: int, row: int, field: pa.Field) -> Reject:
    at = batch.schema.get_field_index(field.name)
    value = None if at < 0 else batch.column(at)[row].as_py()
    reason = f"no {field.type}" if value is not None else "null, where none may be"
    raw = str(batch.slice(row, 1).to_pylist()[0]).encode()[:KEPT_ROW]
    return Reject(
        source.uri, first + row, reason, field.name, "" if value is None else str(value)[:_TOLD], raw
    )
