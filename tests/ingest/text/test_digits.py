from __future__ import annotations

import math
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from haulyard.ingest.text.digits import (
    MOST,
    Digits,
    digits_needed,
    digits_written,
    has_long_numbers,
    loses_digits,
)


def is_lossy(text: str) -> bool:
    return loses_digits(pa.array([float(text)]), pa.array([text]))


@pytest.mark.parametrize(
    "text",
    [
        "12345678901234567890.12",
        "-12345678901234567890.12",
        " 1234567890123456.78 ",
        "0.1234567890123456789",
        "9007199254740993.0",
        "123456789.123456789123456789e3",
    ],
)
def test_digits_that_do_not_come_back_are_told(text: str) -> None:
    assert is_lossy(text)
    assert loses_digits(pa.array([1.5, float(text), None]), pa.array(["1.5", text, None]))
    assert loses_digits(pa.array([1.5]), pa.array(["1.5", text, None]))


@given(st.floats(allow_nan=False, allow_infinity=False))
@example(2.0**-24)
def test_nothing_is_lost_of_what_programs_write_of_doubles(number: float) -> None:
    texts = [repr(number), f"{number:.17g}", f"{number:.18e}", f"{number:.25g}"]
    assert not any(map(is_lossy, texts))


@given(st.decimals(allow_nan=False, allow_infinity=False, places=12, min_value=-999, max_value=999))
def test_nothing_is_lost_of_fifteen_digits(number: Decimal) -> None:
    assert not is_lossy(str(number))


@pytest.mark.parametrize("text", ["inf", "1e400", "nan", "nan(12345678901234567.8)"])
def test_what_is_no_decimal_has_no_digits_to_lose(text: str) -> None:
    assert not loses_digits(pa.array([math.inf]), pa.array([text]))


@pytest.mark.parametrize("before", ["", "x,", "\n" * 17])
@pytest.mark.parametrize("behind", ["", "\n", ",x" * 9])
@pytest.mark.parametrize(
    ("text", "is_long"),
    [
        ("1234567890123456.7", True),
        ("1234567890.123456", True),
        (".1234567890123456", True),
        ("123456789012.123", False),
        ("2013-01-01 05:00:00.123456", False),
        ("1,2,3,4,5,6,7,8,9,0,1,2,3,4,5", False),
    ],
)
def test_long_numbers_are_seen_wherever_they_stand(
    before: str, text: str, behind: str, is_long: bool
) -> None:
    assert has_long_numbers(f"{before}{text}{behind}".encode()) == is_long


@pytest.mark.parametrize(
    ("texts", "digits"),
    [
        (["1.50", None, "-00123", " .125 "], Digits(3, 3)),
        (["0.001"], Digits(0, 3)),
        ([None], Digits(0, 0)),
    ],
)
def test_digits_are_counted_as_they_are_written(texts: list[str | None], digits: Digits) -> None:
    assert digits_written(pa.array(texts, pa.string())) == digits


@pytest.mark.parametrize("text", ["1e5", "inf", "0x1F"])
def test_what_no_decimal_is_written_like_has_too_many_digits(text: str) -> None:
    assert sum(digits_written(pa.array(["1.5", text]))) > MOST


@given(st.lists(st.decimals(allow_nan=False, min_value=-999_999, max_value=999_999, places=9), min_size=1))
def test_digits_of_doubles_are_those_that_were_written(numbers: list[Decimal]) -> None:
    found = digits_needed(pa.array([float(number) for number in numbers]))
    assert found.fraction == max(-number.normalize().as_tuple().exponent for number in [*numbers, Decimal(0)])  # type: ignore[operator]
    assert 10**found.whole > max(abs(number) for number in numbers) - 1


def test_digits_of_whole_numbers_and_of_none() -> None:
    assert digits_needed(pa.array([-1234, 5])) == Digits(4, 0)
    assert digits_needed(pa.array([], pa.float64())) == Digits(0, 0)
    assert sum(digits_needed(pa.array([1.5, math.inf]))) > MOST
    assert sum(digits_needed(pa.array([1e-20]))) > MOST
