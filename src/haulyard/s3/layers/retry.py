"""The layer that tries again: one policy for every request, documented here and set once.

- What failed for a passing reason (5xx, a lost connection, a 200 that holds an error) is tried again up to
  ``attempts`` times in all, with full jitter between 0 and ``base_delay * 2**n`` seconds (20 at most).
- Throttling is no failure: it does not count as an attempt, and waits longer (1 second times 2**n), or as
  long as ``Retry-After`` says. One request waits for five minutes in all.
- Both are paid from one budget a job, so that one object may wait out a bad minute while an endpoint that
  is broken stops the job soon. Throttling costs nothing as long as the store is alive, that is until it has
  refused everything for a minute: an abrupt limit, or a store that is shared with others, turns away many
  more requests than any budget covers, and accepts all of them in the end. Everything refused for five
  minutes is final.
- As long as the endpoint has never answered, three attempts are enough: its address is probably wrong.
- Expired credentials, a wrong clock and an unknown region are put right once each, without waiting.
- A request whose fate is unknown and which is not repeatable is not repeated: its caller finds out. Lost
  answers leave it unknown, and so does a 5xx to a delete; a conditional write after a 5xx is guarded by its
  condition, and its caller finds out whose it was.
"""

from __future__ import annotations

import asyncio
import random as randomness
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from haulyard.errors import S3CredentialsError, TransportError
from haulyard.events import RequestRetried
from haulyard.pacing import backoff
from haulyard.pacing.budget import (
    MAX_THROTTLED,
    THROTTLING_COST,
    TRANSIENT_COST,
    RetryBudget,
    ThrottlePatience,
)
from haulyard.s3 import faults
from haulyard.s3.faults import Verdict

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from haulyard.errors import S3Error
    from haulyard.events import Emit
    from haulyard.s3.request import Request
    from haulyard.s3.response import HttpAnswer

    Inner = Callable[[Request], Awaitable[HttpAnswer]]
    #: Learns from a failed answer; True where another attempt will differ from the last one.
    Correct = Callable[[Request, Verdict, HttpAnswer], Awaitable[bool]]

_UNREACHED_ATTEMPTS = 3
#: Seconds of nothing but throttling after which a store may be down behind its load balancer.
_ALIVE = 60.0
_CORRECTABLE = frozenset((Verdict.REFRESH, Verdict.SKEW, Verdict.REGION))
_TRANSIENT = frozenset((Verdict.RETRY, Verdict.CONFLICT))


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """``attempts`` of one request in all (``MAX_RETRIES``); ``base_delay`` in seconds (``RETRY_BASE_DELAY``).

    With these defaults a request is given up after about 25 seconds of failing.
    """

    attempts: int = 10
    base_delay: float = backoff.TRANSIENT_BASE


@dataclass(slots=True)
class _Means:
    """What one layer and the courses of its requests share."""

    correct: Correct
    policy: RetryPolicy
    budget: RetryBudget
    emit: Emit
    clock: Callable[[], float]
    wall_clock: Callable[[], float]
    sleep: Callable[[float], Awaitable[object]]
    random: Callable[[], float]
    reached: bool = False
    #: When the throttling began that no success has interrupted yet, and when its last answer came.
    refused_since: float | None = None
    refused_at: float = 0.0

    @property
    def attempts(self) -> int:
        """How many times one request may be tried."""
        return self.policy.attempts if self.reached else min(self.policy.attempts, _UNREACHED_ATTEMPTS)

    def refused_for(self) -> float:
        """Take note of a throttled answer; return for how many seconds there has been nothing else."""
        now = self.clock()
        if self.refused_since is None or now - self.refused_at > MAX_THROTTLED:
            self.refused_since = now
        self.refused_at = now
        return now - self.refused_since


class Retrier:
    """Send until success, or raise the error that is final."""

    def __init__(
        self,
        inner: Inner,
        correct: Correct,
        policy: RetryPolicy,
        budget: RetryBudget,
        emit: Emit,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        random: Callable[[], float] = randomness.random,
    ) -> None:
        self._inner = inner
        self._means = _Means(correct, policy, budget, emit, clock, wall_clock, sleep, random)

    async def __call__(self, request: Request) -> HttpAnswer:
        """Return the answer of the first attempt that succeeds."""
        course: _Course | None = None
        while True:
            try:
                answer = await self._inner(request)
            except TransportError as error:
                course = course or _Course(self._means, request)
                await course.lost(error)
                continue
            except S3CredentialsError as error:
                raise _concerning(request, error) from None
            means = self._means
            means.reached = True
            if answer.ok:
                means.refused_since = None
                means.budget.succeeded(course.spent if course else 0)
                answer.attempts = request.attempt
                return answer
            course = course or _Course(means, request)
            await course.failed(answer)


