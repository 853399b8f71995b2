"""Requests a second that follow a store's throttling, without being told what the store allows.

The rate is spaced in time rather than bounded by concurrency: an answer takes a millisecond, so at
a limit of 50 requests a second even one connection is too many.

Additive increase and a cut to 0.7, as in the SDKs' adaptive mode, were measured first, against a
token bucket a tenth of a second deep (`tests/pacing/throttled_store.py`): of 50, 500 and 3,500
requests a second 32 workers used 25, 14 and 18 % between seconds 5 and 15. The first refusal comes a
few milliseconds after the start, so the first cut goes far too low, and a constant increase needs
minutes to find back. So there are two ways to rise:

- *Searching*: after the first cut, which has too little to go by, the rate doubles every second.
- *Known*: once a limit has been met, the rate comes back to it soon, stays near it for most of the
  time, and then leaves it behind ever faster: the curve of CUBIC (RFC 9438), with a higher power.

That uses 99, 99 and 99 % of the same limits, and 0.4, 0.1 and 0.1 % is refused.
"""

from __future__ import annotations

from typing import Final

DECREASE: Final = 0.9
"""A cut goes to this fraction of what the store was accepting. The 0.7 of the SDKs would give away an
eighth of the limit on average; nothing has to be drained here, as queues of a network have."""

PLATEAU: Final = 4.0
"""Seconds from a cut until the rate is where it was refused. A store that refuses again at the same
rate then does so about every eight seconds."""

POWER: Final = 5
"""Of the curve: a limit that has risen to seven times its value is found within 14 seconds; the
third power of CUBIC takes 20."""

COOL_DOWN: Final = 1.0
"""Seconds after a cut in which further throttling counts as part of the same one, unless much of
what was sent since is refused."""

OVERRUN: Final = 0.1
"""The refused share of what was sent since a cut from which on that was not deep enough: then it is
corrected within the cool-down."""

SAMPLE: Final = 100
"""Answers that such a share is taken of at least: ten refusals are needed, for with two the
correction is a guess, and the goodput was up to 10 % lower."""

SPAN: Final = 0.1
"""Seconds since a cut over which it is taken at least. Its bucket is empty then, and what is sent at
once after a stall is refused for a moment at any rate: of 3,500 a second, 10 of the first 17 answers,
within 3 ms, made 1,255 a known limit, and the goodput of the next ten seconds was 36 % (nginx)."""

RELEASE_AFTER: Final = 30.0
"""Seconds of accepted requests that used less than half of the limit after which it is lifted. One
that is used rises by itself until it is not: so nothing is let go in a burst."""

FLOOR: Final = 1.0
"""Requests a second; never less."""

OFFSHOOT: Final = 50.0
"""Requests a second; never less for what was not throttled itself."""

_USED: Final = 0.5
"""A limit of which less than this fraction is used proves nothing, and does not rise."""

_WINDOW: Final = 1.0
"""Seconds over which the accepted rate is measured."""

_CATCH_UP: Final = 0.01
"""Seconds that spacing may make up for: timers wake late, and each would cost its lateness."""


