from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.pacing.server_log import Client, Way, most_in_any_window

from haulyard.pacing.window import CATCH_UP, EARLY, MARGIN, PAUSE, Latencies, Limit, Window

if TYPE_CHECKING:
    from random import Random


@dataclass(frozen=True)
class Spread:
    """How the delay of a call is drawn; `seconds` is its mean, or its usual value."""

    kind: str
    seconds: float

    def __call__(self, random: Random) -> float:
        if self.kind == "exponential":
            return random.expovariate(1 / self.seconds)
        if self.kind == "uniform":
            return random.uniform(0, 2 * self.seconds)
        if self.kind == "tail":
            return 20 * self.seconds if random.random() < 0.02 else random.uniform(0, self.seconds / 5)
        return random.choice((0.0, self.seconds))


spreads = st.builds(
    Spread, st.sampled_from(["exponential", "uniform", "tail", "either"]), st.floats(1e-4, 0.3)
)
ways = st.builds(
    Way,
    there=st.floats(1e-4, 0.1),
    back=st.floats(1e-4, 0.1),
    late_there=spreads,
    late_back=spreads,
    connect=st.sampled_from([0.0, 0.2]),
)
# What the client does: (how, for what part of the time of the test).
deeds = st.lists(
    st.tuples(st.sampled_from(["send", "idle", "stall"]), st.floats(0, 1)), min_size=1, max_size=6
)


def act(client: Client, deeds: list[tuple[str, float]], seconds: float) -> None:
    for deed, part in deeds:
        client.send(part * seconds)
        if deed == "idle":
            client.idle(part * seconds)
        elif deed == "stall":
            client.stall(part * 0.3)
    client.send(seconds / 4)


@pytest.mark.parametrize(
    ("limits", "seconds"),
    [
        ([Limit(1, 1)], 40),
        ([Limit(10, 60)], 200),
        ([Limit(50, 1)], 8),
        ([Limit(10, 1), Limit(100, 60)], 60),
    ],
    ids=str,
)
@settings(deadline=None, max_examples=60)
@given(way=ways, deeds=deeds, seed=st.integers(0, 2**32))
def test_the_server_never_sees_more_than_the_limit_in_any_window(
    limits: list[Limit], seconds: float, way: Way, deeds: list[tuple[str, float]], seed: int
) -> None:
    client = Client(limits, way, seed)
    act(client, deeds, seconds)
    for limit in limits:
        assert most_in_any_window(client.log(), limit.seconds) <= limit.calls


@settings(deadline=None, max_examples=8)
@given(way=ways, deeds=deeds, seed=st.integers(0, 2**32))
def test_five_thousand_a_second_are_never_passed(way: Way, deeds: list[tuple[str, float]], seed: int) -> None:
    client = Client([Limit(5000, 1)], way, seed)
    act(client, deeds[:3], 1.0)
    client.send(1.2)
    assert most_in_any_window(client.log(), 1.0) <= 5000


@pytest.mark.parametrize(
    ("limit", "seconds"), [(Limit(5000, 1), 4), (Limit(50, 1), 20), (Limit(1, 1), 60), (Limit(10, 60), 1200)]
)
def test_next_to_the_server_nearly_all_of_the_limit_is_used(limit: Limit, seconds: float) -> None:
    client = Client(
        [limit], Way(late_there=Spread("exponential", 1e-3), late_back=Spread("exponential", 1e-3))
    )
    client.send(seconds)
    first, last = client.grants[0], client.grants[-1]
    assert (len(client.grants) - 1) / (last - first) >= 0.97 * limit.calls / limit.seconds
    assert most_in_any_window(client.log(), limit.seconds) <= limit.calls


def test_stalls_of_fifty_milliseconds_cost_nothing() -> None:
    client = Client([Limit(5000, 1)])
    for _ in range(20):
        client.send(0.2)
        client.stall(0.05)
    assert len(client.grants) >= 0.97 * 5000 * 5
    assert most_in_any_window(client.log(), 1.0) <= 5000


def test_a_way_that_always_takes_long_costs_nothing_once_it_is_known() -> None:
    client = Client([Limit(1000, 1)], Way(there=0.1, back=0.1))
    client.send(3)
    known = len(client.grants)
    client.send(10)
    assert len(client.grants) - known >= 0.98 * 10_000


def test_grants_are_spaced_evenly() -> None:
    client = Client([Limit(100, 1)])
    client.send(5)
    gaps = [later - earlier for earlier, later in pairwise(client.grants)]
    assert min(gaps) >= 0.005
    assert max(gaps) <= 0.015


def test_what_a_short_stall_took_is_made_up_for_at_twice_the_pace() -> None:
    client = Client([Limit(1000, 1)])
    client.send(0.5)
    sent = len(client.grants)
    client.stall(0.08)
    client.send(0.08)
    assert len(client.grants) - sent == pytest.approx(160, abs=5)


def test_of_a_longer_stall_so_much_is_made_up_for_and_no_more() -> None:
    client = Client([Limit(1000, 1)])
    client.send(0.5)
    sent = len(client.grants)
    client.stall(CATCH_UP + 0.2)
    client.send(0.3)
    assert len(client.grants) - sent == pytest.approx(400, abs=5)


