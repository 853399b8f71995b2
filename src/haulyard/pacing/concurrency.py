"""How many calls to have in flight: as many as the server works on at once, found out from latency.

While more calls in flight are answered as fast as fewer, they are more throughput; once they take longer in
proportion, they only wait in a queue. So latency is compared with what it was without a queue, once a *round*
(from a moment until calls that began after it have been answered):

- up to `GROW` times that, and if the places are used, there will be more: twice as many until that fails for
  the first time, then `STEP` more;
- from `SHRINK` times on, in two rounds that follow each other, fewer: a stall of our own event loop is one
  round long, a queue stays;
- in between the number is right: the queue is as long as half of what is worked on, up to all of it, and so
  no worker ever waits for us.

What latency is without a queue is the hard part. The lowest ever seen would be wrong once the server slows
down, and a long-term mean (Gradient2 of Netflix's concurrency-limits) creeps up with the queue, and the
number in flight with it. So whether a rise is a queue is tried: with half as many in flight a queue is half
as long; where latency stays as it is, it is the server's, and what others are measured by from then on.

`tests/pacing/test_concurrency.py` has servers with 1 to 256 workers, at 0.5, 20 and 500 ms.
"""

from __future__ import annotations

from math import inf
from typing import Final

FIRST: Final = 16
"""Calls in flight at first: what a server that is new to us is met with."""

GROW: Final = 1.5
"""Times the latency without a queue, up to which the number grows."""

SHRINK: Final = 2.0
"""Times the latency without a queue, from which on it shrinks."""

STEP: Final = 1.15
"""Growth in a round, once it has been too much before."""

USED: Final = 0.9
"""Of the places, that have to be used in a round for it to prove anything about them."""

PROBE_AFTER: Final = 10.0
"""Seconds, and `_PROBE_ROUNDS`, without growth or shrinking, after which half as many are tried."""

_PROBE_ROUNDS: Final = 50

_IN_A_ROW: Final = 2
"""Rounds that have to be slow for it to count."""

_ROUND: Final = 0.020
"""Seconds that a round takes at least."""

_ROUND_CALLS: Final = 50
"""Calls that a round has at least after the search: with fewer, latencies that vary widely are a guess."""

_OUTLIER: Final = 8.0
"""Times the latency of the round before, or that without a queue if it is more; calls that take longer count
as this long, lest one in a hundred decides."""

_FALL: Final = 0.25
"""Of the way to a lower latency, that the one without a queue goes in a round. The lowest of many rounds
would be a matter of luck."""

_CREEP: Final = 0.1
"""Of the way to one that is higher by no more than noise."""

_QUEUED: Final = 0.8
"""With half as many in flight a queue brings latency down to half; above this fraction it was not ours."""

_SAME: Final = 1.25
"""Times the latency without a queue; what is below is taken for its noise."""

_LEAST_LATENCY: Final = 1e-6


class Concurrency:
    """The number of calls to have in flight, from 1 to ``cap``.

    Args:
        cap: The highest number.

    Attributes:
        limit: The number now. For reading only.

    Raises:
        ValueError: If ``cap`` is less than 1.
    """

    __slots__ = (
        "_base",
        "_before",
        "_calls",
        "_cap",
        "_ends",
        "_enough",
        "_outlier",
        "_peak",
        "_resized",
        "_searching",
        "_settling",
        "_slow",
        "_start",
        "_strikes",
        "_sum",
        "limit",
    )

    def __init__(self, cap: int) -> None:
        if cap < 1:
            raise ValueError(f"at least one call has to be in flight, not {cap}")
        self._cap = cap
        self.limit = min(FIRST, cap)
        # The latency without a queue.
        self._base = inf
        self._searching = True
        # Rounds in a row that were slow, and those among them that were too slow.
        self._slow = self._strikes = 0
        # While half as many are tried: the number and the latency before.
        self._before: tuple[int, float] | None = None
        self._settling = False
        self._resized = -inf
        # This round: when it began and may end; its calls, their seconds, how many are needed, the most in
        # flight.
        self._start = self._ends = -inf
        self._calls = self._peak = 0
        self._enough = self.limit
        self._sum = 0.0
        self._outlier = inf

    def answered(self, sent: float, now: float, in_flight: int) -> None:
        """Take note of a call sent at ``sent`` and answered at ``now``, with ``in_flight`` until then."""
        if sent < self._start:
            return
        latency = now - sent
        self._sum += min(self._outlier, latency)
        self._calls += 1
        self._peak = max(self._peak, in_flight)
        if now >= self._ends and self._calls >= self._enough:
            self._end_round(now)

    def _end_round(self, now: float) -> None:
        latency = max(self._sum / self._calls, _LEAST_LATENCY)
        used = self._peak >= USED * self.limit
        if self._base == inf:
            self._base = latency
        if self._settling:
            # The calls of this round were sent while there were more.
            self._settling = False
        elif self._before is not None:
            self._compare(*self._before, latency)
        elif used:
            self._judge(latency, now)
        self._sum = 0.0
        self._calls = self._peak = 0
        self._start, self._ends = now, now + _ROUND
        # While searching, the places that are new: their calls were sent at once, and meet the whole queue.
        self._enough = (self.limit + 1) // 2 if self._searching else max(self.limit, _ROUND_CALLS)
        self._outlier = _OUTLIER * max(self._base, latency)

    def _judge(self, latency: float, now: float) -> None:
        ratio = latency / self._base
        if ratio < _SAME:
            self._base += (latency - self._base) * (_FALL if ratio < 1.0 else _CREEP)
        if ratio <= GROW:
            self._slow = 0
            self._grow(now)
            return
        self._slow += 1
        if self._slow < _IN_A_ROW:
            return
        held = now - self._resized >= PROBE_AFTER and self._slow >= _PROBE_ROUNDS
        self._strikes = self._strikes + 1 if ratio >= SHRINK else 0
        if (self._strikes >= _IN_A_ROW or held or self._searching) and self.limit > 1:
            self._before = (self.limit, latency)
            self._resize((self.limit + 1) // 2, now)
            self._settling = True

    def _compare(self, limit: int, latency: float, halved: float) -> None:
        """Judge by the latency with half as many in flight whether there was a queue."""
        self._before = None
        if halved > _QUEUED * latency:
            # The server has become slower by itself.
            self._base = halved
            self.limit = limit
            return
        self._searching = False
        if halved <= SHRINK * self._base:
            self._base += (min(self._base, halved) - self._base) * _FALL
            # What is just right for its latency; more than before it cannot be.
            self.limit = max(self.limit, min(limit, int(limit * GROW * self._base / latency)))

    def _grow(self, now: float) -> None:
        self._resize(self.limit * 2 if self._searching else int(self.limit * STEP) + 1, now)

    def _resize(self, limit: int, now: float) -> None:
        self.limit = max(1, min(self._cap, limit))
        self._resized = now
        self._slow = self._strikes = 0
