"""The layer that keeps to what the store can take: requests in flight, and their rate once it throttles.

The rate is kept per bucket and kind of request, and per prefix from the moment when throttling shows which
prefix is hot: S3 partitions a bucket by prefix, and one hot partition must not slow the others down.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from haulyard.events import Throttled
from haulyard.pacing.aimd import AdaptiveRate
from haulyard.s3.faults import Verdict, code_of, verdict

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from haulyard.events import Emit
    from haulyard.s3.request import Request
    from haulyard.s3.response import HttpAnswer

    Inner = Callable[[Request], Awaitable[HttpAnswer]]

#: Prefixes that are watched by themselves; the bound only guards against a leak.
_MAX_PREFIXES = 256
#: Hot prefixes from which on the bucket as a whole is slowed down.
_BUCKET_WIDE = 2


class _Rates:
    """The rates of one bucket and kind of request: of all of it, and of its hot prefixes."""

    __slots__ = ("_hot", "_whole")

    def __init__(self) -> None:
        self._whole = AdaptiveRate()
        self._hot: dict[str, AdaptiveRate] = {}

    @property
    def limited(self) -> bool:
        return self._whole.limit is not None or bool(self._hot)

    def reserve(self, key: str, now: float) -> float:
        hot = self._hot.get(_prefix(key)) if self._hot else None
        return max(self._whole.reserve(now), hot.reserve(now) if hot else 0.0)

    def succeeded(self, key: str, now: float) -> None:
        self._whole.succeeded(now)
        if self._hot and (hot := self._hot.get(prefix := _prefix(key))) is not None:
            hot.succeeded(now)
            if hot.limit is None:
                del self._hot[prefix]

    def throttled(self, key: str, now: float) -> float | None:
        """Cut the rate; return the new one, or None where this answer belongs to a cut already made."""
        prefix = _prefix(key)
        hot = self._hot.get(prefix)
        if hot is None:
            if len(self._hot) >= _MAX_PREFIXES:
                self._hot.clear()
            # What the bucket accepted so far is the measure that the prefix starts from.
            hot = self._hot[prefix] = self._whole.measured_copy()
        cut = hot.throttled(now)
        if len(self._hot) >= _BUCKET_WIDE:
            cut = self._whole.throttled(now) or cut
            return self._whole.limit if cut else None
        return hot.limit if cut else None


class Limiter:
    """Bound requests in flight to ``concurrency`` and pace them by what the store accepts.

    A slot is held until the body of the answer is read or closed; a request that waits to be retried holds
    none, for the retry layer lies outside.
    """

    def __init__(
        self,
        inner: Inner,
        concurrency: int,
        emit: Emit,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._inner = inner
        self._emit = emit
        self._clock = clock
        self._sleep = sleep
        self._slots = asyncio.Semaphore(concurrency)
        self._rates: dict[tuple[str, str], _Rates] = {}

    async def __call__(self, request: Request) -> HttpAnswer:
        """Wait for a slot and for the request's turn, then send it."""
        name = (request.bucket, request.kind)
        rates = self._rates.get(name)
        if rates is None:
            rates = self._rates[name] = _Rates()
        if rates.limited and (delay := rates.reserve(request.key, self._clock())) > 0:
            await self._sleep(delay)
        slots = self._slots
        await slots.acquire()
        try:
            answer = await self._inner(request)
        except BaseException:
            slots.release()
            raise
        answer.when_closed(lambda _: slots.release())
        if answer.status < 400 or not _throttles(request, answer):  # noqa: PLR2004 -- the fast path: no error
            rates.succeeded(request.key, self._clock())
        else:
            self._throttled(request, rates)
        return answer

    def _throttled(self, request: Request, rates: _Rates) -> None:
        rate = rates.throttled(request.key, self._clock())
        if rate is not None:
            self._emit(Throttled(request.bucket, request.kind, rate))


def _throttles(request: Request, answer: HttpAnswer) -> bool:
    code = code_of(request, answer.status, answer.body)
    return verdict(request, answer.status, code, answer.headers) is Verdict.THROTTLE


def _prefix(key: str) -> str:
    return key.rpartition("/")[0]
