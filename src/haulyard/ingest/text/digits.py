"""Numbers that have more digits than a double holds."""

from __future__ import annotations

from decimal import Context, Decimal, InvalidOperation
from typing import Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from haulyard.ingest.text.cutting import as_array
from haulyard.ingest.text.values import as_type

#: Digits that a decimal has at most.
MOST: Final = 38
#: Digits behind the point of numbers that no decimal holds: with an exponent, infinite.
_NO_DECIMAL: Final = MOST + 1
#: A double holds all numbers of so many digits.
_SAFE: Final = 15
#: More of them, with a point between, are so many characters in a row at least.
_RUN: Final = 17
_POINT: Final = pa.scalar(ord("."), pa.uint8())
#: The digits follow the point and the slash in ASCII.
_SPAN: Final = pa.scalar(ord("9") - ord("."), pa.uint8())
_PARTS: Final = r"\A[ \t]*[+-]?0*(?P<whole>[0-9]*)(?:\.(?P<fraction>[0-9]*))?[ \t]*\z"
_SAMPLE: Final = 100


class Digits(NamedTuple):
    """How many digits numbers have before and behind the point at most; more than `MOST` if no decimals."""

    whole: int = 0
    fraction: int = 0


NO_DIGITS: Final = Digits()


def has_long_numbers(data: bytes) -> bool:
    """Whether numbers with a point may have more digits than a double holds; never False where some do.

    It takes half of what `padded_fields` does.
    """
    count = len(data)
    if count < _RUN:
        return False
    run = pc.less_equal(pc.subtract(as_array(data), _POINT), _SPAN)
    # A run of two begins where one begins and another behind it, one of four where two of two do, and so on.
    for step in (1, 2, 4, 8, 1):
        count -= step
        run = pc.and_(run.slice(0, count), run.slice(step))
    return bool(run.true_count)


def loses_digits(numbers: pa.Array, texts: pa.Array) -> bool:
    """Whether a number written as one of ``texts`` is not what comes back of its double.

    All digits come back of what programs write of doubles, however many there are: 0.30000000000000004 is as
    good a double as any. They do not of 12345678901234567890.12.
    """
    is_long = pc.greater_equal(pc.binary_length(texts), _RUN)
    if not is_long.true_count:
        return False
    written = texts.filter(is_long)
    are_same = len(numbers) == len(texts)  # else rows were rejected
    doubles = numbers.filter(is_long) if are_same else as_type(written, pa.float64())[0]
    others = written.filter(pc.not_equal(doubles.cast(pa.string()), written))
    return any(map(_is_lost, others.to_pylist()))


def _is_lost(text: str) -> bool:
    try:
        double = float(text)
        if format(double, ".17g") == text:
            return False
        number = Decimal(text)
        if number == Decimal(repr(double)):
            # As programs write it: of two texts as near to it, that need not be the even one.
            return False
        count = len(number.as_tuple().digits)
        return count > _SAFE and Context(prec=count).create_decimal_from_float(double) != number
    except (ValueError, InvalidOperation):
        # What is no decimal number has no digits to lose.
        return False


def digits_written(texts: pa.Array) -> Digits:
    """Return how many digits numbers have as they are written."""
    parts = pc.extract_regex(texts, _PARTS)
    if parts.null_count > texts.null_count:
        return Digits(0, _NO_DECIMAL)
    return Digits(*(pc.max(pc.binary_length(part)).as_py() or 0 for part in parts.flatten()))


def digits_needed(numbers: pa.Array) -> Digits:
    """Return how many digits whole numbers have, or doubles that were written with few of them."""
    extremes = pc.min_max(numbers)
    least, most = extremes["min"].as_py(), extremes["max"].as_py()
    if least is None:
        return NO_DIGITS
    if pa.types.is_integer(numbers.type):
        return Digits(len(str(max(-least, most))))
    left = numbers.drop_null()
    if not pc.all(pc.is_finite(left)).as_py():
        return Digits(0, _NO_DECIMAL)
    fraction = _fraction(left.slice(0, _SAMPLE))
    if fraction <= _SAFE:
        left = left.filter(pc.not_equal(pc.round(left, fraction), left))
        fraction = max(fraction, _fraction(left))
    return Digits(0 if fraction > _SAFE else len(str(int(max(-least, most)))), fraction)


def _fraction(left: pa.Array) -> int:
    """Return how many digits all of some doubles have behind the point."""
    for digits in range(_SAFE + 1):
        left = left.filter(pc.not_equal(pc.round(left, digits), left))
        if not len(left):
            return digits
    return _NO_DECIMAL
