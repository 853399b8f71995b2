"""Numbers of JSON as they are written: orjson makes doubles of what has more digits than 64 bits hold."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Final, Self

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from haulyard.ingest.literals import as_array, byte, integer

#: Numbers that a double may not hold have so many digits and points in a row.
_LONG: Final = re.compile(rb"[0-9][0-9.]{15,}")
#: What follows the first digit of a whole number.
_WHOLE: Final = re.compile(rb"[0-9]+(?![0-9.eE])")
_ZERO: Final = byte("0")
_NINE: Final = integer(9, pa.uint8())
#: orjson reads values in values to a depth of 1,024, and writes them to 254.
_DEPTH: Final = 250


class Written(float):
    """A double that has lost digits of what ``text`` is."""

    text: str

    def __new__(cls, text: str) -> Self:
        """Return the double nearest to a number."""
        found = super().__new__(cls, text)
        found.text = text
        return found


def value_of(text: bytes) -> object:
    """Return a value of JSON; a number that a double holds only roughly is `Written`, or an int of any size.

    Raises:
        ValueError: It is no JSON, or goes too deep.
    """
    value: object = orjson.loads(text)
    if text.count(b"[") + text.count(b"{") > _DEPTH and _depth(value) > _DEPTH:
        raise ValueError(f"values in values, more than {_DEPTH} deep")
    if not _LONG.search(text):
        return value
    whole: object = json.loads(text, parse_float=_number)
    return whole


def text_of(value: object) -> str:
    """Return a value as text: a string is itself, anything else JSON."""
    if isinstance(value, str):
        return value
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        # A number of more than 64 bits.
        return _json_of(value)


def is_rough(value: object) -> bool:
    """Whether a value is a whole number that a double holds only roughly, or has one in it."""
    if isinstance(value, int):
        return value != _rounded(value)
    if isinstance(value, dict):
        return any(map(is_rough, value.values()))
    return isinstance(value, list) and any(map(is_rough, value))


def has_long_whole_numbers(data: bytes) -> bool:
    """Whether lines may have whole numbers that a double holds only roughly; never False where they have.

    Those have 16 digits. A regular expression alone takes several times as long.
    """
    is_digit = pc.less_equal(pc.subtract(as_array(data), _ZERO), _NINE)
    run = is_digit
    # A run of two begins where one begins and another behind it, one of four where two of two do, and so on.
    for step in (1, 2, 4, 8):
        count = max(len(run) - step, 0)
        run = pc.and_(run.slice(0, count), run.slice(step))
    if not run.true_count:
        return False
    before = pc.indices_nonzero(pc.and_not(run.slice(1), is_digit.slice(0, len(run) - 1))).to_pylist()
    return any(data[at : at + 1] != b"." and _WHOLE.match(data, at + 1) for at in before)


def _rounded(value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf")


def _number(text: str) -> float:
    double = float(text)
    return double if Decimal(repr(double)) == Decimal(text) else Written(text)


def _depth(value: object) -> int:
    depth, level = 0, [value]
    while level := [each for each in level if isinstance(each, dict | list)]:
        depth += 1
        level = [one for each in level for one in (each.values() if isinstance(each, dict) else each)]
    return depth


def _json_of(value: object) -> str:
    if isinstance(value, dict):
        return f"{{{','.join(f'{_json_of(key)}:{_json_of(each)}' for key, each in value.items())}}}"
    if isinstance(value, list):
        return f"[{','.join(map(_json_of, value))}]"
    if isinstance(value, Written):
        return value.text
    return str(value) if type(value) is int else orjson.dumps(value).decode()
