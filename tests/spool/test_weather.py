"""Which errors are a file's own, and how long all wait for the others."""

from __future__ import annotations

import pytest

from haulyard.errors import (
    AccessDenied,
    ConfigError,
    HaulError,
    IntegrityError,
    PreconditionFailed,
    S3ClockError,
    S3CredentialsError,
    S3GenericError,
    S3NetworkError,
    S3NotFound,
    S3PermissionError,
    S3RateLimit,
    S3ServerError,
    SpoolError,
    StoreError,
    UnsafeName,
)
from haulyard.spool.weather import Weather, is_denied, is_final, is_own, pause_after


@pytest.mark.parametrize(
    ("error", "own", "own_while_others_pass"),
    [
        (UnsafeName("x"), True, True),
        (PreconditionFailed("x"), True, True),
        (IntegrityError("x"), True, True),
        (S3GenericError("EntityTooLarge"), True, True),
        (AccessDenied("x", store="local"), True, True),
        (StoreError("x", store="local"), True, True),
        (S3ServerError("x"), False, True),
        (S3NetworkError("x"), False, False),
        (S3RateLimit("x"), False, False),
        (S3PermissionError("x"), False, False),
        (S3NotFound("x", code="NoSuchBucket"), False, False),
        (StoreError("the record cannot be written"), False, False),
        (SpoolError("the state cannot be written"), False, False),
        (ConfigError("x"), False, False),
    ],
)
def test_whose_fault_it_is(error: HaulError, own: bool, own_while_others_pass: bool) -> None:
    assert is_own(error, others_pass=False) == own
    assert is_own(error, others_pass=True) == own_while_others_pass


def test_a_name_or_a_key_that_is_taken_does_not_get_better() -> None:
    assert is_final(UnsafeName("x"))
    assert is_final(PreconditionFailed("x"))
    assert not is_final(IntegrityError("x"))


@pytest.mark.parametrize("error", [S3CredentialsError("x"), S3ClockError("x"), S3PermissionError("x")])
def test_who_is_not_let_in_is_denied(error: HaulError) -> None:
    assert is_denied(error)


def test_pauses_double_up_to_a_minute_and_one_counts_for_all_that_fail_at_a_time() -> None:
    weather = Weather(1.0, chance=lambda: 1.0)
    now, pauses = 0.0, []
    for _ in range(8):
        pause = weather.worsen(now)
        assert pause is not None
        assert weather.worsen(now + pause / 2) is None
        assert weather.is_pausing(now + pause / 2)
        now += pause
        pauses.append(pause)
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]
    assert weather.is_bad
    assert not weather.is_pausing(now)
    weather.clear()
    assert not weather.is_bad


def test_chance_takes_at_most_half_of_a_pause() -> None:
    assert pause_after(1, 1.0, chance=lambda: 0.0) == 0.5
    assert pause_after(10_000, 1.0, chance=lambda: 1.0) == 60.0
