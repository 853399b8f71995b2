"""What a bulk job came to, counted shard by shard; memory grows with one shard, never with the job."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

from haulyard.jobs.model import Action, Conflict
from haulyard.journal.reporting.content import LISTED, Failure
from haulyard.journal.reporting.durations import Durations
from haulyard.journal.reporting.series import Runs, Throughput

if TYPE_CHECKING:
    from haulyard.jobs.model import Phase

#: What is acted on; all else the plan leaves alone.
ACTING = frozenset({Action.ACT.value, Action.FOLDER.value})
#: The phase of what has no entry: not begun, or in doubt.
LEFT = ""


_Name = TypeVar("_Name", int, str)


class Sum:
    """A count of objects and their bytes."""

    __slots__ = ("objects", "size")

    def __init__(self) -> None:
        self.objects = 0
        self.size = 0

    def add(self, objects: int, size: int) -> None:
        """Count so many objects of so many bytes in all."""
        self.objects += objects
        self.size += size

    def fields(self) -> dict[str, int]:
        """Return it for programs."""
        return {"objects": self.objects, "bytes": self.size}


class Sums(dict[_Name, Sum], Generic[_Name]):
    """Counts by whatever they are told apart by."""

    def __missing__(self, name: _Name) -> Sum:
        found = self[name] = Sum()
        return found


@dataclass(slots=True)
class Account:
    """The numbers of one job.

    ``phases`` counts what is acted on by its last phase, ``actions`` everything that was listed by what the
    plan says of it, ``rules`` by the rule that takes it, ``conflicts`` what is acted on by what stands in its
    way. ``verified`` counts copies by what they were verified with. ``recorded`` counts every failure in the
    journal by kind, also those that a later try put right, ``failing`` the objects that are still failed.
    """

    phases: Sums[str] = field(default_factory=Sums)
    actions: Sums[int] = field(default_factory=Sums)
    rules: Sums[int] = field(default_factory=Sums)
    conflicts: Sums[int] = field(default_factory=Sums)
    verified: Counter[str] = field(default_factory=Counter)
    recorded: Counter[str] = field(default_factory=Counter)
    failing: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)
    throughput: Throughput = field(default_factory=Throughput)
    durations: Durations = field(default_factory=Durations)
    runs: Runs = field(default_factory=Runs)
    damaged: list[str] = field(default_factory=list)

    def phase(self, phase: Phase | str) -> Sum:
        """Return what is in a phase, without making a place for it."""
        return self.phases.get(str(phase), Sum())

    @property
    def acting(self) -> Sum:
        """Everything that is acted on."""
        total = Sum()
        for each in self.phases.values():
            total.add(each.objects, each.size)
        return total

    @property
    def listed(self) -> Sum:
        """Everything that was listed: the folders that are to be made are not."""
        total = Sum()
        for action, each in self.actions.items():
            if action != Action.FOLDER:
                total.add(each.objects, each.size)
        return total

    @property
    def seconds(self) -> float:
        """How long anybody worked on it, pauses left out."""
        return sum(run.seconds for run in self.runs.all())

    @property
    def rate(self) -> float:
        """Objects done a second, on the average of the working time; 0.0 where there was none."""
        done = sum(each.objects for each in self.throughput.bins())
        seconds = self.seconds
        # Less than a moment is no time to divide by: a run may be one commit.
        return done / max(seconds, 1e-3) if done else 0.0

    @property
    def peak(self) -> float:
        """The most objects a second, in one of the bins; never less than the average."""
        return max(self.throughput.peak(), self.rate)

    def fail(self, failure: Failure) -> None:
        """Count an object that is failed now."""
        self.failing[failure.kind] += 1
        if len(self.failures) < LISTED:
            self.failures.append(failure)

    def left_alone(self) -> list[tuple[Action, Sum]]:
        """Return what the plan does not act on, by reason, most first."""
        # What is ordered acts in another shard and is counted there.
        found = [(Action(each), total) for each, total in self.actions.items() if each not in ACTING]
        return sorted(found, key=lambda each: -each[1].objects)

    def in_conflict(self) -> list[tuple[Conflict, Sum]]:
        """Return what had something in its way, by what it was."""
        return [(Conflict(each), total) for each, total in sorted(self.conflicts.items()) if each]
