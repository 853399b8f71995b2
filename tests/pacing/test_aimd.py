from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.pacing.throttled_store import Client, Simulation

from haulyard.pacing.aimd import (
    COOL_DOWN,
    DECREASE,
    OFFSHOOT,
    OVERRUN,
    PLATEAU,
    RELEASE_AFTER,
    SAMPLE,
    SPAN,
    AdaptiveRate,
)

LATENCY = 0.001


def accept(rate: AdaptiveRate, per_second: float, since: float, until: float) -> None:
    """Let requests be accepted at an even pace."""
    for n in range(1, round((until - since) * per_second) + 1):
        now = since + n / per_second
        rate.succeeded(now, now - LATENCY)


def use_up(rate: AdaptiveRate, since: float, seconds: float) -> float:
    """Let the store accept all that the limit allows; return the time of the last answer."""
    now = since
    while rate.limit is not None and now + 1.0 / rate.limit <= since + seconds:
        now += 1.0 / rate.limit
        rate.succeeded(now, now)
    return now


def limit_of(rate: AdaptiveRate) -> float:
    assert rate.limit is not None
    return rate.limit


def throttled_at(per_second: float, now: float) -> AdaptiveRate:
    rate = AdaptiveRate()
    accept(rate, per_second, now - 5.0, now)
    rate.throttled(now, now - LATENCY)
    return rate


def known_at(per_second: float, now: float) -> tuple[AdaptiveRate, float]:
    """Return a rate whose search has just ended at a limit, and the time."""
    rate = throttled_at(per_second / 2, now)
    while limit_of(rate) < per_second:
        now = use_up(rate, now, 0.05)
    assert rate.throttled(now, now)
    return rate, now


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
    assert rate.throttled(0.005, 0.004)
    assert rate.limit == pytest.approx(DECREASE * 50)


def test_what_was_accepted_long_ago_does_not_count() -> None:
    rate = AdaptiveRate()
    accept(rate, 1000, 0.0, 5.0)
    rate.throttled(60.0, 60.0)
    assert rate.limit == 1.0


def test_several_throttles_of_one_burst_are_one_cut() -> None:
    rate = throttled_at(1000, 100.0)
    limit = rate.limit
    assert not any(rate.throttled(100.0 + late, 100.0) for late in (0.1, 0.2, 0.9 * COOL_DOWN))
    assert rate.limit == limit


def test_late_answers_to_what_was_sent_before_a_cut_say_nothing_about_it() -> None:
    rate = throttled_at(1000, 100.0)
    limit = rate.limit
    assert not any(rate.throttled(105.0, 99.9) for _ in range(100))
    assert rate.limit == limit


def test_a_cut_that_was_not_deep_enough_is_corrected_at_once() -> None:
    rate = throttled_at(1000, 100.0)
    enough = round(OVERRUN * SAMPLE)
    accept(rate, 1000, 100.02, 100.02 + enough / 1000)
    limit = limit_of(rate)
    after = 100.04 + SPAN
    cuts = [rate.throttled(after + n / 1000, after + n / 1000 - 0.01) for n in range(enough)]
    assert cuts == [False] * (enough - 1) + [True]
    assert rate.limit == pytest.approx(DECREASE * limit / 2, rel=0.01)


def test_what_is_refused_right_after_a_cut_does_not_deepen_it() -> None:
    # What was held up by a stall goes out at once, and the store's bucket is still empty.
    rate = throttled_at(3500, 100.0)
    accept(rate, 2000, 100.0, 100.0 + 7 / 2000)
    limit = limit_of(rate)
    assert not any(rate.throttled(100.004 + n / 10_000, 100.003) for n in range(20))
    assert limit_of(rate) == limit


def test_a_search_that_meets_the_limit_ends_at_once() -> None:
    rate = throttled_at(1000, 100.0)
    accept(rate, 1000, 100.0, 100.0 + SPAN)
    accept(rate, 1000, 100.1, 100.2)
    limit = limit_of(rate)
    assert rate.throttled(100.2, 100.19)
    assert rate.is_known
    assert rate.limit == pytest.approx(DECREASE * limit, rel=0.01)


def test_a_used_limit_is_cut_by_the_share_that_was_refused() -> None:
    rate = throttled_at(100, 100.0)
    accept(rate, 180, 100.0, 101.5)
    limit = limit_of(rate)
    assert rate.throttled(101.5, 101.4)
    assert rate.limit == pytest.approx(DECREASE * limit * 270 / 271, rel=0.01)


def test_an_unused_limit_is_cut_to_what_was_accepted() -> None:
    rate = throttled_at(1000, 100.0)
    accept(rate, 50, 100.0, 101.5)
    assert rate.throttled(101.5, 101.4)
    assert rate.limit == pytest.approx(DECREASE * 50, rel=0.05)


def test_the_rate_never_falls_below_its_floor() -> None:
    rate = AdaptiveRate(floor=2.5)
    for second in range(10):
        rate.throttled(100.0 + second, 100.0 + second)
    assert rate.limit == 2.5


