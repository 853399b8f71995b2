"""The values of a comparison: who takes part, what is asked of Haulyard, what was measured."""

from __future__ import annotations

import statistics
import sys
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

Metric = Literal["wall", "cpu", "rss", "unused", "refused", "lost", "jitter", "disk", "warm", "fetched"]

MIB = 1 << 20


class WorkNotDoneError(Exception):
    """A program said that it was done, and was not."""


class Usage(NamedTuple):
    """What one run of a program took.

    ``wall`` and ``cpu`` (user and system, its child processes included) in seconds; ``rss``, the peak of the
    largest process, in bytes.

    Of a store that throttles, as fractions: ``unused`` of what it takes, ``refused`` of the requests,
    ``lost`` of the objects; None elsewhere. The same of an API that limits its calls; of those ``jitter`` is
    the 99th percentile, in seconds, of how far the time between two is from even. ``disk`` is the size in
    bytes of what a job left behind. ``warm`` is the time of the work alone, in seconds, once the program has
    imported everything and done it before; ``fetched`` the bytes that came for each that was wanted.
    """

    wall: float
    cpu: float
    rss: int
    unused: float | None = None
    refused: float | None = None
    lost: float | None = None
    jitter: float | None = None
    disk: int | None = None
    warm: float | None = None
    fetched: float | None = None


class Bar(NamedTuple):
    """What is asked: ``subject``'s ``metric`` is at most ``limit``, or ``limit`` times that of ``against``.

    An absolute limit is in seconds, for ``rss`` and ``disk`` in bytes, for what concerns throttling a
    fraction.
    """

    metric: Metric
    limit: float
    against: str = ""
    subject: str = "haul"


@dataclass(frozen=True)
class Contestant:
    """A program in a comparison: ``command`` makes its arguments from the name of a trial.

    The name of a trial is new for each measurement, and good for a key prefix or a directory. Where
    ``warmed`` is False the contestant takes no part in the round that warms up: a slow one that is compared
    by no bar of CPU time.
    """

    name: str
    command: Callable[[str], Sequence[str]]
    warmed: bool = True


def _nothing(_trial: str) -> None:
    pass


def _as_it_is(usage: Usage) -> Usage:
    return usage


def _untold(usage: Usage, _output: Path) -> Usage:
    return usage


@dataclass(frozen=True)
class Contest:
    """A comparison with its servers running: what surrounds each measurement is not measured.

    ``verify`` gets the name of the trial, the file with the program's standard output, and whether this is
    the contestant's first trial (then the content is compared too, not only count and size); it raises
    WorkNotDoneError. ``observe`` adds to a usage what only the server knows, ``told`` what the program itself
    printed.
    """

    contestants: Sequence[Contestant]
    environment: Mapping[str, str]
    verify: Callable[[str, Path, bool], None]
    prepare: Callable[[str], None] = _nothing
    clear: Callable[[str], None] = _nothing
    observe: Callable[[Usage], Usage] = _as_it_is
    told: Callable[[Usage, Path], Usage] = _untold


@dataclass(frozen=True)
class Scale:
    """How much work there is: numbers of files, keys and records, bytes of the large object."""

    files: int = 5_000
    file_size: int = 4_096
    large: int = 1 << 30
    keys: int = 100_000
    many_keys: int = 1_000_000
    records: int = 300_000


#: Enough to see that everything works, far too little to compare speed.
QUICK = Scale(files=300, large=64 * MIB, keys=10_000, many_keys=50_000, records=10_000)


class Bench(NamedTuple):
    """What a comparison gets: an empty directory of its own and the amount of work."""

    scratch: Path
    scale: Scale


@dataclass(frozen=True)
class Comparison:
    """One row of `make bench`.

    ``title`` is a template over the fields of Scale; ``needs`` names programs of the system
    without which the row is skipped; ``repeat`` is how often each contestant runs in a round, more than once
    where a run takes milliseconds; ``most_rounds`` bounds the rounds where it takes long.
    """

    name: str
    title: str
    bars: Sequence[Bar]
    open: Callable[[Bench], AbstractContextManager[Contest]]
    needs: Sequence[str] = ()
    repeat: int = 1
    most_rounds: int = sys.maxsize

    def heading(self, scale: Scale) -> str:
        """Return the title with its numbers."""
        gib = scale.large // (1 << 30)
        large = f"{gib} GiB" if gib else f"{scale.large // MIB} MiB"
        return self.title.format_map(asdict(scale) | {"large": large})


@dataclass
class Record:
    """What became of one contestant: its measurements, or why there are none."""

    name: str
    command: str
    usages: list[Usage] = field(default_factory=list)
    failure: str = ""

    def median(self, metric: Metric) -> float | None:
        """Return the median of a metric; None if the contestant failed or was not measured."""
        if self.failure or not self.usages:
            return None
        values = [value for usage in self.usages if (value := getattr(usage, metric)) is not None]
        median: float | None = statistics.median(values) if values else None
        return median


class Verdict(NamedTuple):
    """A bar and what was measured for it; ``value`` is a ratio or absolute, as the bar is."""

    bar: Bar
    value: float | None

    @property
    def met(self) -> bool | None:
        """Whether the bar is met; None if it could not be measured."""
        return None if self.value is None else self.value <= self.bar.limit


def judge(bar: Bar, records: Mapping[str, Record]) -> Verdict:
    """Hold the medians against a bar."""
    subject = records[bar.subject].median(bar.metric) if bar.subject in records else None
    if not bar.against or subject is None:
        return Verdict(bar, subject)
    other = records[bar.against].median(bar.metric) if bar.against in records else None
    return Verdict(bar, subject / other if other else None)
