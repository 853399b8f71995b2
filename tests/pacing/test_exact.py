from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haulyard.pacing.exact import MARGIN, ExactRate, reserve_all


def most_in_any_window(grants: list[float], period: float) -> int:
    """The largest number of grants within one period, both of its ends included."""
    most = first = 0
    for last, grant in enumerate(grants):
        while grants[first] < grant - period:
            first += 1
        most = max(most, last - first + 1)
    return most


# What the caller does between two reservations: carry on, ask at the granted time, stall or idle.
pauses = st.lists(
    st.one_of(st.none(), st.just(0.0), st.floats(0, 0.2), st.floats(0, 10)), min_size=1, max_size=300
)


@given(
    limit=st.integers(1, 40),
    period=st.floats(0.01, 600),
    start=st.floats(0, 1e9),
    pauses=pauses,
)
def test_no_window_ever_holds_more_than_the_limit(
    limit: int, period: float, start: float, pauses: list[float | None]
) -> None:
    rate = ExactRate(limit, period)
    now = start
    grants = []
    for pause in pauses:
        at = rate.reserve(now)
        assert at >= now
        grants.append(at)
        # None: the caller waits for the grant; otherwise time passes whatever was granted.
        now = at if pause is None else now + pause * period
    assert grants == sorted(grants)
    assert most_in_any_window(grants, period) <= limit


@pytest.mark.parametrize(("limit", "period"), [(5000, 1.0), (1, 1.0), (10, 60.0), (100, 1.0)])
def test_a_caller_that_never_rests_gets_nearly_the_whole_limit(limit: int, period: float) -> None:
    rate = ExactRate(limit, period)
    now = first = rate.reserve(1000.0)
    count = 4 * limit
    for _ in range(count):
        now = rate.reserve(now)
    assert 0.97 * limit / period <= count / (now - first) <= limit / period


def test_five_thousand_a_second_survives_stalls_exactly_and_loses_nothing_to_short_ones() -> None:
    rate = ExactRate(5000)
    now = 0.0
    grants: list[float] = []
    while now < 5.0:
        at = rate.reserve(now)
        grants.append(at)
        # Every thousandth request the process is held up for 50 ms before it asks again.
        now = at + (0.050 if len(grants) % 1000 == 0 else 0.0)
    assert most_in_any_window(grants, 1.0) <= 5000
    assert len(grants) / grants[-1] >= 0.97 * 5000


def test_requests_that_arrive_late_within_the_margin_still_keep_the_limit() -> None:
    rate = ExactRate(5000)
    # Sent as granted, alternately held up in the network by nothing and by almost the margin.
    arrivals = sorted(rate.reserve(0.0) + (MARGIN * 0.99 if n % 2 else 0.0) for n in range(20_000))
    assert most_in_any_window(arrivals, 1.0) <= 5000


def test_grants_are_spaced_evenly() -> None:
    rate = ExactRate(100)
    grants = [rate.reserve(0.0) for _ in range(250)]
    gaps = [later - earlier for earlier, later in pairwise(grants)]
    assert max(gaps) == pytest.approx(0.0102, abs=1e-9)
    assert min(gaps) == pytest.approx(0.0102, abs=1e-9)


def test_a_short_stall_is_made_up_for_at_twice_the_pace() -> None:
    rate = ExactRate(100)
    grants = [rate.reserve(0.0) for _ in range(10)]
    stalled = grants[-1] + 0.0102 + 0.05
    grants = [rate.reserve(stalled) for _ in range(20)]
    gaps = [later - earlier for earlier, later in pairwise(grants)]
    assert gaps[:9] == pytest.approx([0.0051] * 9)
    assert gaps[-5:] == pytest.approx([0.0102] * 5)


def test_idling_is_not_saved_up() -> None:
    rate = ExactRate(100)
    rate.reserve(0.0)
    grants = [rate.reserve(3600.0) for _ in range(100)]
    assert grants[0] == 3600.0
    assert grants[-1] == pytest.approx(3600.0 + 99 * 0.0102)


def test_one_a_second_is_one_each_second_and_margin() -> None:
    rate = ExactRate(1)
    assert [rate.reserve(0.0) for _ in range(3)] == [0.0, 1.0 + MARGIN, 2 * (1.0 + MARGIN)]


def test_ten_a_minute_never_grants_an_eleventh() -> None:
    rate = ExactRate(10, 60.0)
    grants = [rate.reserve(0.0) for _ in range(11)]
    assert grants[10] == pytest.approx(60.0 + MARGIN)


@given(
    first=st.tuples(st.integers(1, 20), st.floats(0.1, 5)),
    second=st.tuples(st.integers(1, 20), st.floats(0.1, 50)),
    pauses=pauses,
)
def test_several_limits_hold_at_once(
    first: tuple[int, float], second: tuple[int, float], pauses: list[float | None]
) -> None:
    rates = [ExactRate(*first), ExactRate(*second)]
    now = 0.0
    grants = []
    for pause in pauses:
        at = reserve_all(rates, now)
        grants.append(at)
        now = at if pause is None else now + pause
    assert most_in_any_window(grants, first[1]) <= first[0]
    assert most_in_any_window(grants, second[1]) <= second[0]


def test_without_limits_nothing_waits() -> None:
    assert reserve_all([], 5.0) == 5.0


@pytest.mark.parametrize(("limit", "period", "margin"), [(0, 1.0, 0.0), (1, 0.0, 0.0), (1, 1.0, -0.1)])
def test_impossible_limits_are_refused(limit: int, period: float, margin: float) -> None:
    with pytest.raises(ValueError, match="no such limit"):
        ExactRate(limit, period, margin)
