from __future__ import annotations

from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haulyard.pacing.backoff import (
    MAX_DELAY,
    MAX_RETRY_AFTER,
    THROTTLING_BASE,
    TRANSIENT_BASE,
    full_jitter,
    parse_http_date,
    parse_retry_after,
)

NOW = 784111777.0  # Sun, 06 Nov 1994 08:49:37 GMT, the date that RFC 9110 uses


@pytest.mark.parametrize(
    ("attempt", "bound"), [(1, 1.0), (2, 2.0), (3, 4.0), (5, 16.0), (6, 20.0), (7, 20.0), (100_000, 20.0)]
)
def test_bound_doubles_with_each_attempt_up_to_the_cap(attempt: int, bound: float) -> None:
    assert full_jitter(attempt, THROTTLING_BASE, random=lambda: 1.0) == bound
    assert full_jitter(attempt, THROTTLING_BASE, random=lambda: 0.25) == bound / 4


@given(
    attempt=st.integers(1, 10_000),
    base=st.floats(0.001, 60),
    cap=st.floats(0.001, 600),
    draw=st.floats(0, 1, exclude_max=True),
)
def test_delay_is_never_negative_and_never_above_the_cap(
    attempt: int, base: float, cap: float, draw: float
) -> None:
    assert 0.0 <= full_jitter(attempt, base, cap, random=lambda: draw) <= cap


def test_a_transient_error_is_first_tried_again_within_a_tenth_of_a_second() -> None:
    assert full_jitter(1, TRANSIENT_BASE, MAX_DELAY, random=lambda: 0.999) < 0.1


def test_attempts_are_counted_from_one() -> None:
    with pytest.raises(ValueError, match="counted from 1"):
        full_jitter(0, 1.0, random=lambda: 0.5)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("7", 7.0),
        (" 7 ", 7.0),
        ("1.5", 1.5),
        ("86400", MAX_RETRY_AFTER),
        ("9" * 400, MAX_RETRY_AFTER),
        ("Sun, 06 Nov 1994 08:49:47 GMT", 10.0),
        ("Sunday, 06-Nov-94 08:49:47 GMT", 10.0),
        ("Sun Nov  6 08:49:47 1994", 10.0),
        ("Sun, 06 Nov 1994 09:49:47 +0100", 10.0),
        ("Sun, 06 Nov 1994 08:49:27 GMT", 0.0),
        ("Mon, 07 Nov 1994 08:49:37 GMT", MAX_RETRY_AFTER),
    ],
)
def test_retry_after_is_read_as_seconds_or_date_and_bounded(value: str, seconds: float) -> None:
    assert parse_retry_after(value, now=NOW) == seconds


def test_the_bound_of_retry_after_can_be_chosen() -> None:
    assert parse_retry_after("90", now=NOW, limit=30.0) == 30.0


@pytest.mark.parametrize(
    "value",
    [
        *("", " ", ",", "-1", "soon", "nan", "inf", "1e9", "1_000", "\u0661", ".", "1.2.3"),
        "Sun, 99 Foo 1994 08:49:37 GMT",
        "Sun, 06 Nov 99999 08:49:37 GMT",
        f"Sun, 06 Nov 1994 {'9' * 400}:49:37 GMT",
    ],
)
def test_rubbish_in_retry_after_is_no_answer(value: str) -> None:
    assert parse_retry_after(value, now=NOW) is None


@given(st.text(max_size=60))
def test_any_retry_after_is_within_bounds_or_no_answer(value: str) -> None:
    seconds = parse_retry_after(value, now=NOW)
    assert seconds is None or 0.0 <= seconds <= MAX_RETRY_AFTER


@given(
    st.lists(st.sampled_from(["Sun", ",", "06", "Nov", "13", "1994", "99999", "08:49:37", "::", "GMT", "+x"]))
)
def test_almost_dates_never_raise(words: list[str]) -> None:
    assert isinstance(parse_http_date(" ".join(words)), float | None)


@given(st.integers(0, 4_102_444_800))
def test_http_dates_are_read_back(seconds: int) -> None:
    assert parse_http_date(formatdate(seconds, usegmt=True)) == seconds
