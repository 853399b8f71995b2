"""How long things took: a histogram with logarithmic classes, in bounded memory. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    from collections.abc import Mapping

# Classes are 2 % apart: a percentile is right to 1 %. Between the least and the most there are 1,396 of them.
_STEP: Final = math.log(1.02)
_LEAST: Final = 1e-6
_MOST: Final = 1e6
#: What a percentile may be off by, as a fraction of itself.
ERROR: Final = 0.01


@dataclass(frozen=True, slots=True)
class Bucket:
    """How many durations lay from ``low`` (seconds) to below ``high``."""

    low: float
    high: float
    count: int


class Durations:
    """Counts durations in seconds, from a microsecond to eleven days; what is beyond counts at the edge.

    The memory is at most that of 1,396 integers, and a percentile is within 1 % of the exact one (`ERROR`).
    """

    def __init__(self) -> None:
        self.count = 0
        self.total = 0.0
        self.longest = 0.0
        self._classes: dict[int, int] = {}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """Understand what `to_json` made. Raises LookupError, TypeError or ValueError."""
        durations = cls()
        durations.count = int(content["count"])
        durations.total = float(content["total"])
        durations.longest = float(content["longest"])
        durations._classes = dict(zip(content["classes"], content["counts"], strict=True))
        return durations

    def to_json(self) -> dict[str, Any]:
        """Return all of it as JSON has it; quick, for it is done many times a second."""
        return {
            "count": self.count,
            "total": self.total,
            "longest": self.longest,
            "classes": list(self._classes),
            "counts": list(self._classes.values()),
        }

    def add(self, seconds: float, count: int = 1) -> None:
        """Count a duration, ``count`` times."""
        self.count += count
        self.total += seconds * count
        self.longest = max(self.longest, seconds)
        each = round(math.log(min(max(seconds, _LEAST), _MOST)) / _STEP)
        self._classes[each] = self._classes.get(each, 0) + count

    @property
    def mean(self) -> float:
        """The arithmetic mean in seconds, exact; 0.0 where there are none."""
        return self.total / self.count if self.count else 0.0

    def percentile(self, percent: float) -> float:
        """Return the seconds that ``percent`` of the durations did not exceed; 0.0 where there are none."""
        wanted, seen = self.count * percent / 100, 0
        for each, count in sorted(self._classes.items()):
            seen += count
            if seen >= wanted:
                return min(math.exp(each * _STEP), self.longest)
        return 0.0

    def buckets(self, most: int = 40) -> list[Bucket]:
        """Return the distribution in up to ``most`` classes of equal logarithmic width, also empty ones."""
        if not self._classes:
            return []
        first, last = min(self._classes), max(self._classes)
        width = -(-(last - first + 1) // most)
        counts = [0] * -(-(last - first + 1) // width)
        for each, count in self._classes.items():
            counts[(each - first) // width] += count
        # A class holds what rounds to it.
        edges = [math.exp((first + at * width - 0.5) * _STEP) for at in range(len(counts) + 1)]
        return [Bucket(edges[at], edges[at + 1], count) for at, count in enumerate(counts)]
