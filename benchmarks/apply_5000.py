"""Thousands of objects moved inside the embedded store by a bulk job, each verified and written down.

A job also looks at every source and every copy, and its journal is on the disk before anything is deleted;
s5cmd copies and deletes. The plan is made beforehand, as a person would, and is not part of what is measured.

The jobs lie on the disk even where all other files are in memory: a journal that is never synced costs less.
"""

from __future__ import annotations

import shutil
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING

from benchmarks import inputs, stored, tools
from benchmarks.comparison import Bar, Bench, Comparison, Contest, Contestant
from benchmarks.servers import seaweedfs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

#: A peer that runs `haul` with a journal that writes nothing down.
_FORGETFUL = tools.PEERS / "haul_without_journal.py"


class Moves:
    """Objects to be moved from ``TRIAL/`` to ``TRIAL-moved/``, and jobs that are planned to do so."""

    def __init__(self, bench: Bench, environ: Mapping[str, str], jobs: str) -> None:
        self._source = bench.scratch / "source"
        # Commands are shown with the paths of this run made short.
        self._jobs = bench.scratch / "jobs"
        self._jobs.symlink_to(jobs, target_is_directory=True)
        self._environ = environ
        self._count = len(inputs.small_files(self._source, bench.scale.files, bench.scale.file_size))
        self._size = self._count * bench.scale.file_size

    def prepare(self, trial: str) -> None:
        """Fill the source of a trial and plan its job."""
        stored.fill(self._environ, self._source, trial)
        tools.prepare(tools.haul("plan", "move", *_ends(trial), "--job", *self._job(trial)), self._environ)

    def apply(self, trial: str) -> list[str]:
        """Return the command that carries out what is planned."""
        return tools.haul("apply", *self._job(trial))

    def apply_without_journal(self, trial: str) -> list[str]:
        """Return the same command with a journal that says that all is written, and writes nothing."""
        return [tools.PYTHON, str(_FORGETFUL), "apply", *self._job(trial)]

    def verify(self, trial: str, _output: Path, _first: bool) -> None:  # noqa: FBT001 -- the shape of Contest.verify
        """Raise WorkNotDoneError unless everything was moved."""
        stored.require(self._environ, f"{trial}-moved", self._count, self._size)
        stored.require(self._environ, trial, 0, 0)

    def clear(self, trial: str) -> None:
        """Remove the job of a trial."""
        shutil.rmtree(self._jobs / trial, ignore_errors=True)

    def _job(self, trial: str) -> tuple[str, ...]:
        return trial, "--job-dir", str(self._jobs)


@contextmanager
def _open(bench: Bench) -> Iterator[Contest]:
    with seaweedfs(bench.scratch) as endpoint, tempfile.TemporaryDirectory(prefix="haul-bench-") as jobs:
        environ = tools.environment(endpoint, bench.scratch)
        stored.make_bucket(environ)
        moves = Moves(bench, environ, jobs)
        yield Contest(
            (
                Contestant("haul", moves.apply),
                Contestant(
                    "s5cmd",
                    lambda trial: tools.s5cmd("mv", f"{stored.url(trial)}*", _ends(trial)[1]),
                ),
                Contestant("haul, no journal", moves.apply_without_journal),
            ),
            environ,
            verify=moves.verify,
            prepare=moves.prepare,
            clear=moves.clear,
        )


def _ends(trial: str) -> tuple[str, str]:
    return stored.url(trial), stored.url(f"{trial}-moved")


ROW = Comparison(
    name="apply_5000",
    title="{files:,} objects moved inside the store by a job",
    bars=(Bar("wall", 1.1, "s5cmd"), Bar("wall", 1.15, "haul, no journal")),
    open=_open,
)
