from __future__ import annotations

import heapq
from collections import deque
from itertools import count, pairwise
from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haulyard.pacing.aimd import COOL_DOWN, DECREASE, RELEASE_AFTER, AdaptiveRate
from haulyard.pacing.backoff import THROTTLING_BASE, full_jitter
from haulyard.pacing.budget import THROTTLING_COST, RetryBudget

if TYPE_CHECKING:
    from collections.abc import Callable


def accept(rate: AdaptiveRate, per_second: int, since: float, until: float) -> None:
    """Let requests be accepted at an even pace."""
    for n in range(1, round((until - since) * per_second) + 1):
        rate.succeeded(since + n / per_second)


def throttled_at(per_second: int, now: float) -> AdaptiveRate:
    rate = AdaptiveRate()
    accept(rate, per_second, now - 5.0, now)
    rate.throttled(now)
    return rate


def test_nothing_is_limited_before_the_first_throttle() -> None:
    rate = AdaptiveRate()
    accept(rate, 1000, 0.0, 5.0)
    assert rate.limit is None
    assert [rate.reserve(5.0) for _ in range(100)] == [0.0] * 100


@pytest.mark.parametrize("per_second", [10, 100, 5000])
def test_a_throttle_cuts_to_a_fraction_of_what_was_accepted(per_second: int) -> None:
    rate = throttled_at(per_second, 100.25)
    assert rate.limit == pytest.approx(DECREASE * per_second, rel=0.11)


def test_a_burst_in_a_young_run_counts_as_one_seconds_worth() -> None:
    rate = AdaptiveRate()
    accept(rate, 10_000, 0.0, 0.005)
    assert rate.throttled(0.005)
    assert rate.limit == pytest.approx(DECREASE * 50)


def test_what_was_accepted_long_ago_does_not_count() -> None:
    rate = AdaptiveRate()
    accept(rate, 1000, 0.0, 5.0)
    rate.throttled(60.0)
    assert rate.limit == 1.0


def test_several_throttles_of_one_burst_are_one_cut() -> None:
    rate = throttled_at(1000, 100.0)
    limit = rate.limit
    assert not any(rate.throttled(100.0 + late) for late in (0.0, 0.2, 0.9 * COOL_DOWN))
    assert rate.limit == limit


def test_throttling_after_the_cool_down_cuts_again_by_what_was_accepted_since() -> None:
    rate = throttled_at(1000, 100.0)
    accept(rate, 50, 100.0, 101.5)
    assert rate.throttled(101.5)
    assert rate.limit == pytest.approx(DECREASE * 50, rel=0.05)


def test_a_second_cut_starts_from_the_limit_where_late_answers_exceed_it() -> None:
    rate = throttled_at(100, 100.0)
    accept(rate, 1000, 100.0, 101.0)
    assert rate.limit is not None
    before = rate.limit
    rate.throttled(101.0)
    assert rate.limit == pytest.approx(DECREASE * before)


def test_the_rate_never_falls_below_its_floor() -> None:
    rate = AdaptiveRate(floor=2.5)
    for second in range(10):
        rate.throttled(100.0 + second)
    assert rate.limit == 2.5


def test_a_floor_is_positive() -> None:
    with pytest.raises(ValueError, match="positive"):
        AdaptiveRate(floor=0.0)


def test_a_measured_copy_starts_from_the_same_measure_and_goes_its_own_way() -> None:
    rate = AdaptiveRate()
    accept(rate, 100, 95.0, 100.0)
    copy = rate.measured_copy()
    assert copy.limit is None
    copy.throttled(100.0)
    assert copy.limit == pytest.approx(DECREASE * 100, rel=0.05)
    assert rate.limit is None


def test_requests_are_spaced_by_time() -> None:
    rate = throttled_at(100, 100.0)
    assert rate.limit == pytest.approx(70, rel=0.05)
    delays = [rate.reserve(100.0) for _ in range(71)]
    assert delays[0] == 0.0
    assert delays[-1] == pytest.approx(1.0, abs=0.05)


def test_one_serial_connection_keeps_to_the_rate() -> None:
    rate = throttled_at(50, 100.0)
    assert rate.limit is not None
    expected = 2.0 * rate.limit
    now, sent = 100.0, 0
    while now < 102.0:
        now += rate.reserve(now) + 0.001
        sent += 1
    assert sent == pytest.approx(expected, abs=2)


def test_late_timers_do_not_slow_it_down() -> None:
    rate = throttled_at(1000, 100.0)
    assert rate.limit is not None
    expected = 5.0 * rate.limit
    now, sent = 100.0, 0
    while now < 105.0:
        delay = rate.reserve(now)
        now += delay + (0.0009 if delay else 0.0)
        sent += 1
    assert sent == pytest.approx(expected, rel=0.01)


def test_the_rate_rises_by_a_constant_each_second() -> None:
    rate = throttled_at(100, 100.0)
    limits = [rate.limit]
    for second in range(5):
        accept(rate, 100, 100.0 + second, 101.0 + second)
        limits.append(rate.limit)
    rises = [b - a for a, b in pairwise(limits) if a is not None and b is not None]
    assert rises == pytest.approx([7.0] * 5, rel=0.05)