def test_stalls_longer_than_that_are_no_reason_to_fall_far_behind() -> None:
    client = Client([Limit(5000, 1)])
    for stall in range(20):
        client.send(0.3)
        client.stall(0.05 + 0.01 * (stall % 8))
    assert len(client.grants) >= 0.93 * 5000 * (client.now - client.grants[0])
    assert most_in_any_window(client.log(), 1.0) <= 5000


def test_a_pause_is_not_saved_up() -> None:
    client = Client([Limit(1000, 1)])
    client.send(0.5)
    sent = len(client.grants)
    client.idle(1.01 * PAUSE)
    client.send(0.1)
    assert len(client.grants) - sent == pytest.approx(100, abs=3)


def window(calls: int, seconds: float = 1.0, *, spaced: bool = True) -> Window:
    return Window(Limit(calls, seconds), Latencies(), spaced=spaced)


def test_one_a_second_comes_a_period_after_the_answer_to_the_one_before() -> None:
    one = window(1)
    assert one.earliest(5.0) == 5.0
    one.take(5.0)
    assert one.earliest(100.0) == float("inf")
    one.ended(100.0)
    assert one.earliest(100.0) == pytest.approx(101.0 + MARGIN)
    assert one.earliest(101.0 + MARGIN - EARLY / 2) == pytest.approx(101.0 + MARGIN, abs=EARLY)


def test_a_slow_call_holds_its_own_slot_and_no_other() -> None:
    two = window(2, spaced=False)
    two.take(0.0)  # not answered for long
    for at in (0.0, 2.0, 4.0, 6.0):
        assert two.earliest(at) == at
        two.take(at)
        two.ended(at + 0.1)
    assert two.earliest(6.2) == pytest.approx(7.1 + MARGIN)


def test_a_shorter_way_is_minded_by_calls_that_ended_before_it_was_known() -> None:
    latencies = Latencies()
    full = Window(Limit(200, 1), latencies, spaced=False)
    for _ in range(200):
        full.take(0.0)
        latencies.note(0.2, 0.2)
        full.ended(0.2)
    assert latencies.least == pytest.approx(0.2)
    assert full.earliest(0.2) == pytest.approx(1.0 + MARGIN)
    latencies.note(0.05, 0.3)
    assert full.earliest(0.3) == pytest.approx(1.15 + MARGIN, abs=0.01)


def test_a_call_that_was_given_up_may_have_arrived_at_the_last_moment() -> None:
    latencies = Latencies()
    for _ in range(200):
        latencies.note(0.2, 0.2)
    one = Window(Limit(1, 1), latencies, spaced=False)
    one.take(1.0)
    one.ended(3.0, answered=False)
    assert one.earliest(3.0) == pytest.approx(4.0 + MARGIN)


def test_the_least_latency_rises_again_once_the_lowest_is_a_minute_old() -> None:
    latencies = Latencies()
    for _ in range(100):
        latencies.note(0.01, 0.0)
    assert latencies.least == pytest.approx(0.01)
    for second in range(1, 70):
        for _ in range(10):
            latencies.note(0.1, float(second))
        if second < 30:
            assert latencies.least <= 0.01
    assert latencies.least == pytest.approx(0.1, rel=0.1)


def test_the_first_answers_tell_nothing_of_the_least_latency() -> None:
    latencies = Latencies()
    for _ in range(19):
        latencies.note(0.1, 0.0)
        assert latencies.least == 0.0
    latencies.note(0.1, 0.0)
    assert 0.0 < latencies.least <= 0.025


def test_a_slot_that_is_given_back_is_free_at_once() -> None:
    one = window(1)
    one.take(0.0)
    one.give_back()
    assert one.earliest(0.6) == 0.6


def test_memory_does_not_grow_with_the_limit() -> None:
    day = window(10_000_000, 86_400.0, spaced=False)
    for second in range(100_000):
        day.take(float(second))
        day.ended(float(second))
    assert len(list(day.ends())) <= 1001
    assert sum(count for _, count in day.ends()) == pytest.approx(86_400, rel=0.002)


def test_what_an_earlier_run_used_counts_until_its_period_is_over() -> None:
    hour = window(100, 3600.0)
    hour.restore([(-1000.0, 60), (-100.0, 40)])
    assert hour.earliest(0.0) == pytest.approx(2600.0 + MARGIN)
    at = 2601.0
    assert hour.earliest(at) == at


def test_more_than_the_limit_in_an_earlier_run_is_waited_out_too() -> None:
    hour = window(10, 3600.0)
    hour.restore([(-1000.0, 15), (-100.0, 15)])
    at = hour.earliest(0.0)
    while at > (now := at):
        at = hour.earliest(now)
    assert hour.earliest(2601.0) == pytest.approx(3500.0 + MARGIN)
    assert hour.earliest(3501.0) == 3501.0


@pytest.mark.parametrize("limit", [Limit(0, 1), Limit(1, 0), Limit(1, float("nan")), Limit(1, float("inf"))])
def test_a_limit_without_calls_or_time_is_refused(limit: Limit) -> None:
    with pytest.raises(ValueError, match="no such limit"):
        Window(limit, Latencies())
