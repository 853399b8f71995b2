"""When the chapter on tables is left out; that it is played is seen in tests/e2e/test_demo.py."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from haulyard.cli import demo_tables
from haulyard.cli.demo_tables import Tables

if TYPE_CHECKING:
    from haulyard.cli.demo_telling import Telling

pytestmark = pytest.mark.anyio


class Said(list[str]):
    """Keeps what is said; nothing is run."""

    def say(self, line: str) -> None:
        self.append(line)


async def _played(large: str) -> tuple[str, list[str]]:
    said = Said()
    return await Tables(cast("Telling", said), "s3://b/").perform(large), said


async def test_without_the_extra_it_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_tables, "find_spec", lambda name: None if name == "duckdb" else name)
    assert await _played("flights.csv") == (
        "",
        ["tables       left out: they need duckdb: pip install 'haulyard[data]'"],
    )


async def test_without_the_weather_it_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_tables, "weather_file", lambda *_: "")
    verdict, (line,) = await _played("flights.csv")
    assert (verdict, line[:22]) == ("", "tables       left out:")


async def test_without_the_flights_it_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_tables, "weather_file", lambda *_: "weather.csv")
    verdict, (line,) = await _played("sources.txt")
    assert (verdict, line[:22]) == ("", "tables       left out:")