def test_a_floor_is_positive() -> None:
    with pytest.raises(ValueError, match="positive"):
        AdaptiveRate(floor=0.0)


def test_a_measured_copy_starts_from_the_same_measure_and_goes_its_own_way() -> None:
    rate = AdaptiveRate()
    accept(rate, 100, 95.0, 100.0)
    copy = rate.measured_copy()
    assert copy.limit is None
    copy.throttled(100.0, 99.9)
    assert copy.limit == pytest.approx(DECREASE * 100, rel=0.05)
    assert rate.limit is None


def test_a_limit_that_another_rate_has_met_is_not_searched_for_again() -> None:
    rate = AdaptiveRate()
    accept(rate, 1000, 95.0, 100.0)
    assert rate.throttled(100.0, 99.9, met=True)
    assert rate.is_known
    use_up(rate, 100.0, PLATEAU)
    assert rate.limit == pytest.approx(1000, rel=0.01)


def test_an_offshoot_starts_at_the_limit_and_searches_from_there() -> None:
    rate = throttled_at(1000, 100.0)
    offshoot = rate.offshoot(100.0)
    assert offshoot.limit == rate.limit
    use_up(offshoot, 100.0, 2.0)
    assert limit_of(offshoot) > 3 * 900


def test_an_offshoot_of_a_low_limit_starts_above_it() -> None:
    assert throttled_at(2, 100.0).offshoot(100.0).limit == OFFSHOOT


def test_requests_are_spaced_by_time() -> None:
    rate = throttled_at(100, 100.0)
    assert rate.limit == pytest.approx(90, rel=0.05)
    delays = [rate.reserve(100.0) for _ in range(round(limit_of(rate)) + 1)]
    assert delays[0] == 0.0
    assert delays[-1] == pytest.approx(1.0, abs=0.05)


def test_one_serial_connection_keeps_to_the_rate() -> None:
    rate = throttled_at(50, 100.0)
    expected = 2.0 * limit_of(rate)
    now, sent = 100.0, 0
    while now < 102.0:
        now += rate.reserve(now) + 0.001
        sent += 1
    assert sent == pytest.approx(expected, abs=3)


def test_late_timers_do_not_slow_it_down() -> None:
    rate = throttled_at(1000, 100.0)
    expected = 5.0 * limit_of(rate)
    now, sent = 100.0, 0
    while now < 105.0:
        delay = rate.reserve(now)
        now += delay + (0.0009 if delay else 0.0)
        sent += 1
    assert sent == pytest.approx(expected, rel=0.01)


def test_after_a_first_cut_that_had_little_to_go_by_the_rate_doubles_each_second() -> None:
    rate = AdaptiveRate()
    accept(rate, 10_000, 0.0, 0.01)
    rate.throttled(0.01, 0.01)
    limits = [limit_of(rate)]
    now = 0.01
    for _ in range(4):
        now = use_up(rate, now, 1.0)
        limits.append(limit_of(rate))
    assert limits == pytest.approx([90, 180, 360, 720, 1440], rel=0.1)


def test_the_rate_comes_back_to_a_known_limit_and_stays_there_for_most_of_the_time() -> None:
    rate, now = known_at(1000, 100.0)
    known = limit_of(rate) / DECREASE
    limits = []
    for _ in range(8):
        now = use_up(rate, now, 1.0)
        limits.append(limit_of(rate) / known)
    assert limits[round(PLATEAU) - 1] == pytest.approx(1.0, abs=0.005)
    assert limits[1:6] == pytest.approx([1.0] * 5, abs=0.01)
    assert limits[-1] == pytest.approx(1.1, abs=0.02)


def test_a_limit_that_has_gone_is_left_behind_ever_faster() -> None:
    rate, now = known_at(500, 100.0)
    use_up(rate, now, 15.0)
    assert limit_of(rate) > 3500


def test_idle_time_does_not_raise_the_rate() -> None:
    rate = AdaptiveRate()
    rate.throttled(100.0, 100.0)
    assert limit_of(rate) == 1.0
    rate.succeeded(100.0 + 3600.0, 100.0 + 3600.0)
    assert limit_of(rate) == 2.0


def test_a_limit_that_is_not_used_does_not_rise() -> None:
    rate = throttled_at(100, 100.0)
    limit = rate.limit
    accept(rate, 20, 101.0, 120.0)
    assert rate.limit == limit


def test_a_limit_that_was_not_used_for_a_good_while_is_lifted() -> None:
    rate = throttled_at(100, 100.0)
    accept(rate, 20, 100.0, 100.0 + RELEASE_AFTER)
    assert limit_of(rate) == pytest.approx(180, rel=0.1)
    accept(rate, 20, 100.0 + RELEASE_AFTER, 101.5 + RELEASE_AFTER)
    assert rate.limit is None
    assert rate.reserve(131.5) == 0.0


