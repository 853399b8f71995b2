"""What a records job came to, counted as it happens and kept with its progress. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Final, Literal, Self

from haulyard.errors import JobError
from haulyard.journal.reporting.durations import Durations
from haulyard.journal.reporting.series import Run, Runs, Throughput

if TYPE_CHECKING:
    from collections.abc import Mapping

#: How a record came to its end; what is neither delivered nor passed over has a dead letter of that kind.
End = Literal["delivered", "passed_over", "malformed", "transform", "rejected", "failed"]
FAILURES: Final[tuple[End, ...]] = ("malformed", "transform", "rejected", "failed")
COMMAND: Final = "process"


@dataclass(slots=True)
class Account:
    """The numbers of one job, over all of its runs.

    Records are counted at their end, so that one that is read again by a later run counts once:
    ``passed_over`` are those that a transform, a filter or a sample left out, the others are told by the
    kinds of dead letters. ``calls`` counts every call made, ``retries`` those that were not a record's first,
    ``refused`` the answers 429. ``pauses`` and ``paused`` (seconds) are those that the API asked for.
    ``bytes_read`` are bytes of the source objects. ``errors`` counts what went wrong in calls and in reading,
    by name (a status, ``timeout``, ``malformed`` …), also what a later try put right. ``durations`` are those
    of calls, ``throughput`` counts records and the bytes read over time.
    """

    delivered: int = 0
    passed_over: int = 0
    malformed: int = 0
    transform: int = 0
    rejected: int = 0
    failed: int = 0
    objects: int = 0
    calls: int = 0
    retries: int = 0
    refused: int = 0
    pauses: int = 0
    paused: float = 0.0
    bytes_read: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    durations: Durations = field(default_factory=Durations)
    throughput: Throughput = field(default_factory=Throughput)
    _runs: Runs = field(default_factory=Runs)
    _run: Run | None = None

    def end(self, how: End, at: float, count: int = 1) -> None:
        """Count records that came to their end at ``at``, in POSIX seconds."""
        setattr(self, how, getattr(self, how) + count)
        self.throughput.add(at, count, 0)

    def end_anew(self, was: End, how: End, at: float, count: int = 1) -> None:
        """Count records that had failed, and were tried again, by how they came to their end now."""
        setattr(self, was, getattr(self, was) - count)
        self.end(how, at, count)

    def read(self, at: float, size: int) -> None:
        """Count bytes of source objects that were read."""
        self.bytes_read += size
        self.throughput.add(at, 0, size)

    def begin_run(self, at: float, pid: int, host: str) -> None:
        """Note that a process begins to work, at POSIX seconds."""
        if self._run is not None:
            self._runs.add(self._run)
        self._run = Run(at, at, COMMAND, host, pid)

    def goes_on(self, at: float) -> None:
        """Note that it still does."""
        if self._run is not None:
            # Never backwards: the clock may be set.
            self._run = self._run._replace(end=max(self._run.end, at))

    @property
    def failures(self) -> int:
        """How many records were not delivered."""
        return self.malformed + self.transform + self.rejected + self.failed

    @property
    def records(self) -> int:
        """How many records came to their end."""
        return self.delivered + self.passed_over + self.failures

    @property
    def runs(self) -> list[Run]:
        """The runs in order, the current one last."""
        joined = Runs()
        for run in (*self._runs.all(), *([self._run] if self._run else [])):
            joined.add(run)
        return joined.all()

    @property
    def seconds(self) -> float:
        """How long it was worked on, pauses between runs left out."""
        return sum(run.seconds for run in self.runs)

    @property
    def rate(self) -> float:
        """Records a second, on the average of the working time; 0.0 where there were none."""
        # Less than a moment is no time to divide by: a run may be one commit.
        return self.records / max(self.seconds, 1e-3) if self.records else 0.0

    @property
    def peak(self) -> float:
        """The most records a second, in one of the bins; never less than the average."""
        return max(self.throughput.peak(), self.rate)

    def recent(self, since: float) -> tuple[int, int]:
        """Return the records and the bytes since ``since`` (POSIX seconds), to the width of a bin."""
        bins = [each for each in self.throughput.bins() if each.start >= since]
        return sum(each.objects for each in bins), sum(each.size for each in bins)

    def to_json(self) -> dict[str, Any]:
        """Return all of it as JSON has it; nothing in it changes when the account does."""
        runs = [*self._runs.all(), *([self._run] if self._run else [])]
        return {
            **{name: getattr(self, name) for name in _NUMBERS},
            "errors": dict(self.errors),
            "durations": self.durations.to_json(),
            "throughput": self.throughput.to_json(),
            "runs": [list(run) for run in runs],
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """Understand what `to_json` made; the run that was the current one is over.

        Raises:
            JobError: It is no such thing.
        """
        try:
            account = cls(
                **{name: content[name] for name in _NUMBERS},
                errors=Counter(content["errors"]),
                durations=Durations.from_json(content["durations"]),
                throughput=Throughput.from_json(content["throughput"]),
            )
            for start, end, command, host, pid in content["runs"]:
                account._runs.add(Run(float(start), float(end), str(command), str(host), int(pid)))
        except (LookupError, TypeError, ValueError) as error:
            raise JobError(
                f"the job's account cannot be understood: {error!r}",
                hint="use the release of Haulyard that began the job, or start over with --new",
            ) from error
        return account


_NUMBERS: Final = tuple(each.name for each in fields(Account) if each.type in {"int", "float"})
