"""A client that keeps to limits and always has something to send, and the server's log; no time passes."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

from haulyard.pacing.window import EARLY, Latencies, Limit, Window

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def never(_: Random) -> float:
    """No delay."""
    return 0.0


def most_in_any_window(times: Sequence[float], period: float) -> int:
    """The largest number of times within one period, one of its ends included.

    A millionth less than a period: sums of floats are not exact.
    """
    most = first = 0
    for last, time in enumerate(times):
        while times[first] <= time - period + 1e-6:
            first += 1
        most = max(most, last - first + 1)
    return most


@dataclass(frozen=True, slots=True)
class Way:
    """How calls get to the server and back: seconds there, there and work and back, and what comes on top."""

    there: float = 0.0002
    back: float = 0.0003
    late_there: Callable[[Random], float] = never
    late_back: Callable[[Random], float] = never
    #: Seconds that a new connection takes first, and those after which one that is idle is dropped.
    connect: float = 0.0
    idle: float = 4.0


@dataclass(slots=True)
class Client:
    """Sends at every time that the windows name, its timer up to a millisecond late."""

    limits: Sequence[Limit]
    way: Way = field(default_factory=Way)
    seed: int = 7
    now: float = 1000.0
    arrivals: list[float] = field(default_factory=list)
    grants: list[float] = field(default_factory=list)

    _random: Random = field(init=False)
    _windows: list[Window] = field(init=False)
    _latencies: Latencies = field(default_factory=Latencies)
    _answers: list[tuple[float, float]] = field(default_factory=list)
    _idle: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._random = Random(self.seed)
        self._windows = [Window(limit, self._latencies) for limit in self.limits]

    def send(self, seconds: float) -> None:
        """Send what may be sent for so long."""
        until = self.now + seconds
        while True:
            self._hear()
            at = max(window.earliest(self.now) for window in self._windows)
            if at <= self.now + EARLY:
                self._send(at)
                continue
            answer = self._answers[0][0] if self._answers else float("inf")
            self.now = min(answer, at + self._random.uniform(-EARLY, EARLY), until)
            if self.now >= until:
                return

    def idle(self, seconds: float) -> None:
        """Send nothing for so long, but hear the answers."""
        until = self.now + seconds
        while self._answers and self._answers[0][0] <= until:
            self.now = max(self.now, self._answers[0][0])
            self._hear()
        self.now = until

    def stall(self, seconds: float) -> None:
        """Neither send nor hear for so long: the event loop is busy."""
        self.now += seconds

    def log(self) -> list[float]:
        """The server's: when calls arrived."""
        return sorted(self.arrivals)

    def _send(self, at: float) -> None:
        for window in self._windows:
            window.take(at)
        random, way = self._random, self.way
        # Connections are taken last in, first out, as pools do.
        warm = self._idle and self.now - self._idle.pop() < way.idle
        arrival = self.now + way.there + way.late_there(random)
        if not warm:
            arrival += way.connect * random.uniform(0.25, 1.0)
        self.grants.append(self.now)
        self.arrivals.append(arrival)
        heapq.heappush(self._answers, (arrival + way.back + way.late_back(random), self.now))

    def _hear(self) -> None:
        while self._answers and self._answers[0][0] <= self.now:
            _, sent = heapq.heappop(self._answers)
            self._idle.append(self.now)
            self._latencies.note(self.now - sent, self.now)
            for window in self._windows:
                window.ended(self.now)
