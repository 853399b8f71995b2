"""A limit of calls in any sliding period, as the server sees it.

Calls leave when they are granted and arrive when the way there lets them: a new connection, a stall of the
event loop, a lost packet hold up one and not the next. Two calls granted a period apart can so arrive much
closer together, and no fixed margin covers that (`haulyard.pacing.exact` has one of 20 ms). But an answer
bounds it: a call answered at ``r`` arrived no later than ``r`` less the way back, and a new one arrives no
earlier than its grant plus the way there. Both ways together are at most the *least* that any call takes.
So a call occupies one of ``limit`` slots

- from its grant until it is answered, however long that takes: it may be on its way still;
- from then on until ``answered - least + period + MARGIN``.

Slots come free in the order of the answers, not of the grants: a slow call holds its own slot and no other.
``least`` is looked up when a slot is asked for, not when it is answered, so that the slots of an hour ago
are held longer as soon as one call proves that the way is shorter than it seemed.
"""

from __future__ import annotations

from collections import deque
from math import inf
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

EARLY: Final = 0.001
"""Seconds by which a grant may be taken before its time. Timers of uvloop count in milliseconds: at 5,000 a
second each wake-up hands out the grants of the next one."""

MARGIN: Final = 0.012
"""Seconds added to every period. One is `EARLY`; the rest is for what the least latency does not tell: the
next call may be faster than any before. Over loopback the fastest calls of a second vary by 1 ms, over the
internet by up to ten. Costs 1.2 % of a limit per second; with it and the latency of a local server the mean
of 5,000 a second is 4,939 (12 s, an idle machine)."""

CATCH_UP: Final = 0.100
"""Seconds of a lag behind the even spacing that are made up for, at up to twice its pace. Making up for
nothing of a longer one costs 7 % where stalls of 50 to 120 ms come three times a second (simulated)."""

PAUSE: Final = 1.0
"""Seconds of a lag from which on it is a pause in the work, of which nothing is saved up."""

_MEMORY: Final = 30.0
"""Seconds that the least latency is remembered for; up to twice that."""

_KNOWN: Final = 20
"""Answers in that time from which on `_SHARE` of the least latency counts. With fewer it is 0."""

_SURE: Final = 100
"""Answers from which on all of it counts: two a second keep connections open, and one that was
open is among them."""

_SHARE: Final = 0.25
"""Where all calls so far may have opened a connection, one that need not takes a quarter of their time:
TCP and TLS 1.2 take three round trips, the call one."""

_DOUBT: Final = 5.0
"""What the next calls can undercut the least of n by: this times the mean distance from it, over n. If
latencies are spread evenly, one call in 1,300 undercuts it after 100 answers, by whatever little."""

_WEIGHT: Final = 0.002
"""Of one call in the mean latency: it follows the last 500."""

_BUCKETS: Final = 1000
"""Per period, in which the answers are counted: memory does not grow with the limit."""


class Limit(NamedTuple):
    """At most ``calls`` in any ``seconds``."""

    calls: int
    seconds: float


class Latencies:
    """How long calls to one API take: at least, and on average. Shared by its windows.

    Attributes:
        least: Seconds; a lower bound of what every call takes. Falls at once, rises within a minute,
            and is 0 while too few are known.
        extra: Seconds that calls take beyond it on average: what they hold their slots for in addition.
    """

    __slots__ = (
        "_before",
        "_count",
        "_count_before",
        "_ends",
        "_lowest",
        "_mean",
        "_noted",
        "extra",
        "least",
    )

    def __init__(self) -> None:
        self.least = 0.0
        self.extra = 0.0
        self._mean = 0.0
        self._noted = 0
        # Of this stretch of `_MEMORY` seconds, and of the one before.
        self._lowest = self._before = inf
        self._count = self._count_before = 0
        self._ends = -inf

    def note(self, latency: float, now: float, *, answered: bool = True) -> None:
        """Take note of a call that ended at ``now``, ``latency`` seconds after it was granted.

        One that was given up (``answered`` is False) says nothing of the least; it counts in the mean.
        """
        if now >= self._ends:
            self._turn(now)
        self._noted += 1
        if answered:
            self._count += 1
            self._lowest = min(self._lowest, latency)
        else:
            latency += self.least
        self._mean += (latency - self._mean) * max(1.0 / self._noted, _WEIGHT)
        count = self._count + self._count_before
        self.least = 0.0
        if count >= _KNOWN:
            lowest = min(self._lowest, self._before)
            sure = lowest - _DOUBT * max(0.0, self._mean - lowest) / count
            self.least = max(0.0, sure if count >= _SURE else sure * _SHARE)
        self.extra = max(0.0, self._mean - self.least)

    def _turn(self, now: float) -> None:
        lapsed = now - self._ends >= _MEMORY
        self._before, self._lowest = inf if lapsed else self._lowest, inf
        self._count_before, self._count = 0 if lapsed else self._count, 0
        self._ends = now + _MEMORY


