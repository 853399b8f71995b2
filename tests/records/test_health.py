"""Whether the API as a whole is well."""

from __future__ import annotations

from haulyard.records.health import NEVER_ANSWERED, STREAK, Health


def test_refusals_are_held_until_a_success_shows_that_they_are_the_records_own() -> None:
    health: Health[str] = Health(60)
    assert health.refused("a")
    assert health.refused("b")
    assert health.streak == 2
    assert health.succeeded() == ["a", "b"]
    assert (health.streak, health.succeeded()) == (0, [])


def test_what_is_held_at_the_end_of_the_input_is_the_records_own() -> None:
    health: Health[str] = Health(60)
    health.refused("a")
    health.hold("b")
    assert health.settled() == ["a", "b"]
    assert health.settled() == []


def test_the_job_stops_once_everything_is_refused() -> None:
    health: Health[int] = Health(60)
    assert all(health.refused(at) for at in range(STREAK - 1))
    assert not health.refused(STREAK)


def test_one_success_in_between_and_it_does_not() -> None:
    health: Health[int] = Health(60)
    assert all(health.refused(at) for at in range(STREAK - 1))
    health.succeeded()
    assert all(health.refused(at) for at in range(STREAK - 1))


def test_some_refusals_among_failures_that_pass_do_not_stop_it() -> None:
    health: Health[int] = Health(60)
    for _ in range(STREAK):
        health.failed(0.0, answered=True)
    assert health.refused(1)
    assert health.is_out


def test_an_endpoint_that_never_answered_is_given_up_soon() -> None:
    health: Health[int] = Health(60)
    pauses = [health.failed(0.0, answered=False) for _ in range(NEVER_ANSWERED)]
    assert pauses == [*[0.0] * (NEVER_ANSWERED - 1), None]
    assert not health.has_answered


def test_one_that_has_answered_is_waited_for_with_longer_and_longer_pauses() -> None:
    health: Health[int] = Health(60)
    health.succeeded()
    assert [health.failed(0.0, answered=False) for _ in range(STREAK - 1)] == [0.0] * (STREAK - 1)
    now, pauses = 100.0, []
    while (pause := health.failed(now, answered=False)) is not None:
        assert health.is_out
        pauses.append(pause)
        now += pause
    assert pauses[:5] == [1, 2, 4, 8, 15]
    # Until the patience is over, and a moment more, so that the last attempt comes behind it.
    assert 160 < now < 161


def test_those_in_flight_when_a_pause_begins_make_it_no_longer() -> None:
    health: Health[int] = Health(60)
    for _ in range(STREAK - 1):
        health.failed(0.0, answered=True)
    assert [health.failed(0.0, answered=True) for _ in range(5)] == [1, 0, 0, 0, 0]
    assert health.failed(0.9, answered=True) == 0
    assert health.failed(1.1, answered=True) == 2


def test_a_success_ends_the_outage() -> None:
    health: Health[int] = Health(60)
    for _ in range(STREAK):
        health.failed(0.0, answered=True)
    health.succeeded()
    assert not health.is_out
    assert health.failed(1000.0, answered=True) == 0


def test_without_patience_everything_failing_ends_at_once() -> None:
    health: Health[int] = Health(0)
    for _ in range(STREAK):
        health.failed(0.0, answered=True)
    assert health.failed(0.2, answered=True) is None


def test_who_never_wants_to_stop_gets_each_failure_at_once() -> None:
    health: Health[int] = Health(60.0, 0)
    for number in range(500):
        assert health.refused(number)
        assert health.known() == [number]
        assert health.failed(float(number), answered=True) == 0.0
    assert not health.is_out
    held: Health[int] = Health(60.0)
    assert held.refused(1)
    assert held.known() == []
