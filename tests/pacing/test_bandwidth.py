from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haulyard.pacing.bandwidth import CATCH_UP, Bandwidth


def test_each_piece_waits_for_the_pieces_before_it() -> None:
    bandwidth = Bandwidth(1000)
    assert bandwidth.reserve(100, 0.0) == 0.0
    assert bandwidth.reserve(100, 0.0) == pytest.approx(0.1 - CATCH_UP)
    assert bandwidth.reserve(100, 0.0) == pytest.approx(0.2 - CATCH_UP)


def test_a_pause_is_not_saved_up() -> None:
    bandwidth = Bandwidth(1000)
    bandwidth.reserve(1000, 0.0)
    assert bandwidth.reserve(1000, 3600.0) == 0.0
    assert bandwidth.reserve(1, 3600.0) == pytest.approx(1.0 - CATCH_UP)


def test_lateness_of_timers_is_made_up_for() -> None:
    bandwidth = Bandwidth(1_000_000)
    now = 0.0
    for _ in range(10_000):
        now += bandwidth.reserve(10_000, now) + 0.002
    assert 10_000 * 10_000 / now == pytest.approx(1_000_000, rel=0.001)


@given(
    rate=st.floats(1, 1e10),
    pieces=st.lists(st.tuples(st.integers(0, 1 << 26), st.floats(0, 1)), min_size=1, max_size=50),
)
def test_no_stretch_of_time_moves_more_than_its_share(rate: float, pieces: list[tuple[int, float]]) -> None:
    bandwidth = Bandwidth(rate)
    now = 0.0
    starts = []
    for nbytes, pause in pieces:
        starts.append(now + bandwidth.reserve(nbytes, now))
        now += pause
    for first in range(len(pieces)):
        moved = 0
        for (nbytes, _), start in zip(pieces[first:], starts[first:], strict=True):
            # What was moved before `start` fits into the time that passed, plus what may be made up.
            assert moved <= rate * (start - starts[first] + CATCH_UP) * (1 + 1e-9) + 1
            moved += nbytes


@pytest.mark.parametrize("rate", [0, -1])
def test_a_bandwidth_is_positive(rate: float) -> None:
    with pytest.raises(ValueError, match="positive"):
        Bandwidth(rate)


def test_a_negative_size_is_refused() -> None:
    with pytest.raises(ValueError, match="-1 bytes"):
        Bandwidth(1).reserve(-1, 0.0)
