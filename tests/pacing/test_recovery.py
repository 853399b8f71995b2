from __future__ import annotations

import pytest

from haulyard.pacing.recovery import FIRST_PAUSE, LONGEST_PAUSE, Recovery


def sending(full: float | None, rate: int, seconds: int = 3) -> Recovery:
    """One that has seen so many calls a second, until second ``seconds``."""
    recovery = Recovery(full)
    for call in range(rate * seconds):
        recovery.sent(call / rate)
    return recovery


def test_there_is_no_rate_until_something_is_refused() -> None:
    recovery = sending(5000.0, 100)
    assert not recovery.is_cut
    assert recovery.rate(3.0) is None


def test_a_cut_goes_to_seven_tenths_of_what_was_sent() -> None:
    recovery = sending(5000.0, 1000)
    recovery.refused(3.0, 0.0)
    assert recovery.rate(3.0) == pytest.approx(700, rel=0.01)


def test_a_cut_goes_below_the_limit_though_more_was_sent_in_a_burst() -> None:
    recovery = sending(100.0, 150)
    recovery.refused(3.0, 0.0)
    assert recovery.rate(3.0) == pytest.approx(70)


def test_the_rate_rises_by_a_twentieth_of_the_limit_a_second_after_the_pause() -> None:
    recovery = sending(1000.0, 1000)
    recovery.refused(3.0, 10.0)
    assert recovery.rate(13.0) == pytest.approx(700, rel=0.01)
    assert recovery.rate(15.0) == pytest.approx(800, rel=0.01)
    assert recovery.rate(19.1) is None
    assert not recovery.is_cut


def test_without_a_limit_the_rate_rises_to_twice_what_was_refused_and_is_lifted() -> None:
    recovery = sending(None, 1000)
    recovery.refused(3.0, 0.0)
    assert recovery.rate(3.0) == pytest.approx(700, rel=0.01)
    assert recovery.rate(13.0) == pytest.approx(1200, rel=0.01)
    assert recovery.rate(28.0) == pytest.approx(1950, rel=0.01)
    assert recovery.rate(29.2) is None


def test_refusals_of_one_second_count_once() -> None:
    recovery = sending(1000.0, 1000)
    pauses = [recovery.refused(3.0 + n / 100) for n in range(90)]
    assert recovery.rate(4.0) == pytest.approx(700, rel=0.01)
    assert max(pauses) == FIRST_PAUSE


def test_what_was_sent_before_the_cut_does_not_cut_again() -> None:
    recovery = sending(1000.0, 1000)
    recovery.refused(3.0, 5.0)
    recovery.refused(7.0, sent=2.9)
    assert recovery.rate(8.0) == pytest.approx(700, rel=0.01)
    recovery.refused(9.0, 0.0, sent=8.5)
    assert recovery.rate(9.0) == pytest.approx(525, rel=0.01)


def test_pauses_double_to_a_minute_and_start_anew_after_as_long_without_refusal() -> None:
    recovery = Recovery(100.0)
    now, pauses = 0.0, []
    for _ in range(9):
        recovery.sent(now)
        pauses.append(recovery.refused(now))
        now += pauses[-1] + 0.5
    assert pauses == [1, 2, 4, 8, 16, 32, LONGEST_PAUSE, LONGEST_PAUSE, LONGEST_PAUSE]
    assert recovery.refused(now + 100.0) == FIRST_PAUSE


def test_what_an_answer_asks_for_is_the_pause() -> None:
    assert Recovery(100.0).refused(0.0, 17.0) == 17.0


def test_a_rate_of_ten_a_minute_is_cut_from_the_limit() -> None:
    recovery = Recovery(10 / 60)
    recovery.sent(0.0)
    recovery.refused(0.5, 0.0)
    assert recovery.rate(0.5) == pytest.approx(7 / 60)


def test_a_refusal_right_after_a_pause_is_not_taken_for_a_low_rate() -> None:
    recovery = sending(1000.0, 1000)
    recovery.refused(3.0, 2.0)
    recovery.sent(5.0)
    recovery.refused(5.001, 2.0, sent=5.0)
    assert recovery.rate(7.0) == pytest.approx(490, rel=0.01)


def test_calls_after_a_cut_are_spaced_by_its_rate() -> None:
    recovery = sending(1000.0, 1000)
    recovery.refused(3.0, 0.0)
    recovery.take(3.0)
    assert recovery.earliest() == pytest.approx(3.0 + 1 / 700, rel=1e-5)
