"""Retry and limiter together, in virtual time: a job must not die of a store that throttles and is alive."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from tests.s3.layers import virtual_time
from tests.s3.layers.fakes import answer, request

from haulyard.errors import S3RateLimit
from haulyard.pacing.budget import CAPACITY, RetryBudget
from haulyard.s3.layers.limit import Limiter
from haulyard.s3.layers.retry import Retrier, RetryPolicy

if TYPE_CHECKING:
    from collections.abc import Callable

    from haulyard.s3.request import Request
    from haulyard.s3.response import HttpAnswer


@dataclass
class Store:
    """Takes so many requests a second (a token bucket a tenth of a second deep) and refuses the others.

    ``limit`` is what it takes at a time, in seconds since the start.
    ``luck`` is the share of requests that it takes at all: the rest of its capacity is somebody else's.
    """

    limit: Callable[[float], float]
    luck: float = 1.0
    latency: float = 0.0025
    throttled: int = 0
    accepted: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._random = random.Random(1)
        self._tokens = 0.0
        self._filled = 0.0

    async def __call__(self, _: Request) -> HttpAnswer:
        await asyncio.sleep(self.latency * (0.5 + self._random.random()))
        now = asyncio.get_running_loop().time()
        limit = self.limit(now)
        self._tokens = min(max(1.0, limit / 10), self._tokens + (now - self._filled) * limit)
        self._filled = now
        if self._tokens < 1 or self._random.random() >= self.luck:
            self.throttled += 1
            return answer(503, "SlowDown")
        self._tokens -= 1
        self.accepted.append(now)
        return answer()


async def job(store: Store, objects: int, *, workers: int = 32, attempts: int = 10) -> Counter[str]:
    """Move some objects, each with one request; returns how many were moved and how many were not.

    The budget is the smallest that there is, so that nothing but the rule itself keeps the job alive.
    """
    loop = asyncio.get_running_loop()

    async def learn_nothing(*_: object) -> bool:
        return False

    send = Retrier(
        Limiter(store, 32, lambda _: None, clock=loop.time),
        learn_nothing,
        RetryPolicy(attempts),
        RetryBudget(CAPACITY),
        lambda _: None,
        clock=loop.time,
        random=random.Random(2).random,
    )
    queue = iter(range(objects))
    outcomes: Counter[str] = Counter()

    async def work() -> None:
        for number in queue:
            try:
                await send(request("PutObject", "PUT", key=f"prefix/{number}", kind="write"))
                outcomes["moved"] += 1
            except S3RateLimit:
                outcomes["failed"] += 1
                outcomes["first failure"] = outcomes["first failure"] or int(loop.time())

    await asyncio.gather(*[work() for _ in range(workers)])
    return outcomes


def from_to(first: float, then: float) -> Callable[[float], float]:
    """Return a limit that changes abruptly after a second."""
    return lambda now: first if now < 1 else then


@pytest.mark.parametrize("workers", [32, 128])
@pytest.mark.parametrize("attempts", [1, 10])
def test_a_job_lives_through_an_abrupt_limit_and_uses_it_up(workers: int, attempts: int) -> None:
    """From 12,800 requests a second to 50: more are turned away at once than the budget would pay for."""

    async def trial() -> None:
        store = Store(from_to(12_800, 50))
        outcomes = await job(store, 15_000, workers=workers, attempts=attempts)
        assert outcomes == {"moved": 15_000}
        assert store.throttled < 500
        limited = [when for when in store.accepted if when > 10]
        assert len(limited) / (limited[-1] - limited[0]) > 0.9 * 50

    virtual_time.run(trial())


def test_a_job_lives_on_one_request_a_second() -> None:
    async def trial() -> None:
        assert await job(Store(from_to(1000, 1)), 2_000) == {"moved": 2_000}

    virtual_time.run(trial())


def test_a_job_lives_on_what_others_leave_of_a_store() -> None:
    """Two of three requests are refused, whatever their rate: more than any budget covers."""

    async def trial() -> None:
        store = Store(from_to(100, 100), luck=1 / 3)
        assert await job(store, 1_000) == {"moved": 1_000}
        assert store.throttled > CAPACITY / 5

    virtual_time.run(trial())


def test_a_store_that_accepts_nothing_any_more_ends_the_job_within_five_minutes() -> None:
    async def trial() -> None:
        outcomes = await job(Store(from_to(1000, 0)), 2_000)
        assert outcomes["failed"] == 2_000 - outcomes["moved"] > 0
        assert 60 < outcomes["first failure"] < 310

    virtual_time.run(trial())
