"""Runs commands through the driver, kills them at numbered points, and reads what they passed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from haulyard.jobs.model import Operation
from haulyard.journal.folder import JobFolder
from haulyard.journal.shard import Shard

if TYPE_CHECKING:
    from collections.abc import Mapping

DRIVER = Path(__file__).with_name("driver.py")
NO_POINT = "none:0:before"
#: Methods of requests that change something.
WRITES = frozenset({"PUT", "POST", "DELETE"})


class Point(NamedTuple):
    """One that was passed: its kind, its number among those, in which process, and what it was."""

    kind: str
    number: int
    pid: int
    what: str

    @classmethod
    def read(cls, line: str) -> Self:
        kind, number, pid, what = line.rstrip("\n").split(" ", 3)
        return cls(kind, int(number), int(pid), what)


@dataclass(frozen=True)
class Done:
    """How a command ended, what it said, and which points it passed."""

    code: int
    out: str
    err: str
    points: tuple[Point, ...]

    @property
    def was_killed(self) -> bool:
        return self.code == -signal.SIGKILL

    @property
    def requests(self) -> list[str]:
        return [point.what for point in self.points if point.kind == "request"]

    @property
    def writes(self) -> list[str]:
        """The requests that would change something."""
        return [what for what in self.requests if what.split()[0] in WRITES]


class Driver:
    """The process that forks for each command; used as a context manager."""

    def __enter__(self) -> Self:
        # Measuring the coverage here takes longer than the commands, and what is killed tells none.
        environ = {name: value for name, value in os.environ.items() if not name.startswith(("COV", "HAUL_"))}
        self._process = subprocess.Popen(
            [sys.executable, str(DRIVER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environ,
        )
        return self

    def __exit__(self, *exc: object) -> None:
        self._process.communicate()

    def ask(self, order: dict[str, Any]) -> int:
        """Give an order and return the answer: a process id, or an exit code."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


@dataclass
class Running:
    """A command that was started."""

    driver: Driver
    pid: int
    place: Path

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    def points(self) -> tuple[Point, ...]:
        """Return what it has passed so far."""
        trace = self.place / "trace"
        return tuple(map(Point.read, trace.read_text().splitlines())) if trace.exists() else ()

    def end(self) -> Done:
        """Wait for its end."""
        code = self.driver.ask({"wait": self.pid})
        out, err = ((self.place / name).read_text() for name in ("out", "err"))
        return Done(code, out, err, self.points())


@dataclass
class Haul:
    """The program in a directory and an environment of its own, with one job, ``j``."""

    driver: Driver
    cwd: Path
    environ: dict[str, str]
    smaller: Mapping[str, int] = field(default_factory=dict)
    """See `driver.make_smaller`."""
    _count: int = 0

    def start(
        self, *words: str, point: str = NO_POINT, file_size: int = 0, in_workers: bool = False
    ) -> Running:
        """Start a command that is killed at ``point``: ``kind:number:before`` or ``…:after``.

        ``file_size`` is the number of bytes that no file may exceed. ``in_workers`` means the points of the
        processes that the command starts; one of them is killed.
        """
        self._count += 1
        place = self.cwd / "runs" / str(self._count)
        place.mkdir(parents=True)
        order = {
            "words": words,
            "cwd": str(self.cwd),
            "environ": self.environ,
            "out": str(place / "out"),
            "err": str(place / "err"),
            "trace": str(place / "trace"),
            "point": point,
            "file_size": file_size,
            "in_workers": in_workers,
            "smaller": dict(self.smaller),
        }
        return Running(self.driver, self.driver.ask(order), place)

    def __call__(self, *words: str, **options: Any) -> Done:
        return self.start(*words, **options).end()

    def ok(self, *words: str, **options: Any) -> Done:
        """Run a command that must succeed."""
        done = self(*words, **options)
        assert done.code == 0, done.err
        return done

    @property
    def job(self) -> Path:
        """The job's folder."""
        return self.cwd / ".haul" / "jobs" / "j"

    @property
    def shards(self) -> list[str]:
        return JobFolder.open(str(self.job.parent), "j").shard_paths()

    def keep(self, name: str) -> None:
        """Keep the job folder as it is, to be brought back by `restore`."""
        shutil.rmtree(self.cwd / name, ignore_errors=True)
        shutil.copytree(self.job, self.cwd / name)

    def restore(self, name: str) -> None:
        """Make the job folder what it was when `keep` was called."""
        shutil.rmtree(self.job, ignore_errors=True)
        shutil.copytree(self.cwd / name, self.job)

    def phases(self) -> dict[str, int]:
        """Count the operations of all shards that are to be carried out, by their last phase."""
        counts: dict[str, int] = {}
        for path in self.shards:
            with Shard.open(path, owner="test", read_only=True) as shard:
                last = shard.last_phases()
                for page in shard.rows(where="action IN (0, 8)"):
                    for row in page:
                        phase = last.get(row[0], "")
                        counts[phase] = counts.get(phase, 0) + 1
        return counts

    def plan(self) -> list[tuple[Any, ...]]:
        """Return what the plan says of all objects, but for their times."""
        rows = []
        for path in self.shards:
            with Shard.open(path, owner="test", read_only=True) as shard:
                operations = [Operation(*row) for page in shard.rows() for row in page]
            rows += [tuple(each._replace(id=0, modified=0.0)) for each in operations]
        return rows