class _Course:
    """The way of one request that did not succeed at once."""

    def __init__(self, means: _Means, request: Request) -> None:
        self._means = means
        self._request = request
        self._failures = 0
        self._throttles = 0
        self._corrected: set[Verdict] = set()
        self._patience = ThrottlePatience()
        self._patient_for = 0.0
        self.spent = 0

    async def lost(self, error: TransportError) -> None:
        """No answer came: wait for the next attempt, or raise."""
        request = self._request
        unknown_fate = error.sent and not request.repeatable
        if unknown_fate or error.kind == "request" or not self._another(TRANSIENT_COST):
            raise faults.transport_error(request, error, request.attempt) from error
        await self._wait(self._backoff(), error.message)

    async def failed(self, answer: HttpAnswer) -> None:
        """An answer that is no success: wait for the next attempt, or raise."""
        request = self._request
        code = faults.code_of(request, answer.status, answer.body)
        verdict = faults.verdict(request, answer.status, code, answer.headers)
        reason = code or str(answer.status)
        if verdict in _CORRECTABLE and verdict not in self._corrected:
            self._corrected.add(verdict)
            if await self._correct(verdict, answer):
                await self._wait(0.0, reason)
                return
        elif verdict is Verdict.THROTTLE:
            delay = self._throttle_delay(answer)
            if self._bears(delay):
                await self._wait(delay, reason)
                return
        elif verdict in _TRANSIENT and not self._may_be_deleted(answer) and self._another(TRANSIENT_COST):
            await self._wait(max(self._backoff(), self._asked(answer)), reason)
            return
        raise self._final(answer)

    def _may_be_deleted(self, answer: HttpAnswer) -> bool:
        """Whether a delete may have been carried out that would leave a second marker if it were repeated."""
        request = self._request
        undone = 300 <= answer.status < 500  # noqa: PLR2004 -- refused, and nothing changed
        return request.kind == "delete" and not request.repeatable and not undone

    async def _correct(self, verdict: Verdict, answer: HttpAnswer) -> bool:
        try:
            return await self._means.correct(self._request, verdict, answer)
        except S3CredentialsError as error:
            raise _concerning(self._request, error) from None

    def _bears(self, delay: float) -> bool:
        """Whether a throttled request goes on after ``delay`` seconds.

        Its own pauses count, not its turns in the limiter: those are long because others are accepted.
        """
        refused = self._means.refused_for()
        if not self._patience.allows(self._patient_for, delay):
            return False
        self._patient_for += delay
        return refused <= _ALIVE or (refused <= MAX_THROTTLED and self._spend(THROTTLING_COST))

    def _final(self, answer: HttpAnswer) -> S3Error:
        request = self._request
        return faults.error_from(request, answer.status, answer.headers, answer.body, request.attempt)

    def _another(self, cost: int) -> bool:
        self._failures += 1
        return self._failures < self._means.attempts and self._spend(cost)

    def _spend(self, cost: int) -> bool:
        if not self._means.budget.spend(cost):
            return False
        self.spent = cost
        return True

    def _backoff(self) -> float:
        means = self._means
        return backoff.full_jitter(self._failures, means.policy.base_delay, random=means.random)

    def _throttle_delay(self, answer: HttpAnswer) -> float:
        self._throttles += 1
        jittered = backoff.full_jitter(
            self._throttles,
            backoff.THROTTLING_BASE,
            random=self._means.random,
        )
        return max(jittered, self._asked(answer))

    def _asked(self, answer: HttpAnswer) -> float:
        value = answer.headers.get("retry-after")
        if value is None:
            return 0.0
        return backoff.parse_retry_after(value, now=self._means.wall_clock()) or 0.0

    async def _wait(self, delay: float, reason: str) -> None:
        request = self._request
        self._means.emit(
            RequestRetried(request.operation, request.bucket, request.key, request.attempt, delay, reason)
        )
        request.attempt += 1
        await self._means.sleep(delay)


def _concerning(request: Request, error: S3CredentialsError) -> S3CredentialsError:
    """Say for which request there were no credentials: who looks for them does not know."""
    error.operation = request.operation
    error.bucket = request.bucket
    error.key = request.key
    error.attempts = request.attempt
    return error
