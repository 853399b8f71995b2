"""Whole processes, alternating: runs the contestants of a comparison and measures what each of them takes.

This process has to stay small: on Linux the peak memory of a child starts at that of the process it was
started from (``setmax_mm_hiwater_rss`` in the kernel's exec), so no contestant can show less than this.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING

from benchmarks import tools
from benchmarks.comparison import Record, Usage, WorkNotDoneError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from benchmarks.comparison import Bench, Comparison, Contest, Contestant

#: Seconds after which a program is killed and counts as failed.
TIMEOUT = 180
# ru_maxrss is in KiB, except on macOS.
_RSS_UNIT = 1 if sys.platform == "darwin" else 1024


class ProgramFailedError(Exception):
    """A program ended with another status than 0; the text holds the end of what it wrote to stderr."""


def measure(
    command: Sequence[str], environ: Mapping[str, str], output: Path, *, timeout: float = TIMEOUT
) -> Usage:
    """Run a program to its end, its standard output to a file, and return what it took.

    Raises ProgramFailedError.
    """
    errors = output.with_suffix(".err")
    create = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(output), create, 0o600),
        (os.POSIX_SPAWN_OPEN, 2, str(errors), create, 0o600),
    ]
    started = time.perf_counter()
    pid = os.posix_spawn(command[0], list(command), dict(environ), file_actions=actions)
    limit = threading.Timer(timeout, os.kill, (pid, signal.SIGKILL))
    limit.daemon = True
    limit.start()
    try:
        # The usage of the child holds that of its own children, as far as it waited for them.
        _, status, used = os.wait4(pid, 0)
    except BaseException:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise
    finally:
        limit.cancel()
    wall = time.perf_counter() - started
    if code := os.waitstatus_to_exitcode(status):
        raise ProgramFailedError(_explain(code, errors))
    return Usage(wall, used.ru_utime + used.ru_stime, used.ru_maxrss * _RSS_UNIT)


def _explain(code: int, errors: Path) -> str:
    how = f"exit {code}" if code > 0 else f"killed by {signal.Signals(-code).name}"
    lines = errors.read_text(errors="replace").strip().splitlines()
    return f"{how}: {' / '.join(line.strip()[:200] for line in lines[-3:])}" if lines else how


def own_peak() -> int:
    """Return the peak memory of this process in bytes: what no contestant's can be told from."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _RSS_UNIT


def compare(
    comparison: Comparison, bench: Bench, rounds: int, tell: Callable[[str], None]
) -> dict[str, Record]:
    """Run one comparison: a round to warm up that is not counted, then ``rounds`` that are.

    In each round every contestant has its turn, and each round begins with another of them, so that what
    changes with time (the store fills, the machine warms) falls on all alike.
    """
    with comparison.open(bench) as contest:
        trials = _Trials(contest, bench.scratch)
        contestants = contest.contestants
        tell("warming up")
        for contestant in contestants:
            if contestant.warmed:
                trials.run(contestant, counted=False)
        rounds = min(rounds, comparison.most_rounds)
        for number in range(rounds):
            tell(f"round {number + 1} of {rounds}")
            first = number % len(contestants)
            for contestant in (*contestants[first:], *contestants[:first]):
                for _ in range(comparison.repeat):
                    trials.run(contestant, counted=True)
    return trials.records


class _Trials:
    """Runs trials of a contest and keeps the records."""

    def __init__(self, contest: Contest, scratch: Path) -> None:
        self._contest = contest
        self._output = scratch / "output"
        self._output.mkdir()
        self._count = 0
        self._verified: set[str] = set()
        self.records = {
            contestant.name: Record(contestant.name, tools.spell(contestant.command("TRIAL"), scratch))
            for contestant in contest.contestants
        }

    def run(self, contestant: Contestant, *, counted: bool) -> None:
        """Measure one trial and verify its work; who failed once is not asked again."""
        record = self.records[contestant.name]
        if record.failure:
            return
        self._count += 1
        trial = f"trial-{self._count:03}"
        output = self._output / f"{trial}.out"
        contest = self._contest
        contest.prepare(trial)
        try:
            usage = measure(contestant.command(trial), contest.environment, output)
            usage = contest.told(contest.observe(usage), output)
            contest.verify(trial, output, contestant.name not in self._verified)
        except (ProgramFailedError, WorkNotDoneError) as error:
            record.failure = str(error)
            return
        finally:
            contest.clear(trial)
            output.unlink(missing_ok=True)
        self._verified.add(contestant.name)
        if counted:
            record.usages.append(usage)
