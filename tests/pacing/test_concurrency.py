from __future__ import annotations

import heapq
from collections import deque
from itertools import count
from random import Random
from typing import TYPE_CHECKING

import pytest

from haulyard.pacing.concurrency import FIRST, Concurrency

if TYPE_CHECKING:
    from collections.abc import Callable

CAP = 1024


def evenly(random: Random) -> float:
    """A tenth more or less."""
    return random.uniform(0.9, 1.1)


def exponentially(random: Random) -> float:
    """As service times of databases are said to be."""
    return random.expovariate(1.0)


def with_a_tail(random: Random) -> float:
    """One in a hundred takes a hundred times as long."""
    return 100.0 if random.random() < 0.01 else random.uniform(0.9, 1.1)


class Crowd:
    """A client that always has something to send, and a server with so many workers and one queue.

    `service` is the seconds of one call, times what `spread` draws; `rate` calls a second are sent at most.
    """

    def __init__(
        self,
        workers: float,
        service: float,
        *,
        cap: int = CAP,
        rate: float = float("inf"),
        spread: Callable[[Random], float] = evenly,
    ) -> None:
        self.concurrency = Concurrency(cap)
        self.workers = workers
        self.service = service
        self.now = 0.0
        self.answers: list[float] = []
        #: Seconds that workers worked, all together.
        self.worked = 0.0
        self.limits: list[tuple[float, int]] = []
        self._gap = 1.0 / rate
        self._next = 0.0
        self._woken = False
        self._spread = spread
        self._random = Random(7)
        self._order = count()
        self._agenda: list[tuple[float, int, float | None]] = []
        self._queue: deque[float] = deque()
        self.working = self.in_flight = 0

    def run(self, seconds: float) -> None:
        until = self.now + seconds
        self._send()
        while self._agenda and self._agenda[0][0] < until:
            before = self.now
            self.now, _, sent = heapq.heappop(self._agenda)
            self.worked += self.working * (self.now - before)
            if sent is None:
                self._woken = False
            else:
                self._answer(sent)
            self._send()
        self.now = until

    def throughput(self, since: float) -> float:
        return sum(at >= since for at in self.answers) / (self.now - since)

    def most(self, since: float) -> int:
        return max(limit for at, limit in self.limits if at >= since)

    def _answer(self, sent: float) -> None:
        self.working -= 1
        self._work()
        self.concurrency.answered(sent, self.now, self.in_flight)
        self.in_flight -= 1
        self.answers.append(self.now)
        self.limits.append((self.now, self.concurrency.limit))

    def _send(self) -> None:
        while self.in_flight < self.concurrency.limit:
            if self._next > self.now:
                if self._woken:
                    return
                self._woken = True
                heapq.heappush(self._agenda, (self._next, next(self._order), None))
                return
            self._next = max(self._next, self.now) + self._gap
            self.in_flight += 1
            self._queue.append(self.now)
            self._work()

    def _work(self) -> None:
        while self._queue and self.working < self.workers:
            self.working += 1
            ready = self.now + self.service * self._spread(self._random)
            heapq.heappush(self._agenda, (ready, next(self._order), self._queue.popleft()))


@pytest.mark.parametrize(("spread", "busy"), [(evenly, 0.97), (exponentially, 0.85), (with_a_tail, 0.85)])
@pytest.mark.parametrize(
    ("workers", "service", "settled"),
    [
        (1, 0.0005, 1),
        (4, 0.0005, 1),
        (8, 0.020, 1),
        (100, 0.020, 1),
        (4, 0.5, 8),
        (64, 0.5, 3),
        (256, 0.5, 4),
    ],
)
def test_a_server_is_used_fully_and_its_queue_stays_short(
    workers: int, service: float, settled: float, spread: Callable[[Random], float], busy: float
) -> None:
    crowd = Crowd(workers, service, spread=spread)
    crowd.run(settled)
    before, seconds = crowd.worked, 100 * max(service, 0.02)
    crowd.run(seconds)
    assert crowd.worked - before >= busy * workers * seconds
    assert crowd.most(settled + seconds / 2) <= max(2.5 * workers, 4 * FIRST)


@pytest.mark.parametrize(("service", "settled"), [(0.0005, 0.3), (0.020, 0.5), (0.5, 5)])
def test_a_server_that_never_queues_gets_all_that_may_be_in_flight(service: float, settled: float) -> None:
    crowd = Crowd(float("inf"), service, cap=256)
    crowd.run(settled)
    assert crowd.concurrency.limit == 256


def test_what_a_rate_needs_in_flight_is_reached_and_no_more_is_allowed_for() -> None:
    crowd = Crowd(float("inf"), 0.2, cap=5000, rate=5000)
    crowd.run(2.5)
    crowd.run(5)
    assert crowd.throughput(2.5) >= 0.99 * 5000
    assert crowd.most(0) <= 2 * 5000 * 0.2 / 0.9


def test_the_queue_does_not_grow_in_the_long_run() -> None:
    crowd = Crowd(20, 0.02)
    crowd.run(300)
    assert crowd.most(1) <= 50


def test_a_server_that_becomes_slower_by_itself_is_not_mistaken_for_a_queue() -> None:
    crowd = Crowd(float("inf"), 0.02, cap=256)
    crowd.run(2)
    crowd.service = 0.1
    crowd.run(10)
    assert crowd.concurrency.limit == 256


def test_a_server_that_loses_its_workers_gets_fewer_calls_and_more_once_they_are_back() -> None:
    crowd = Crowd(100, 0.02)
    crowd.run(3)
    crowd.workers = 10
    crowd.run(20)
    assert crowd.concurrency.limit <= 40
    crowd.workers = 100
    crowd.run(5)
    worked = crowd.worked
    crowd.run(5)
    assert crowd.worked - worked >= 0.95 * 100 * 5


def test_one_stall_of_our_own_changes_nothing() -> None:
    concurrency = Concurrency(64)
    now = 0.0
    for round_ in range(100):
        sent, now = now, now + (0.150 if round_ == 80 else 0.025)
        for _ in range(concurrency.limit):
            concurrency.answered(sent, now, concurrency.limit)
    assert concurrency.limit == 64


def test_places_that_are_not_used_are_not_added_to() -> None:
    concurrency = Concurrency(CAP)
    for call in range(10_000):
        concurrency.answered(call / 1000, call / 1000 + 0.005, 5)
    assert concurrency.limit == FIRST


def test_there_is_always_one_and_never_more_than_the_cap() -> None:
    assert Concurrency(3).limit == 3
    crowd = Crowd(1, 0.02, cap=1)
    crowd.run(2)
    assert {limit for _, limit in crowd.limits} == {1}
    with pytest.raises(ValueError, match="at least one"):
        Concurrency(0)
