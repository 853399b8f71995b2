"""What a refusal (429) does to a rate: a cut, and a steady rise back to what it was.

The limit that the user gave should never be refused. If it is, others use the same API, or its limit is
lower than its documentation says: then additive increase and a cut to 0.7 find the share that is left.
Without a limit, what was sent just before stands for it.
"""

from __future__ import annotations

from math import inf
from typing import Final

from haulyard.pacing.window import Spacing

DECREASE: Final = 0.7
"""A cut goes to this fraction, as in the adaptive mode of the AWS SDKs."""

RISE: Final = 0.05
"""Of the full rate, a second: a cut is made up for in six seconds, a rate of almost nothing in twenty."""

LIFT: Final = 2.0
"""Without a limit, what a cut left behind ends at this many times the rate that was refused."""

COOL_DOWN: Final = 1.0
"""Seconds after a cut in which further refusals are part of the same one."""

FIRST_PAUSE: Final = 1.0
"""Seconds to wait after a refusal that does not say how long."""

LONGEST_PAUSE: Final = 60.0
"""Seconds; what repeated refusals double the wait to at most."""

FLOOR: Final = 0.1
"""Calls a second; no cut goes below."""

_SPAN: Final = 1.0
"""Seconds over which what was sent is counted."""

_TELLING: Final = 10.0
"""Calls a second; of a lower limit a second's count tells nothing, and the limit is what is cut."""

_YOUNG: Final = 0.1
"""Seconds that a count takes at least: the first calls of a run come in a burst."""


class Recovery:
    """The rate after refusals; none (`is_cut` is False) until the first and once it is made up for.

    Args:
        full: Calls a second that the limits allow, None where there is no limit.
    """

    __slots__ = (
        "_base",
        "_before",
        "_count",
        "_cut_at",
        "_floor",
        "_full",
        "_pause",
        "_resumes",
        "_since",
        "_spacing",
        "_start",
        "is_cut",
    )

    def __init__(self, full: float | None = None) -> None:
        self._full = full
        self._floor = FLOOR if full is None else min(FLOOR, full / 10)
        self._spacing = Spacing()
        self._cut_at = self._resumes = -inf
        self._pause = 0.0
        # The rate right after the cut, and the full rate that it rises towards.
        self._start = self._base = 0.0
        # Calls sent since `_since`, and a second before it; -1 while there was no such second.
        self._since = -inf
        self._count = 0
        self._before = -1
        self.is_cut = False

    def sent(self, now: float) -> None:
        """Count a call."""
        elapsed = now - self._since
        if elapsed >= _SPAN:
            whole = elapsed < 2 * _SPAN
            self._before = self._count if whole else -1
            self._since = self._since + _SPAN if whole else now
            self._count = 0
        self._count += 1

    def refused(self, now: float, wait: float | None = None, *, sent: float = inf) -> float:
        """Take note of a refusal and return the seconds that nothing should be sent for.

        Of several refusals within a second, or of calls sent before the last cut, only the first cuts the
        rate and lengthens the pause; the wait that an answer asks for counts always.

        Args:
            now: Seconds of the clock.
            wait: What the answer asked for, if it did.
            sent: The same clock's when the call was granted.
        """
        repeated = now - self._cut_at < COOL_DOWN or sent < self._cut_at
        if repeated and wait is None:
            return max(0.0, self._resumes - now)
        if wait is None:
            quiet = now - self._resumes > self._pause
            self._pause = FIRST_PAUSE if quiet else min(LONGEST_PAUSE, self._pause * 2)
            wait = self._pause
        if not repeated:
            self._cut(now)
        self._resumes = max(self._resumes, now + wait)
        return wait

    def rate(self, now: float) -> float | None:
        """Return the calls a second that are allowed, None once (or while) there is no cut."""
        if not self.is_cut:
            return None
        rate = self._start + RISE * self._base * max(0.0, now - self._resumes)
        if rate >= self._base * (1.0 if self._full is not None else LIFT):
            self.is_cut = False
            return None
        return rate

    def earliest(self) -> float:
        """Return when the next call is due; only where `is_cut`."""
        return self._spacing.earliest()

    def take(self, at: float) -> None:
        """Take the grant at ``at``; only where `is_cut`."""
        rate = self.rate(at)
        if rate is not None:
            self._spacing.take(at, 1.0 / rate)

    def _cut(self, now: float) -> None:
        rate = self.rate(now)
        refused = self._measured(now) if rate is None else min(rate, self._measured(now))
        if self._full is not None:
            refused = min(refused, self._full)
        self._base = self._full if self._full is not None else max(refused, self._floor)
        self._start = max(self._floor, refused * DECREASE)
        self._cut_at = now
        # What was sent before says nothing about the rate from now on.
        self._since = -inf
        self._spacing = Spacing()
        self.is_cut = True

    def _measured(self, now: float) -> float:
        """Calls a second sent lately; where too little was sent to tell, the rate that was allowed."""
        elapsed = now - self._since
        if _SPAN <= elapsed < 2 * _SPAN:
            measured = self._count / elapsed
        elif elapsed < _SPAN and self._before >= 0:
            measured = self._count + self._before * (1.0 - elapsed / _SPAN)
        elif self._full is not None or self.is_cut:
            return inf
        else:
            measured = self._count / min(max(elapsed, _YOUNG), _SPAN)
        return inf if self._full is not None and self._full < _TELLING else max(measured, self._floor)