def test_a_limit_that_is_used_is_never_lifted_at_once() -> None:
    """It would let go a burst of which most is refused; the limit rises out of the way instead."""
    rate = throttled_at(100, 100.0)
    now = use_up(rate, 100.0, 5.0)
    assert limit_of(rate) > 1000
    accept(rate, 300, now, now + RELEASE_AFTER + 1.0)
    assert rate.limit is None


def test_after_the_limit_was_lifted_a_throttle_sets_a_new_one() -> None:
    rate = throttled_at(100, 100.0)
    accept(rate, 20, 100.0, 132.0)
    assert rate.limit is None
    accept(rate, 2000, 132.0, 140.0)
    assert rate.throttled(140.0, 139.99)
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
            rate.throttled(now, now - pause)
        else:
            rate.succeeded(now, now - pause)
        assert rate.limit is None or rate.limit >= 1.0


# Against a simulated store: no time passes. Settled is what comes after the first five seconds.


@pytest.mark.parametrize("latency", [0.002, 0.02, 0.2])
@pytest.mark.parametrize("capacity", [50, 500, 3500])
def test_it_settles_at_what_the_store_takes_without_being_told(capacity: int, latency: float) -> None:
    store = Simulation(lambda _: capacity)
    # As many as it takes to reach the limit at all, and some.
    Client(store, latency=latency, workers=max(32, round(1.5 * capacity * latency)))
    store.run(30.0)
    for since, until in ((5, 15), (15, 30)):
        assert store.goodput(since, until) >= 0.9 * capacity
        assert store.refused_share(since, until) <= 0.04


def test_it_settles_at_twenty_thousand_a_second() -> None:
    store = Simulation(lambda _: 20_000)
    Client(store, latency=0.001)
    store.run(12.0)
    assert store.goodput(5, 12) >= 0.9 * 20_000
    assert store.refused_share(5, 12) <= 0.01


@pytest.mark.parametrize("capacity", [5, 50, 500, 3500])
def test_a_bucket_a_second_deep_misleads_it_only_for_a_moment(capacity: int) -> None:
    store = Simulation(lambda _: capacity, burst=1.0)
    Client(store, workers=64)
    store.run(60.0)
    assert store.goodput(5, 60) >= 0.9 * capacity
    # At five a second one refusal is much: a probe every eight seconds is one in forty.
    assert store.refused_share(5, 60) <= (0.12 if capacity == 5 else 0.04)


@pytest.mark.parametrize(("capacity", "least"), [(5, 0.5), (50, 0.7), (500, 0.3)])
def test_a_store_without_any_burst_is_approached_from_below(capacity: int, least: float) -> None:
    """It refuses whatever comes a moment early, as timers and networks will have it at any rate."""
    store = Simulation(lambda _: capacity, burst=0.0)
    Client(store)
    store.run(60.0)
    assert store.goodput(10, 60) >= least * capacity
    assert store.refused_share(10, 60) <= (0.15 if capacity == 5 else 0.02)


def test_it_follows_a_limit_that_drops_and_comes_back() -> None:
    store = Simulation(lambda now: 500 if 20 <= now < 50 else 3500)
    Client(store)
    store.run(80.0)
    assert store.goodput(5, 20) >= 0.9 * 3500
    assert store.goodput(22, 50) >= 0.9 * 500
    assert store.refused_share(22, 50) <= 0.02
    # Seven times as much is found within a quarter of a minute.
    assert store.goodput(65, 80) >= 0.9 * 3500
    assert store.refused_share(50, 80) <= 0.02


@pytest.mark.parametrize("capacity", [50, 500, 3500])
def test_two_clients_use_up_what_they_share(capacity: int) -> None:
    store = Simulation(lambda _: capacity)
    Client(store)
    Client(store, starts=3.0)
    store.run(30.0)
    assert store.goodput(10, 30) >= 0.9 * capacity
    assert store.refused_share(10, 30) <= 0.04


def test_who_comes_late_gets_a_share_in_time() -> None:
    store = Simulation(lambda _: 500)
    clients = [Client(store), Client(store, starts=10.0)]
    store.run(40.0)
    before = [client.objects for client in clients]
    store.run(80.0)
    first, second = (client.objects - done for client, done in zip(clients, before, strict=True))
    assert second >= 0.2 * first


@pytest.mark.parametrize("capacity", [500, 3500])
def test_who_is_left_alone_takes_the_share_of_who_has_gone(capacity: int) -> None:
    store = Simulation(lambda _: capacity)
    Client(store, ends=20.0)
    Client(store, starts=3.0)
    store.run(50.0)
    assert store.goodput(35, 50) >= 0.9 * capacity


@pytest.mark.parametrize("capacity", [50, 500, 3500])
def test_kinds_of_requests_that_the_store_counts_together_find_their_shares(capacity: int) -> None:
    """An object that is moved needs a read, a write and another read, each with a rate of its own."""
    store = Simulation(lambda _: capacity)
    Client(store, kinds=3)
    store.run(45.0)
    assert store.goodput(10, 45) >= 0.85 * capacity
    assert store.refused_share(10, 45) <= 0.05
