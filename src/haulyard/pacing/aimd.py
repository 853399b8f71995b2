"""Requests a second that follow a store's throttling: additive increase, multiplicative decrease.

The rate is spaced in time rather than bounded by concurrency: an answer takes a millisecond, so at
a limit of 50 requests a second even one connection is too many.
"""

from __future__ import annotations

from typing import Final

DECREASE: Final = 0.7
"""A cut goes to this fraction of what was being accepted, as in the SDKs' adaptive retry mode."""

INCREASE: Final = 0.1
"""A second without throttling adds this fraction of the rate just after the cut."""

MIN_INCREASE: Final = 1.0
"""Requests a second that a second without throttling adds at least: the way back from the floor."""

COOL_DOWN: Final = 1.0
"""Seconds after a cut in which further throttling counts as part of the same one: its answers
come in a burst and say one thing."""

RELEASE_AFTER: Final = 30.0
"""Seconds of accepted requests since the last cut after which the limit is lifted. By then the rate
is 4 times what it was after the cut, 2.8 times what was accepted before it."""

FLOOR: Final = 1.0
"""Requests a second; never less."""

_WINDOW: Final = 1.0
"""Seconds over which the accepted rate is measured."""

_CATCH_UP: Final = 0.01
"""Seconds that spacing may make up for: timers wake late, and each would cost its lateness."""


class AdaptiveRate:
    """The limit for one bucket and kind of request, unknown until the store names it by throttling.

    No limit holds until the first `throttled`. That cuts the rate to `DECREASE` times the rate at
    which requests were accepted during the second before, and from then on `reserve` spaces
    requests evenly. Every second in which requests are accepted raises the rate by a constant; after
    `RELEASE_AFTER` such seconds the limit is lifted again.

    The rate is measured from accepted requests, not from those sent: a client that overruns a limit
    ten times over would need seven cuts, and hundreds of throttled requests, to come down to it.

    The unlimited path is kept cheap: callers check `limit is None` and skip `reserve`.

    Args:
        floor: The lowest rate, in requests a second.

    Attributes:
        limit: Requests a second, or None while there is no limit. For reading only.

    Raises:
        ValueError: If `floor` is not positive.
    """

    __slots__ = ("_accepted", "_credited", "_cut_at", "_cut_to", "_floor", "_next", "_seen", "limit")

    def __init__(self, floor: float = FLOOR) -> None:
        if floor <= 0:
            raise ValueError(f"the lowest rate must be positive, not {floor}")
        self._floor = floor
        self._accepted = _Window()
        self.limit: float | None = None
        self._cut_at = float("-inf")
        self._cut_to = floor
        self._credited = 0.0
        self._seen = float("-inf")
        self._next = float("-inf")

    def measured_copy(self) -> AdaptiveRate:
        """Return a rate of its own, still without limit, that starts from what this one has measured."""
        copy = AdaptiveRate(self._floor)
        copy._accepted.take_over(self._accepted)
        return copy

    def reserve(self, now: float) -> float:
        """Take the next place and return the seconds until it comes; 0 where there is no limit.

        Let one request at a time reserve and wait (a fair lock around both). Places handed out ahead
        keep the spacing of that moment: sixty requests queued at 1 a second would hold the rate
        there for a minute, however soon it rises. A place that is not used after all is lost.
        """
        limit = self.limit
        if limit is None:
            return 0.0
        place = max(self._next, now - _CATCH_UP)
        self._next = place + 1.0 / limit
        return max(0.0, place - now)

    def throttled(self, now: float) -> bool:
        """Take note of a throttled answer; True if it cut the rate, False within the cool-down."""
        if now - self._cut_at < COOL_DOWN:
            return False
        accepted = self._accepted.rate(now)
        if self.limit is not None:
            accepted = min(accepted, self.limit)
        self._cut_to = self.limit = max(self._floor, DECREASE * accepted)
        self._cut_at = self._seen = now
        self._credited = 0.0
        # What was accepted before the cut says nothing about the rate after it.
        self._accepted.clear(now)
        return True

    def succeeded(self, now: float) -> None:
        """Take note of an answer that was no throttling: the store took the request on."""
        self._accepted.count(now)
        if self.limit is None:
            return
        # Idle time proves nothing, so one answer vouches for a second at most.
        self._credited += min(now - self._seen, 1.0)
        self._seen = now
        if self._credited >= RELEASE_AFTER:
            self.limit = None
            self._next = float("-inf")
        else:
            self.limit = self._cut_to + self._credited * max(MIN_INCREASE, INCREASE * self._cut_to)


class _Window:
    """A count over the last `_WINDOW` seconds: this window's, and a share of the one before.

    Constant memory and a comparison per event. The first window counts as a whole one however
    young it is, so that fifty answers in the first five milliseconds are 50 a second, not 10,000.
    """

    __slots__ = ("_before", "_count", "_ends")

    def __init__(self) -> None:
        self._before = 0
        self._count = 0
        self._ends = float("-inf")

    def take_over(self, other: _Window) -> None:
        self._before, self._count, self._ends = other._before, other._count, other._ends

    def clear(self, now: float) -> None:
        self._before = self._count = 0
        self._ends = now + _WINDOW

    def count(self, now: float) -> None:
        if now >= self._ends:
            self._turn(now)
        self._count += 1

    def rate(self, now: float) -> float:
        if now >= self._ends:
            self._turn(now)
        return (self._count + self._before * (self._ends - now) / _WINDOW) / _WINDOW

    def _turn(self, now: float) -> None:
        late = now - self._ends
        self._before = self._count if late < _WINDOW else 0
        self._count = 0
        self._ends = (self._ends if late < _WINDOW else now) + _WINDOW
