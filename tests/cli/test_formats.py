"""Sizes and times as people read them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from haulyard.cli import formats
from haulyard.cli.formats import human_size, local_time


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (7680, "7.5 KiB"),
        (1024**2 - 1, "1.0 MiB"),
        (5 * 1024**4, "5.0 TiB"),
        (2 * 1024**7, "2048.0 EiB"),
    ],
)
def test_sizes(size: int, text: str) -> None:
    assert human_size(size) == text


def test_times_are_local_and_to_the_second(monkeypatch: pytest.MonkeyPatch) -> None:
    moment = datetime(2024, 5, 6, 7, 8, 9, 123456, tzinfo=UTC)
    assert local_time(None) == " " * 19
    for is_utc in (True, False):
        monkeypatch.setattr(formats, "_LOCAL_IS_UTC", is_utc)
        expected = moment if is_utc else moment.astimezone()
        assert local_time(moment) == expected.strftime("%Y-%m-%d %H:%M:%S")
