"""A CSV file of 2 GB out of the embedded store into DuckDB, beside DuckDB's own reader over s3fs."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from benchmarks import records, stored, tools
from benchmarks.comparison import MIB, Bar, Comparison, Contest, Contestant, WorkNotDoneError
from benchmarks.servers import seaweedfs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.comparison import Bench

#: How many times as long as flights.csv (31 MB) the file is, and with --quick.
_TIMES: Final = 65
_QUICK_TIMES: Final = 3
_FULL: Final = 100_000
_PEER: Final = "DuckDB + s3fs"


@contextmanager
def _open(bench: Bench) -> Iterator[Contest]:
    times = _TIMES if bench.scale.records > _FULL else _QUICK_TIMES
    flights, made = bench.scratch / "flights.csv", bench.scratch / "long.csv"
    records.write_flights(flights, records.FLIGHTS)
    header, rows = flights.read_bytes().split(b"\n", 1)
    with made.open("wb") as file:
        file.write(header + b"\n")
        for _ in range(times):
            file.write(rows)
    with seaweedfs(bench.scratch) as endpoint:
        environ = tools.environment(endpoint, bench.scratch)
        tools.prepare(tools.haul("mb", f"s3://{stored.BUCKET}"), environ)
        uri = f"{stored.url('long')}long.csv"
        tools.prepare(tools.haul("cp", str(made), uri), environ)
        made.unlink()

        def database(trial: str) -> Path:
            return bench.scratch / f"{trial}.duckdb"

        def ingest(trial: str) -> list[str]:
            return tools.haul("ingest", uri, "--table", "t", "--db", str(database(trial)), "--json")

        def peer(trial: str) -> list[str]:
            return [tools.PYTHON, str(tools.PEERS / "load_duckdb.py"), uri, str(database(trial))]

        def verify(_trial: str, output: Path, _first: bool) -> None:  # noqa: FBT001 -- the shape of Contest.verify
            found = json.loads(output.read_text())["rows_loaded"]
            if found != times * records.FLIGHTS:
                raise WorkNotDoneError(f"expected {times * records.FLIGHTS:,} rows, found {found:,}")

        def clear(trial: str) -> None:
            database(trial).unlink(missing_ok=True)

        yield Contest(
            [Contestant("haul", ingest, warmed=False), Contestant(_PEER, peer, warmed=False)],
            environ,
            verify,
            clear=clear,
        )


ROW = Comparison(
    name="ingest_duckdb_2gb",
    title="flights.csv, 65 times as long (2 GB), into a table of DuckDB",
    bars=(Bar("rss", 600 * MIB), Bar("wall", 0.65, _PEER)),
    open=_open,
    most_rounds=2,
)
