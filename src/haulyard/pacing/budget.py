"""What retries may cost.

A count of attempts alone answers badly: too low for one object in a bad minute, too high for a
hundred thousand objects against an endpoint that is down. So retries are paid from a budget that
all requests of a job share. A job that mostly succeeds never feels it; against a broken endpoint
the budget is empty after some thirty failures in a row, and the job stops.
"""

from __future__ import annotations

from typing import Final

CAPACITY: Final = 500
"""Tokens; as in the new standard retry mode of the AWS SDKs, like the two costs below."""

TRANSIENT_COST: Final = 14
"""Tokens for a retry after a transient error."""

THROTTLING_COST: Final = 5
"""Tokens for a retry after throttling: the store is alive and says so."""

MAX_THROTTLED: Final = 300.0
"""Seconds; how long one request may be turned away by throttling."""


class RetryBudget:
    """A bucket of tokens from which the requests of one job pay for their retries.

    Args:
        capacity: The tokens at the start, and the most there can ever be.

    Attributes:
        available: The tokens left.

    Raises:
        ValueError: If `capacity` is negative.
    """

    __slots__ = ("available", "capacity")

    def __init__(self, capacity: int = CAPACITY) -> None:
        if capacity < 0:
            raise ValueError(f"a retry budget cannot be negative: {capacity}")
        self.capacity: Final = capacity
        self.available = capacity

    def spend(self, cost: int) -> bool:
        """Pay for one retry; False, with nothing taken, if the budget does not cover it.

        Args:
            cost: `TRANSIENT_COST` or `THROTTLING_COST`.
        """
        if cost > self.available:
            return False
        self.available -= cost
        return True

    def succeeded(self, spent: int = 0) -> None:
        """Give back for a request that succeeded.

        Args:
            spent: What its last retry cost; 0 for one that succeeded at once, which gives back 1.
        """
        self.available = min(self.capacity, self.available + (spent or 1))


class ThrottlePatience:
    """How long one request goes on being throttled before it is given up.

    Throttled attempts do not count towards a request's attempts (its turn simply has not come), so
    they are bounded by time: `limit` seconds from the first throttled answer.

    Args:
        limit: Seconds.
    """

    __slots__ = ("_ends", "_limit")

    def __init__(self, limit: float = MAX_THROTTLED) -> None:
        self._limit = limit
        self._ends: float | None = None

    def allows(self, now: float, delay: float) -> bool:
        """Whether a request throttled at `now` may be sent again `delay` seconds later.

        Call it for every throttled answer: the first call starts the clock.
        """
        if self._ends is None:
            self._ends = now + self._limit
        return now + delay <= self._ends
