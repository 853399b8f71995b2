"""When the next call may be sent: the limits, what refusals cost, and how many calls are in flight.

What is decided stands in `haulyard.pacing`; here are the queue of those who wait and the one timer.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from contextlib import suppress
from math import inf
from typing import TYPE_CHECKING, Final

from haulyard.pacing.concurrency import Concurrency
from haulyard.pacing.recovery import Recovery
from haulyard.pacing.window import EARLY, Latencies, Limit, Window

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["CAP", "EVEN", "Limit", "Pacer"]

CAP: Final = 1024
"""Calls in flight at most, unless told otherwise: each may be a connection, and as many open files is what
most systems allow."""

EVEN: Final = 60.0
"""Seconds; limits of longer periods are quotas: they are counted, kept across runs, and not spread out, so
that 10,000 calls of a day's 1,000,000 do not take the quarter of an hour that is their share."""


class Pacer:
    """Gives each call its turn, first come, first served.

    A call takes a `turn`, is sent, and is told of by `ended`; a retry does so again. Belongs to one event
    loop, and its methods, `turn` aside, may be called from a task or callback of that loop only.

    Args:
        limits: All of them hold. Those of up to `EVEN` seconds, or the shortest, are spaced evenly.
        clock: Seconds, monotonic.
        wall: POSIX seconds, for what outlives the process.
        cap: Calls in flight at most.

    Attributes:
        in_flight: Calls that have had their turn and have not ended.
        pauses: How often everything was paused.

    Raises:
        ValueError: If a limit or the cap is less than 1, or a period not positive.
    """

    def __init__(
        self,
        limits: Sequence[Limit] = (),
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        cap: int = CAP,
    ) -> None:
        even = max(EVEN, min((limit.seconds for limit in limits), default=EVEN))
        self._clock = clock
        self._wall = wall
        self._latencies = Latencies()
        self._windows = [
            Window(limit, self._latencies, spaced=limit.seconds <= even)
            for limit in sorted(limits, key=lambda limit: limit.seconds)
        ]
        self._full = min((calls / seconds for calls, seconds in limits if seconds <= even), default=None)
        self._recovery = Recovery(self._full)
        self._concurrency = Concurrency(cap)
        self._waiting: deque[asyncio.Future[float]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._paused_until = -inf
        self._paused = 0.0
        self.in_flight = 0
        self.pauses = 0

    async def turn(self) -> float:
        """Wait until a call may be sent, and return the time of this grant for `ended`.

        Does not suspend where the grant is due, a place in flight is free, and nobody waits.
        """
        if not self._waiting and self.in_flight < self._concurrency.limit:
            now = self._clock()
            if self._take(now) <= now:
                return now
        waiter: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        if self._timer is None:
            self._serve()
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.cancelled():
                with suppress(ValueError):  # passed over already
                    self._waiting.remove(waiter)
            else:
                self._give_back()
            raise

    def ended(self, grant: float, latency_ok: bool = True) -> None:  # noqa: FBT001, FBT002 (once per call: positional)
        """Take note that the call of ``grant`` was answered, or given up.

        ``latency_ok`` is False where the time that it took says nothing of the server: it was refused, or
        given up without an answer.
        """
        now = self._clock()
        if latency_ok:
            self._concurrency.answered(grant, now, self.in_flight)
        self.in_flight -= 1
        if self._windows:
            self._latencies.note(now - grant, now, answered=latency_ok)
            for window in self._windows:
                window.ended(now, answered=latency_ok)
        if self._waiting and self._timer is None:
            self._serve()

    def refused(self, wait: float | None = None, *, grant: float = inf) -> float:
        """Take note of a 429, or a 503 that says when to come back: pause everything, and slow down.

        Args:
            wait: Seconds that the answer asks for. Without them 1, doubling up to 60 while each pause is
                followed by a refusal within as long again.
            grant: That of the refused call (which is told of by `ended` as well): what was sent before
                the rate was cut does not cut it once more.

        Returns:
            The seconds of the pause.
        """
        seconds = self._recovery.refused(self._clock(), wait, sent=grant)
        self.pause(seconds)
        return seconds

    def pause(self, seconds: float) -> None:
        """Give no turn for so many seconds from now."""
        now = self._clock()
        until = now + seconds
        if until <= max(now, self._paused_until):
            return
        self.pauses += now >= self._paused_until
        self._paused += until - max(now, self._paused_until)
        self._paused_until = until

    @property
    def paused_seconds(self) -> float:
        """Seconds spent in pauses until now."""
        return self._paused - max(0.0, self._paused_until - self._clock())

    @property
    def rate(self) -> float | None:
        """Calls a second that are allowed now, None where nothing limits them."""
        return self._recovery.rate(self._clock()) or self._full

    @property
    def limit_in_flight(self) -> int:
        """The most calls that may be in flight now."""
        return self._concurrency.limit

    def snapshot(self) -> list[tuple[float, int]]:
        """Return how many calls ended when (POSIX seconds), for `restore`; as JSON at most 40 KB.

        Empty unless a limit's period is longer than `EVEN`: a shorter one is waited out. Calls in flight
        count as ending now.
        """
        if not self._windows or self._windows[-1].limit.seconds <= EVEN:
            return []
        now, wall = self._clock(), self._wall()
        ends = sorted((wall - max(0.0, now - at), count) for at, count in self._windows[-1].ends())
        return [*ends, (wall, self.in_flight)] if self.in_flight else ends

    def restore(self, ends: Sequence[tuple[float, int]], *, unrecorded: int = 0) -> None:
        """Count the calls of an earlier run against the limits longer than `EVEN`; before the first `turn`.

        Args:
            ends: A snapshot.
            unrecorded: Calls that may have been sent since it was taken; they count as of now.
        """
        now, wall = self._clock(), self._wall()
        known = [(now - max(0.0, wall - at), count) for at, count in ends]
        if unrecorded:
            known.append((now, unrecorded))
        for window in self._windows:
            if window.limit.seconds > EVEN:
                window.restore(known)

    def _take(self, now: float) -> float:
        """Take a grant now, if one is due; return the time when it is, at most ``now`` if it was taken."""
        at = now
        if now < self._paused_until:
            at = self._paused_until + EARLY
        for window in self._windows:
            at = max(at, window.earliest(now))
        recovery = self._recovery
        if recovery.is_cut:
            at = max(at, recovery.earliest())
        if at > now + EARLY:
            return at
        for window in self._windows:
            window.take(at)
        if recovery.is_cut:
            recovery.take(at)
        recovery.sent(now)
        self.in_flight += 1
        return now

    def _serve(self) -> None:
        """Give those who wait their turns as far as they are due, and set the timer for the next."""
        waiting = self._waiting
        now = self._clock()
        while waiting:
            if waiting[0].done():  # cancelled, and its task has not run yet
                waiting.popleft()
                continue
            if self.in_flight >= self._concurrency.limit:
                return
            at = self._take(now)
            if at > now:
                if at < inf:
                    self._timer = asyncio.get_running_loop().call_later(at - now, self._ring)
                return
            waiting.popleft().set_result(now)

    def _ring(self) -> None:
        self._timer = None
        self._serve()

    def _give_back(self) -> None:
        """Return the place and the grant of a waiter that was cancelled before it could send anything."""
        self.in_flight -= 1
        for window in self._windows:
            window.give_back()
        if self._waiting and self._timer is None:
            self._serve()
