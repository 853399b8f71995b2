"""Clients with an adaptive rate against a store that throttles, on a clock of their own: no time passes."""

from __future__ import annotations

import heapq
from collections import Counter, deque
from itertools import count
from random import Random
from typing import TYPE_CHECKING

from haulyard.pacing.aimd import AdaptiveRate
from haulyard.pacing.backoff import THROTTLING_BASE, full_jitter

if TYPE_CHECKING:
    from collections.abc import Callable

#: Seconds by which a timer is late at most: event loops count in milliseconds.
_LATENESS = 0.001


class Simulation:
    """The clock, and a store that takes what its token bucket has and refuses the rest.

    ``capacity`` is requests a second at a time, ``burst`` the depth of the bucket in seconds of capacity; it
    holds one request at least, and starts full.
    """

    def __init__(self, capacity: Callable[[float], float], burst: float = 0.1, seed: int = 7) -> None:
        self.random = Random(seed)
        self.now = 0.0
        self.accepted: Counter[int] = Counter()
        self.refused: Counter[int] = Counter()
        self._capacity = capacity
        self._burst = burst
        self._tokens = max(1.0, burst * capacity(0.0))
        self._refilled = 0.0
        self._order = count()
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []

    def after(self, delay: float, step: Callable[[], None]) -> None:
        """Do ``step`` in ``delay`` seconds."""
        heapq.heappush(self._agenda, (self.now + delay, next(self._order), step))

    def run(self, until: float) -> None:
        """Let the clock go on."""
        while self._agenda[0][0] < until:
            self.now, _, step = heapq.heappop(self._agenda)
            step()

    def takes(self) -> bool:
        """Whether the store accepts a request that arrives now."""
        capacity = self._capacity(self.now)
        depth = max(1.0, self._burst * capacity)
        self._tokens = min(depth, self._tokens + (self.now - self._refilled) * capacity)
        self._refilled = self.now
        taken = self._tokens >= 1
        if taken:
            self._tokens -= 1
        (self.accepted if taken else self.refused)[int(self.now)] += 1
        return taken

    def goodput(self, since: int, until: int) -> float:
        """Return what was accepted a second."""
        return sum(self.accepted[second] for second in range(since, until)) / (until - since)

    def refused_share(self, since: int, until: int) -> float:
        """Return which part of the requests was refused."""
        refused = sum(self.refused[second] for second in range(since, until))
        return refused / max(1.0, refused + self.goodput(since, until) * (until - since))


class Client:
    """Workers that never rest; an object needs a request of each of ``kinds`` kinds, one after the other."""

    def __init__(
        self,
        simulation: Simulation,
        *,
        latency: float = 0.005,
        workers: int = 32,
        kinds: int = 1,
        starts: float = 0.0,
        ends: float = float("inf"),
    ) -> None:
        self.rates = [AdaptiveRate() for _ in range(kinds)]
        self.refused = 0
        self.objects = 0
        self._simulation = simulation
        self._latency = latency
        self._ends = ends
        self._queues: list[deque[Callable[[], None]]] = [deque() for _ in range(kinds)]
        self._taking = [False] * kinds
        for _ in range(workers):
            simulation.after(starts + simulation.random.random() * latency, _Worker(self, simulation).begin)

    def half_way(self) -> float:
        """Return how long a message takes to the store or back."""
        return self._latency * (0.4 + 0.2 * self._simulation.random.random())

    @property
    def ended(self) -> bool:
        return self._simulation.now >= self._ends

    def turn(self, kind: int, step: Callable[[], None]) -> None:
        """Do ``step`` when the rate of that kind allows it, in the order of asking."""
        if self._taking[kind]:
            self._queues[kind].append(step)
        elif self.rates[kind].limit is None:
            step()
        else:
            self._take(kind, step)

    def _take(self, kind: int, step: Callable[[], None]) -> None:
        def granted() -> None:
            queue = self._queues[kind]
            self._taking[kind] = bool(queue)
            step()
            if queue:
                self._take(kind, queue.popleft())

        simulation = self._simulation
        self._taking[kind] = True
        delay = self.rates[kind].reserve(simulation.now)
        simulation.after(delay + simulation.random.random() * _LATENESS if delay else 0.0, granted)


class _Worker:
    def __init__(self, client: Client, simulation: Simulation) -> None:
        self._client = client
        self._simulation = simulation
        self._kind = 0
        self._attempt = 0
        self._sent = 0.0

    def begin(self) -> None:
        if not self._client.ended:
            self._client.turn(self._kind, self._send)

    def _send(self) -> None:
        self._sent = self._simulation.now
        self._simulation.after(self._client.half_way(), self._arrive)

    def _arrive(self) -> None:
        answer = self._accepted if self._simulation.takes() else self._throttled
        self._simulation.after(self._client.half_way(), answer)

    def _accepted(self) -> None:
        client = self._client
        client.rates[self._kind].succeeded(self._simulation.now, self._sent)
        self._attempt = 0
        self._kind = (self._kind + 1) % len(client.rates)
        client.objects += self._kind == 0
        self.begin()

    def _throttled(self) -> None:
        self._client.refused += 1
        self._client.rates[self._kind].throttled(self._simulation.now, self._sent)
        self._attempt += 1
        delay = full_jitter(self._attempt, THROTTLING_BASE, random=self._simulation.random.random)
        self._simulation.after(delay, self.begin)
