"""The two ways in which S3 writes a time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime, parsedate_to_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haulyard.errors import ConfigError
from haulyard.s3.dates import http_date, parse_http_date, parse_iso_date

times = st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1)).map(lambda time: time.replace(tzinfo=UTC))  # noqa: DTZ001


@given(times)
def test_http_dates_are_those_of_the_standard_library(time: datetime) -> None:
    text = http_date(time)
    assert text == format_datetime(time, usegmt=True)
    assert parse_http_date(text) == time.replace(microsecond=0) == parsedate_to_datetime(text)


def test_another_zone_is_converted() -> None:
    assert (
        http_date(datetime(2024, 5, 1, 2, tzinfo=timezone(timedelta(hours=2))))
        == "Wed, 01 May 2024 00:00:00 GMT"
    )


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ConfigError):
        http_date(datetime(2024, 5, 1))  # noqa: DTZ001


@pytest.mark.parametrize(
    "text", ["Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994", "Sun, 06 Nov 1994 09:49:37 +0100"]
)
def test_obsolete_forms_are_read(text: str) -> None:
    assert parse_http_date(text) == datetime(1994, 11, 6, 8, 49, 37, tzinfo=UTC)


@pytest.mark.parametrize(
    "text", ["", "never", "Sun, 06 Foo 1994 08:49:37 GMT", "Sun, 46 Nov 1994 08:49:37 GMT"]
)
def test_what_is_no_date_is_none(text: str) -> None:
    assert parse_http_date(text) is None


def test_iso_dates_are_in_utc() -> None:
    expected = datetime(2024, 5, 1, 12, tzinfo=UTC)
    for text in ("2024-05-01T12:00:00.000Z", "2024-05-01T12:00:00", "2024-05-01T14:00:00+02:00"):
        assert parse_iso_date(text) == expected
        assert parse_iso_date(text).tzinfo is UTC
    with pytest.raises(ValueError, match="nonsense"):
        parse_iso_date("nonsense")
