from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haulyard.pacing.budget import (
    CAPACITY,
    MAX_THROTTLED,
    THROTTLING_COST,
    TRANSIENT_COST,
    RetryBudget,
    ThrottlePatience,
)


def test_a_broken_endpoint_stops_the_job_after_thirty_five_retries() -> None:
    budget = RetryBudget()
    retries = 0
    while budget.spend(TRANSIENT_COST):
        retries += 1
    assert retries == 35


def test_throttling_is_cheaper_than_failure() -> None:
    budget = RetryBudget()
    assert all(budget.spend(THROTTLING_COST) for _ in range(100))
    assert not budget.spend(THROTTLING_COST)


def test_a_retry_that_cannot_be_paid_takes_nothing() -> None:
    budget = RetryBudget(10)
    assert not budget.spend(TRANSIENT_COST)
    assert budget.available == 10
    assert budget.spend(THROTTLING_COST)
    assert budget.available == 5


def test_a_retry_that_succeeds_gives_back_its_cost() -> None:
    budget = RetryBudget()
    budget.spend(TRANSIENT_COST)
    budget.succeeded(TRANSIENT_COST)
    assert budget.available == CAPACITY


def test_a_success_at_once_gives_back_one() -> None:
    budget = RetryBudget()
    budget.spend(TRANSIENT_COST)
    budget.succeeded()
    assert budget.available == CAPACITY - TRANSIENT_COST + 1


@given(
    st.integers(0, 1000),
    st.lists(st.tuples(st.booleans(), st.sampled_from([0, 1, THROTTLING_COST, TRANSIENT_COST]))),
)
def test_the_budget_stays_between_nothing_and_its_capacity(
    capacity: int, steps: list[tuple[bool, int]]
) -> None:
    budget = RetryBudget(capacity)
    for spending, amount in steps:
        if spending:
            budget.spend(amount)
        else:
            budget.succeeded(amount)
        assert 0 <= budget.available <= capacity


def test_a_negative_capacity_is_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        RetryBudget(-1)


def test_patience_runs_from_the_first_throttled_answer() -> None:
    patience = ThrottlePatience()
    assert patience.allows(1000.0, 20.0)
    assert patience.allows(1000.0 + MAX_THROTTLED - 20.0, 20.0)
    assert not patience.allows(1000.0 + MAX_THROTTLED - 10.0, 20.0)


def test_patience_counts_the_wait_that_is_asked_for() -> None:
    assert not ThrottlePatience(limit=60.0).allows(0.0, 61.0)
