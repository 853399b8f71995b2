"""What happened when: throughput in a bounded number of bins, and the runs and pauses of a job. Pure."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

#: As many points as a chart of a page's width can show.
BINS: Final = 300
#: Seconds; a power of two, so that the edges of halves fall on the edges of wholes.
_FIRST_WIDTH: Final = 1 / 8
#: Seconds of a bin, and the fewest bins, that `Throughput.fit` is content with.
_READABLE, _FEWEST = 1.0, 8
# One process goes on with the next shard at once; the same process id much later is another process.
_SAME_RUN: Final = 5.0
# So many intervals are held before they are put together.
_COMPACT: Final = 1_000


class Bin(NamedTuple):
    """What came to its end from ``start`` (POSIX seconds) on, within the width of all bins."""

    start: float
    objects: int
    size: int


class Throughput:
    """Objects and bytes over time, in at most `BINS` bins that hold anything.

    Bins are an eighth of a second wide at first. Whenever more than `BINS` of them hold something, all
    become twice as wide and neighbours are put together: memory stays the same however long a job takes, and
    what comes out does not depend on the order of what was added. Times in which nothing happened cost
    nothing, so that a pause of days between two short runs does not blur them.
    """

    def __init__(self) -> None:
        self.width = _FIRST_WIDTH
        self._per_second = 1 / _FIRST_WIDTH
        self._bins: dict[int, list[int]] = {}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """Understand what `to_json` made. Raises LookupError, TypeError or ValueError."""
        throughput = cls()
        throughput.width = float(content["width"])
        throughput._per_second = 1 / throughput.width
        throughput._bins = {int(index): [int(objects), int(size)] for index, objects, size in content["bins"]}
        return throughput

    def to_json(self) -> dict[str, Any]:
        """Return all of it as JSON has it."""
        return {"width": self.width, "bins": [[index, *held] for index, held in self._bins.items()]}

    def add(self, at: float, objects: int, size: int) -> None:
        """Count what came to its end at ``at``, in POSIX seconds."""
        index = int(at * self._per_second)
        found = self._bins.get(index)
        if found is not None:
            found[0] += objects
            found[1] += size
            return
        self._bins[index] = [objects, size]
        while len(self._bins) > BINS:
            self._widen()

    def bins(self) -> list[Bin]:
        """Return the bins that hold anything, in order."""
        return [Bin(index * self.width, *held) for index, held in sorted(self._bins.items())]

    def fit(self, seconds: float) -> None:
        """Widen the bins to what ``seconds`` of work can fill: a second from 8 s on, at least eight below.

        What comes to its end is written down by the group. In shorter bins one group stands beside none, and
        the figures are about the groups.
        """
        while self.width < min(_READABLE, seconds / _FEWEST):
            self._widen()

    def peak(self) -> float:
        """Return the most objects a second, over the width of a bin."""
        return max((objects for objects, _ in self._bins.values()), default=0) * self._per_second

    def _widen(self) -> None:
        self.width *= 2
        self._per_second /= 2
        wider: dict[int, list[int]] = {}
        for index, (objects, size) in self._bins.items():
            held = wider.setdefault(index >> 1, [0, 0])
            held[0] += objects
            held[1] += size
        self._bins = wider


class Run(NamedTuple):
    """A time in which somebody worked on the job, in POSIX seconds; ``command`` is ``apply``, ``undo`` …."""

    start: float
    end: float
    command: str
    host: str
    pid: int

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.end - self.start


class Runs:
    """The runs of a job, put together from what its shards say.

    Every shard tells when a process began with it and when it wrote last. Intervals that overlap are one
    run (several processes), and so are those of one process that follow each other closely.
    """

    def __init__(self) -> None:
        self._runs: list[Run] = []

    def add(self, run: Run) -> None:
        """Take note of the time that one process spent on one shard."""
        self._runs.append(run)
        if len(self._runs) > _COMPACT:
            self._runs = _joined(self._runs)

    def all(self) -> list[Run]:
        """Return the runs in order."""
        return _joined(self._runs)


def _joined(runs: Iterable[Run]) -> list[Run]:
    joined: list[Run] = []
    for run in sorted(runs):
        last = joined[-1] if joined else None
        if last is not None and (run.start <= last.end or _goes_on(last, run)):
            joined[-1] = last._replace(end=max(last.end, run.end))
        else:
            joined.append(run)
    return joined


def _goes_on(last: Run, run: Run) -> bool:
    same = (last.command, last.host, last.pid) == (run.command, run.host, run.pid)
    return same and run.start - last.end < _SAME_RUN


class Stretch(NamedTuple):
    """A part of the time axis that is drawn in one piece; between two of them lies a pause."""

    start: float
    end: float


def stretches(runs: Sequence[Run], most: int = 12) -> list[Stretch]:
    """Cut a time axis at the longest pauses, so that what happened stays visible.

    Only pauses of more than a twentieth of the working time are cut out, and at most ``most - 1`` of them.
    """
    if not runs:
        return []
    working = sum(run.seconds for run in runs)
    pauses = [(after.start - before.end, at) for at, (before, after) in enumerate(pairwise(runs))]
    long = sorted((pause for pause in pauses if pause[0] > working / 20), reverse=True)[: most - 1]
    edges = [0, *sorted(at + 1 for _, at in long), len(runs)]
    return [
        Stretch(runs[first].start, max(runs[last - 1].end, runs[first].start))
        for first, last in pairwise(edges)
    ]
