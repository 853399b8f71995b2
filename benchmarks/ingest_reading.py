"""Tables read from the embedded store, warm and as whole processes, and a local file for comparison."""

from __future__ import annotations

import json
import subprocess
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Final

from benchmarks import records, stored, tools
from benchmarks.comparison import Bar, Comparison, Contest, Contestant, WorkNotDoneError
from benchmarks.servers import seaweedfs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from benchmarks.comparison import Bench, Usage

#: Readings of one trial, besides that which warms up.
RUNS: Final = 5
#: How many times as long as flights.csv the long file is.
LONGER: Final = 20
#: Small Parquet files, and rows in each.
SMALL: Final = 2_000
_ROWS: Final = 50
LOCAL: Final = "pyarrow, local file"
_SCRIPT: Final = str(tools.PEERS / "read_table.py")
_MAKE: Final = str(tools.PEERS / "make_tables.py")
_PEERS: Final = {
    "s3fs + pandas": "pandas",
    "pyarrow": "pyarrow",
    "polars": "polars",
    "awswrangler": "awswrangler",
}


def _contestant(name: str, command: list[str]) -> Contestant:
    return Contestant(name, lambda _trial: command)


def _peers(case: str, uri: str, runs: int) -> list[Contestant]:
    contestants = []
    for name, library in _PEERS.items():
        python = tools.WRANGLER if library == "awswrangler" else tools.PYTHON
        if python is not None:
            contestants.append(_contestant(name, [python, _SCRIPT, library, case, uri, str(runs)]))
    return contestants


@contextmanager
def _open(case: str, key: str, runs: int, bench: Bench) -> Iterator[Contest]:
    made = bench.scratch / "made"
    made.mkdir()
    records.write_flights(bench.scratch / "flights.csv", records.FLIGHTS)
    options = [str(LONGER), str(SMALL), str(_ROWS)]
    environ = tools.environment(None, bench.scratch)
    command = [tools.PYTHON, _MAKE, key, str(bench.scratch / "flights.csv"), str(made), *options]
    told = json.loads(subprocess.run(command, env=environ, check=True, capture_output=True).stdout)
    with seaweedfs(bench.scratch) as endpoint:
        environ = tools.environment(endpoint, bench.scratch)
        tools.prepare(tools.haul("mb", f"s3://{stored.BUCKET}"), environ)
        tools.prepare(tools.haul("cp", "-r", f"{made}/", stored.url("tables")), environ)
        uri = stored.url("tables") + key
        haul = [tools.PYTHON, _SCRIPT, "haul", case, uri, str(runs), str(told["wanted"])]
        pandas = [tools.PYTHON, _SCRIPT, "haul-pandas", case, uri, str(runs)]
        contestants = [
            _contestant("haul", haul),
            _contestant("haul, as pandas", pandas),
            *_peers(case, uri, runs),
        ]
        if case == "csv" and runs:
            local = [tools.PYTHON, _SCRIPT, "pyarrow", case, str(made / key), str(runs)]
            contestants.append(_contestant(LOCAL, local))
        yield Contest(contestants, environ, partial(_verify, told), told=_warm)


def _verify(expected: Mapping[str, int], _trial: str, output: Path, _first: bool) -> None:  # noqa: FBT001 -- the shape of Contest.verify
    found = json.loads(output.read_text())
    if (found["rows"], found["check"]) != (expected["rows"], expected["check"]):
        raise WorkNotDoneError(f"expected {expected}, found {found}")


def _warm(usage: Usage, output: Path) -> Usage:
    found = json.loads(output.read_text())
    return usage._replace(warm=found["warm"], fetched=found.get("fetched"))


def _warm_bars(limit: float, *names: str) -> tuple[Bar, ...]:
    return tuple(Bar("warm", limit, name) for name in names)


def _opener(case: str, key: str, runs: int = RUNS) -> Callable[[Bench], AbstractContextManager[Contest]]:
    return partial(_open, case, key, runs)


ROWS = (
    Comparison(
        name="ingest_csv",
        title="flights.csv (31 MB) as a table",
        bars=(*_warm_bars(0.65, *_PEERS), Bar("warm", 2.2, LOCAL)),
        open=_opener("csv", "flights.csv"),
    ),
    Comparison(
        name="ingest_csv_20",
        title=f"flights.csv, {LONGER} times as long, as a table",
        bars=(*_warm_bars(0.65, *_PEERS), Bar("warm", 2.2, LOCAL)),
        open=_opener("csv", "long.csv", 2),
        most_rounds=3,
    ),
    Comparison(
        name="ingest_process",
        title="flights.csv as a table, the whole process",
        bars=(Bar("wall", 0.5, "s3fs + pandas"),),
        open=_opener("csv", "flights.csv", 0),
    ),
    Comparison(
        name="ingest_parquet",
        title="2 of 19 columns of flights.parquet, with a filter",
        bars=(*_warm_bars(0.8, *_PEERS), Bar("fetched", 1.15)),
        open=_opener("filter", "flights.parquet"),
    ),
    Comparison(
        name="ingest_small",
        title=f"{SMALL:,} small Parquet files as a table",
        bars=_warm_bars(0.5, *_PEERS),
        open=_opener("many", "small/", 2),
        most_rounds=3,
    ),
)
