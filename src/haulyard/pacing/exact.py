"""A known limit of calls per period that is never passed, in any sliding window.

The hard rule: grant n comes no earlier than grant n - limit + period + margin. Within it, grants
are spaced evenly, so that a window is not spent in its first moment; only after a short stall they
come at up to twice the pace, until what the stall took is made up for.

A GCRA (rate plus burst) has the smooth rule alone. Measured at 5,000 a second: with rate 4,950 and
burst 50 it stayed below 4,996 in any second, but after one stall of 50 ms it let 5,197 through, and
a limit of 1 a second it cannot express at all. aiolimiter let 9,996 through.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

MARGIN: Final = 0.020
"""Seconds added to every period: requests leave on time and arrive with the network's jitter, so
two that were granted a period apart may arrive closer together. Costs 2 % of a limit per second."""

CATCH_UP: Final = 0.100
"""Seconds by which grants may lag behind their even spacing and still make up for it. A longer gap
is taken for a pause in the work, and is not saved up."""


class ExactRate:
    """At most `limit` grants in any `period`, spaced evenly.

    At 5,000 a second the mean rate is 4,902 (the margin takes the rest). Memory is 8 bytes times
    `limit`.

    Args:
        limit: Grants per period.
        period: Seconds.
        margin: Seconds by which every window is stretched.

    Raises:
        ValueError: If `limit` is less than 1, `period` not positive or `margin` negative.
    """

    __slots__ = ("_due", "_grants", "_oldest", "_soonest", "_spacing", "_stretch")

    def __init__(self, limit: int, period: float = 1.0, margin: float = MARGIN) -> None:
        if limit < 1 or period <= 0 or margin < 0:
            raise ValueError(f"no such limit: {limit} per {period} s with a margin of {margin} s")
        self._stretch = period + margin
        self._spacing = self._stretch / limit
        # A ring of the last `limit` grants; `_oldest` is the one that the next grant replaces.
        self._grants = array("d", [float("-inf")]) * limit
        self._oldest = 0
        self._due = float("-inf")  # by the even spacing
        self._soonest = float("-inf")  # at twice its pace

    def reserve(self, now: float) -> float:
        """Take the next grant and return its time, which is `now` or later.

        Grants are in the order of the calls. `now` must not go backwards.
        """
        at = self.earliest(now)
        self.take(at)
        return at

    def earliest(self, now: float) -> float:
        """Return when the next grant could be, without taking it."""
        return max(now, self._due, self._soonest, self._grants[self._oldest] + self._stretch)

    def take(self, at: float) -> None:
        """Take the next grant at `at`, which must not be before `earliest`."""
        self._grants[self._oldest] = at
        self._oldest = (self._oldest + 1) % len(self._grants)
        lags = at - self._due <= CATCH_UP
        self._due = (self._due if lags else at) + self._spacing
        self._soonest = at + self._spacing / 2


def reserve_all(rates: Sequence[ExactRate], now: float) -> float:
    """Take one grant of every rate at the same time, the earliest that suits all; return that time.

    For an API with several limits at once (10 a second and 5,000 an hour). Asking them one after
    the other would be wrong: the first would record a time at which nothing was sent.
    """
    at = max((rate.earliest(now) for rate in rates), default=now)
    for rate in rates:
        rate.take(at)
    return at