def test_idle_time_does_not_raise_the_rate() -> None:
    rate = throttled_at(100, 100.0)
    assert rate.limit is not None
    before = rate.limit
    rate.succeeded(100.0 + 3600.0)
    assert rate.limit == pytest.approx(1.1 * before)


def test_the_limit_is_lifted_after_a_good_while() -> None:
    rate = throttled_at(100, 100.0)
    cut = rate.limit
    assert cut is not None
    accept(rate, 100, 100.0, 100.0 + RELEASE_AFTER - 0.5)
    assert rate.limit == pytest.approx(4 * cut, rel=0.05)
    rate.reserve(129.0)
    accept(rate, 100, 129.5, 130.5)
    assert rate.limit is None
    assert rate.reserve(130.5) == 0.0


def test_after_the_limit_was_lifted_a_throttle_sets_a_new_one() -> None:
    rate = throttled_at(100, 100.0)
    accept(rate, 2000, 100.0, 140.25)
    assert rate.limit is None
    assert rate.throttled(140.25)
    assert rate.limit == pytest.approx(DECREASE * 2000, rel=0.01)


@given(st.lists(st.tuples(st.sampled_from(["reserve", "throttled", "succeeded"]), st.floats(0, 3))))
def test_delays_are_never_negative_and_the_rate_never_below_the_floor(steps: list[tuple[str, float]]) -> None:
    rate = AdaptiveRate()
    now = 1000.0
    for step, pause in steps:
        now += pause
        if step == "reserve":
            assert rate.reserve(now) >= 0.0
        elif step == "throttled":
            rate.throttled(now)
        else:
            rate.succeeded(now)
        assert rate.limit is None or rate.limit >= 1.0


class Simulation:
    """Clients that never rest (5 ms a request) against a store with a token bucket."""

    def __init__(self, capacity: float, burst: float, clients: int = 64) -> None:
        self.random, self.rate, self.budget = Random(7), AdaptiveRate(), RetryBudget()
        self.capacity, self.burst = capacity, burst
        self.tokens, self.refilled = burst, 0.0
        self.accepted = self.throttled = 0
        self.leanest_budget = self.budget.available
        self.waiting: deque[int] = deque()
        self.reserving = False
        self.order = count()
        self.agenda: list[tuple[float, int, Callable[[float, int], None], int]] = []
        for _ in range(clients):
            self.then(self.random.random() * 0.005, self.ask, 0)

    def then(self, at: float, step: Callable[[float, int], None], attempt: int) -> None:
        heapq.heappush(self.agenda, (at, next(self.order), step, attempt))

    def run(self, seconds: float) -> None:
        while self.agenda[0][0] < seconds:
            now, _, step, attempt = heapq.heappop(self.agenda)
            step(now, attempt)

    def ask(self, now: float, attempt: int) -> None:
        if self.reserving:
            self.waiting.append(attempt)
        elif self.rate.limit is None:
            self.then(now + 0.0025, self.arrive, attempt)
        else:
            self.reserving = True
            self.then(now + self.rate.reserve(now), self.granted, attempt)

    def granted(self, now: float, attempt: int) -> None:
        self.then(now + 0.0025, self.arrive, attempt)
        self.reserving = bool(self.waiting)
        if self.waiting:
            self.then(now + self.rate.reserve(now), self.granted, self.waiting.popleft())

    def arrive(self, now: float, attempt: int) -> None:
        self.tokens = min(self.burst, self.tokens + (now - self.refilled) * self.capacity)
        self.refilled = now
        if self.tokens >= 1:
            self.tokens -= 1
            self.then(now + 0.0025, self.accept, attempt)
        else:
            self.then(now + 0.0025, self.throttle, attempt)

    def accept(self, now: float, attempt: int) -> None:
        self.accepted += 1
        self.rate.succeeded(now)
        self.budget.succeeded(THROTTLING_COST if attempt else 0)
        self.then(now, self.ask, 0)

    def throttle(self, now: float, attempt: int) -> None:
        self.throttled += 1
        self.rate.throttled(now)
        assert self.budget.spend(THROTTLING_COST), "the job would have stopped"
        self.leanest_budget = min(self.leanest_budget, self.budget.available)
        delay = full_jitter(attempt + 1, THROTTLING_BASE, random=self.random.random)
        self.then(now + delay, self.ask, attempt + 1)


@pytest.mark.parametrize("capacity", [50, 500, 3500])
def test_sixty_four_clients_settle_at_what_the_store_bears(capacity: int) -> None:
    store = Simulation(capacity, burst=capacity)
    store.run(30.0)
    assert store.accepted >= 0.9 * capacity * 30
    assert store.throttled <= 0.06 * store.accepted
    # The first wave hits everyone at once; it must leave the job able to go on.
    assert store.leanest_budget >= 150


def test_a_store_without_any_burst_is_approached_from_below() -> None:
    store = Simulation(50, burst=1)
    store.run(60.0)
    assert store.accepted >= 0.4 * 50 * 60
    assert store.leanest_budget >= 150
