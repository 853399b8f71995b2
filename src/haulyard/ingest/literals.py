"""Values of Python as values of Arrow, by their bytes.

`pyarrow.array` and `pyarrow.scalar` import pandas, where it is installed, to see whether they were given
something of it: 0.16 to 0.46 s, of a whole process that reads a file of 31 MB in half a second.
"""

from __future__ import annotations

from array import array
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Sequence


#: Of numbers of 64 bits.
_LIMIT: Final = 2**63


def as_array(data: bytes) -> pa.UInt8Array:
    """Return bytes as an Arrow array of uint8, without a copy."""
    return pa.Array.from_buffers(pa.uint8(), len(data), [None, pa.py_buffer(data)])


def byte(character: str) -> pa.UInt8Scalar:
    """Return a character of ASCII as uint8."""
    return as_array(character.encode("ascii"))[0]


def integers(values: Sequence[int], kind: pa.DataType) -> pa.Array:
    """Return numbers of 64 bits, none of them null, as a type of numbers that holds them."""
    found = pa.Array.from_buffers(pa.int64(), len(values), [None, pa.py_buffer(array("q", values))])
    return found if kind == pa.int64() else found.cast(kind)


def integer(value: int, kind: pa.DataType) -> pa.Scalar:
    """Return a number of 64 bits."""
    return integers((value,), kind)[0]


def double(value: float) -> pa.DoubleScalar:
    """Return a double."""
    return pa.Array.from_buffers(pa.float64(), 1, [None, pa.py_buffer(array("d", (value,)))])[0]


def strings(values: Sequence[str]) -> pa.StringArray:
    """Return texts, none of them null."""
    encoded = [value.encode() for value in values]
    ends = array("i", accumulate(map(len, encoded), initial=0))
    buffers = [None, pa.py_buffer(ends), pa.py_buffer(b"".join(encoded))]
    return pa.Array.from_buffers(pa.string(), len(encoded), buffers)


def truth(value: bool) -> pa.BooleanScalar:  # noqa: FBT001 -- it is the value
    """Return true or false."""
    return pa.Array.from_buffers(pa.bool_(), 1, [None, pa.py_buffer(bytes([value]))])[0]


def null(kind: pa.DataType) -> pa.Scalar:
    """Return the null of a type."""
    return pa.nulls(1, kind)[0]


def scalar(value: Any, kind: pa.DataType) -> pa.Scalar:  # noqa: ANN401 -- of many types
    """Return a value as a type; only those that are no number, text or truth take `pyarrow.scalar`.

    Raises:
        pa.ArrowException: The type does not hold it.
        OverflowError: As that, of a whole number beyond all types.
    """
    if isinstance(value, bool) and pa.types.is_boolean(kind):
        return truth(value)
    if isinstance(value, int) and pa.types.is_integer(kind) and -_LIMIT <= value < _LIMIT:
        return integer(value, kind)
    if isinstance(value, float) and pa.types.is_float64(kind):
        return double(value)
    if isinstance(value, str) and (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        return strings((value,)).cast(kind)[0]
    return pa.scalar(value, kind)


def empty_table(schema: pa.Schema) -> pa.Table:
    """Return a table without any row."""
    return pa.Table.from_batches([], schema)