class Spacing:
    """Grants one after the other at an even distance; a short lag is made up for at twice the pace."""

    __slots__ = ("_due", "_soonest")

    def __init__(self) -> None:
        self._due = -inf
        self._soonest = -inf

    def earliest(self) -> float:
        """Return when the next grant is due, which may have passed."""
        return max(self._soonest, self._due)

    def take(self, at: float, gap: float) -> None:
        """Take the grant at ``at``, not before `earliest`; the next one is due ``gap`` seconds later."""
        saved = CATCH_UP if at - self._due < PAUSE else 0.0
        self._due = max(self._due, at - saved) + gap
        self._soonest = at + gap / 2

    def give_back(self, gap: float) -> None:
        """Return a grant that was not used: the next one comes sooner, not at once."""
        self._due -= gap


class Window:
    """At most ``limit.calls`` calls arrive in any ``limit.seconds``, evenly spaced.

    Calls are granted (`take`) at a time that `earliest` named, and each is told of when it `ended`.

    Args:
        limit: The limit.
        latencies: What is known of the way to the server; told of each call before the window is.
        spaced: False for a quota of a longer time, which is used as fast as other limits allow.

    Raises:
        ValueError: If ``limit`` has less than one call, or no time.
    """

    __slots__ = (
        "_answered",
        "_calls",
        "_latencies",
        "_lost",
        "_spacing",
        "_stretch",
        "_used",
        "_width",
        "limit",
    )

    def __init__(self, limit: Limit, latencies: Latencies, *, spaced: bool = True) -> None:
        if limit.calls < 1 or not 0 < limit.seconds < inf:
            raise ValueError(f"no such limit: {limit.calls} calls in {limit.seconds} s")
        self.limit: Final = limit
        self._calls = limit.calls
        self._latencies = latencies
        self._spacing = Spacing() if spaced else None
        self._stretch = limit.seconds + MARGIN
        self._width = limit.seconds / _BUCKETS
        # Slots that are taken; those that have come free since are found when there is no other.
        self._used = 0
        # When calls ended, in buckets [first, last, count], oldest first: those that the least latency may
        # be deducted from, and those that it may not (given up, or of an earlier run).
        self._answered: deque[list[float]] = deque()
        self._lost: deque[list[float]] = deque()

    def earliest(self, now: float) -> float:
        """Return when the next grant may be taken, and is planned for.

        A time up to ``now + EARLY`` may be taken now. ``inf`` means that every slot is held by a call that
        has not ended: ask again when one has. Of a later time, too, ask again when it has come.
        """
        at = now
        if self._used >= self._calls and not self._expire(now + EARLY):
            at = self._next_expiry()
        if self._spacing is not None:
            at = max(at, self._spacing.earliest())
        return at

    def take(self, at: float) -> None:
        """Take the grant that is planned for ``at``."""
        self._used += 1
        if self._spacing is not None:
            self._spacing.take(at, self._gap())

    def give_back(self) -> None:
        """Return a grant that nothing was sent for."""
        self._used -= 1
        if self._spacing is not None:
            self._spacing.give_back(self._gap())

    def ended(self, now: float, *, answered: bool = True) -> None:
        """Take note that a call was answered, or given up, at ``now``, which must not go backwards."""
        calls = self._answered if answered else self._lost
        if calls and now - calls[-1][0] <= self._width:
            bucket = calls[-1]
            bucket[1] = now
            bucket[2] += 1
        else:
            self._expire(now)
            calls.append([now, now, 1])

    def ends(self) -> Iterator[tuple[float, int]]:
        """Yield when calls ended that still count, and how many: each time the last one of its group."""
        for calls in (self._answered, self._lost):
            for _, last, count in calls:
                yield last, int(count)

    def restore(self, ends: Iterable[tuple[float, int]]) -> None:
        """Count calls of an earlier run, by the times at which they ended; before the first `take`."""
        for at, count in sorted(ends):
            self._used += count
            self._lost.append([at, at, count])

    def _gap(self) -> float:
        # A slot is held for this long on average: so the even pace that the slots allow.
        return (self._stretch + self._latencies.extra) / self._calls

    def _expire(self, now: float) -> bool:
        """Free the slots that no longer count at ``now``; return whether there is a free one."""
        edge = now - self._stretch
        lost, answered = self._lost, self._answered
        while lost and lost[0][1] <= edge:
            self._used -= int(lost.popleft()[2])
        edge += self._latencies.least
        while answered and answered[0][1] <= edge:
            self._used -= int(answered.popleft()[2])
        return self._used < self._calls

    def _next_expiry(self) -> float:
        at = inf
        if self._answered:
            at = self._answered[0][1] + self._stretch - self._latencies.least
        if self._lost:
            at = min(at, self._lost[0][1] + self._stretch)
        return at