class AdaptiveRate:
    """The limit for one bucket and kind of request, unknown until the store names it by throttling.

    No limit holds until the first `throttled`. That cuts the rate to `DECREASE` times the rate at
    which requests were accepted, and from then on `reserve` spaces requests evenly. While requests
    are accepted the rate rises again as the module says; time in which none is does not count.

    The rate is measured from accepted requests, not from those sent: a client that overruns a limit
    ten times over would need many cuts, and hundreds of throttled requests, to come down to it.

    The unlimited path is kept cheap: callers check `limit is None` and skip `reserve`.

    Args:
        floor: The lowest rate, in requests a second.

    Attributes:
        limit: Requests a second, or None while there is no limit. For reading only.

    Raises:
        ValueError: If `floor` is not positive.
    """

    __slots__ = (
        "_accepted",
        "_credited",
        "_cut_at",
        "_floor",
        "_known",
        "_next",
        "_refused_since",
        "_seen",
        "_start",
        "_taken_since",
        "_unused",
        "limit",
    )

    def __init__(self, floor: float = FLOOR) -> None:
        if floor <= 0:
            raise ValueError(f"the lowest rate must be positive, not {floor}")
        self._floor = floor
        self._accepted = _Window()
        self.limit: float | None = None
        self._next = float("-inf")
        self._cut_at = self._seen = float("-inf")
        # What the store accepted at the last cut; None while that is being searched for.
        self._known: float | None = None
        # Where the doubling began, and the seconds of accepted requests since the cut or that beginning.
        self._start = floor
        self._credited = 0.0
        self._unused = 0.0
        # Answers to requests that were sent after the cut.
        self._taken_since = self._refused_since = 0

    def measured_copy(self) -> AdaptiveRate:
        """Return a rate of its own, still without limit, that starts from what this one has measured."""
        copy = AdaptiveRate(self._floor)
        copy._accepted.take_over(self._accepted)
        return copy

    def offshoot(self, now: float) -> AdaptiveRate:
        """Return a rate of its own for what may or may not share the limit: it searches from there on.

        It starts at `OFFSHOOT` at least, and like any other is lifted where it is not used.
        """
        rate = AdaptiveRate(self._floor)
        rate._cut(max(self.limit or 0.0, OFFSHOOT), now)
        return rate

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

    @property
    def is_known(self) -> bool:
        """Whether the limit has been met, and is not being searched for."""
        return self._known is not None

    def throttled(self, now: float, sent: float, *, met: bool = False) -> bool:
        """Take note of a throttled answer to a request that was sent at `sent`.

        Args:
            now: Seconds of any clock.
            sent: The same clock's when the request was sent.
            met: Whether the rate at which requests were accepted until now is known to be a limit,
                by another rate that most of them had; only the first cut asks.

        Returns:
            Whether it cut the rate. It does not if it says nothing new: if its request was sent
            before the last cut, or within the cool-down while most others are accepted.
        """
        limit = self.limit
        if limit is None:
            accepted = self._accepted.rate(now)
            self._known = accepted if met and accepted > self._floor else None
        else:
            if sent < self._cut_at:
                return False
            self._refused_since += 1
            answers = self._taken_since + self._refused_since
            age = now - self._cut_at
            cooling = age < COOL_DOWN
            if age < SPAN or (cooling and not self._tells(answers)):
                return False
            # Of a limit that is used the accepted share is exact, however few the answers.
            share = limit * self._taken_since / answers
            accepted = share if cooling or self._is_used(now) else self._accepted.rate(now)
            self._known = accepted = max(self._floor, accepted)
        self._cut(max(self._floor, DECREASE * accepted), now)
        return True

    def _tells(self, answers: int) -> bool:
        """Return whether what was refused since the cut, of so many answers, is more than its echo."""
        if self._known is None and answers >= SAMPLE:
            # A search has met the limit; it would be twice as high before the cool-down is over.
            return True
        return self._refused_since >= OVERRUN * max(SAMPLE, answers)

    def _cut(self, limit: float, now: float) -> None:
        self.limit = self._start = limit
        self._cut_at = self._seen = now
        self._credited = self._unused = 0.0
        self._taken_since = self._refused_since = 0
        # What was accepted before the cut says nothing about the rate after it.
        self._accepted.clear(now)

    def succeeded(self, now: float, sent: float) -> None:
        """Take note of an answer that was no throttling: the store took on the request sent at `sent`."""
        self._accepted.count(now)
        if self.limit is None:
            return
        if sent >= self._cut_at:
            self._taken_since += 1
        # Idle time proves nothing, so one answer vouches for a second at most.
        elapsed = min(now - self._seen, 1.0)
        self._seen = now
        if not self._is_used(now):
            self._unused += elapsed
            if self._unused >= RELEASE_AFTER:
                self.limit = None
                self._next = float("-inf")
            return
        self._unused = 0.0
        self._credited += elapsed
        self._rise()

    def _is_used(self, now: float) -> bool:
        if self.limit is None or now - self._cut_at < _WINDOW:
            # What came since a cut does not fill the measure yet.
            return True
        # One more, for a count is in whole requests.
        return self._accepted.rate(now) + 1.0 >= _USED * self.limit

    def _rise(self) -> None:
        if self._known is None:
            self.limit = self._start * 2.0**self._credited
        else:
            way = self._credited / PLATEAU - 1.0
            self.limit = max(self._start, self._known * (1.0 + (1.0 - DECREASE) * way**POWER))


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
