"""What a report says, whatever kind of job it is about; `page` makes it a page."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, NamedTuple

from haulyard.journal.reporting.durations import Durations
from haulyard.journal.reporting.series import Runs, Throughput

#: So many failures are listed by name on the page and in the summary; the completion report has all of them.
LISTED: Final = 1_000


class Figure(NamedTuple):
    """A headline number; ``tone`` is ``good``, ``bad`` or ``""``."""

    name: str
    value: str
    note: str = ""
    tone: str = ""


@dataclass(frozen=True, slots=True)
class Share:
    """A row of a breakdown: its name, how many of them, and their bytes, None where that says nothing."""

    name: str
    count: int
    size: int | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Breakdown:
    """Counts by name, drawn as bars and listed as a table; ``noun`` is what the names are (``rule``)."""

    title: str
    noun: str
    counted: str
    shares: tuple[Share, ...]
    note: str = ""
    empty: str = ""


class Failure(NamedTuple):
    """One item that failed: its name, the kind of error, what happened; POSIX seconds."""

    name: str
    kind: str
    message: str
    at: float


class Step(NamedTuple):
    """What to do next: why, and the command to type."""

    why: str
    command: str


@dataclass(slots=True)
class Content:
    """Everything on the page.

    ``facts`` say what the job is (verb, source …). ``unit`` is what is counted, in the plural; ``timed`` is
    what ``durations`` are of, ``""`` for the same. ``notices`` are sentences that a reader must not miss,
    damage above all. ``failures`` are the first `LISTED` of ``failed``; ``completion`` names the file that
    has all of them.
    """

    name: str
    title: str
    facts: list[tuple[str, str]] = field(default_factory=list)
    unit: str = "objects"
    timed: str = ""
    figures: list[Figure] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    throughput: Throughput = field(default_factory=Throughput)
    runs: Runs = field(default_factory=Runs)
    durations: Durations = field(default_factory=Durations)
    breakdowns: list[Breakdown] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    failed: int = 0
    steps: list[Step] = field(default_factory=list)
    completion: str = "completion.csv"
    footer: str = ""
