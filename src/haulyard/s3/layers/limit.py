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
    Clock = Callable[[], float]
    Sleep = Callable[[float], Awaitable[object]]

#: Prefixes that are watched by themselves; the bound only guards against a leak.
_MAX_PREFIXES = 256
#: Hot prefixes from which on the bucket as a whole is slowed down.
_BUCKET_WIDE = 2
#: Buckets and kinds of request that are remembered although nothing limits them.
_MAX_UNLIMITED = 1024


class _Turns:
    """One rate, and the queue of those who wait for their turn."""

    __slots__ = ("_queue", "rate")

    def __init__(self, rate: AdaptiveRate) -> None:
        self.rate = rate
        self._queue = asyncio.Lock()

    async def wait(self, clock: Clock, sleep: Sleep) -> None:
        """Return when it is the caller's turn.

        Only the first in the queue takes a place and waits for it: places taken ahead would keep the spacing
        of that moment, and after a cut to 1 a second hold it for a minute however soon the rate rises.
        """
        async with self._queue:
            if (delay := self.rate.reserve(clock())) > 0:
                await sleep(delay)


class _Rates:
    """The rates of one bucket and kind of request: of all of it, and of its hot prefixes."""

    __slots__ = ("_hot", "_whole")

    def __init__(self) -> None:
        self._whole = _Turns(AdaptiveRate())
        self._hot: dict[str, _Turns] = {}

    @property
    def limited(self) -> bool:
        return self._whole.rate.limit is not None or bool(self._hot)

    async def wait(self, key: str, clock: Clock, sleep: Sleep) -> None:
        # A hot prefix first: who waits for it must not stand in the way of the others.
        if (hot := self._hot.get(_prefix(key))) is not None:
            await hot.wait(clock, sleep)
        if self._whole.rate.limit is not None:
            await self._whole.wait(clock, sleep)

    def succeeded(self, key: str, now: float) -> None:
        self._whole.rate.succeeded(now)
        if self._hot and (hot := self._hot.get(prefix := _prefix(key))) is not None:
            hot.rate.succeeded(now)
            if hot.rate.limit is None:
                del self._hot[prefix]

    def throttled(self, key: str, now: float) -> float | None:
        """Cut the rate; return the new one, or None where this answer belongs to a cut already made."""
        prefix = _prefix(key)
        hot = self._hot.get(prefix)
        if hot is None:
            if len(self._hot) >= _MAX_PREFIXES:
                self._hot.clear()
            # What the bucket accepted so far is the measure that the prefix starts from.
            hot = self._hot[prefix] = _Turns(self._whole.rate.measured_copy())
        cut = hot.rate.throttled(now)
        if len(self._hot) >= _BUCKET_WIDE:
            cut = self._whole.rate.throttled(now) or cut
            return self._whole.rate.limit if cut else None
        return hot.rate.limit if cut else None


class Limiter:
    """Bound requests in flight to ``concurrency`` and pace them by what the store accepts.

    A slot is held until the body of the answer is read or closed; a request that waits to be retried holds
    none, for the retry layer lies outside. Nor does one that waits for its turn.
    """

    def __init__(
        self,
        inner: Inner,
        concurrency: int,
        emit: Emit,
        *,
        clock: Clock = time.monotonic,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._inner = inner
        self._emit = emit
        self._clock = clock
        self._sleep = sleep
        self._slots = asyncio.Semaphore(concurrency)
        self._rates: dict[tuple[str, str], _Rates] = {}

    async def __call__(self, request: Request) -> HttpAnswer:
        """Wait for the request's turn and for a slot, then send it."""
        rates = self._rates.get((request.bucket, request.kind)) or self._rates_of(request)
        if rates.limited:
            await rates.wait(request.key, self._clock, self._sleep)
        slots = self._slots
        await slots.acquire()
        try:
            answer = await self._inner(request)
        except BaseException:
            slots.release()
            raise
        answer.when_closed(lambda _: slots.release())
        if answer.ok or not _throttles(request, answer):
            rates.succeeded(request.key, self._clock())
        elif (rate := rates.throttled(request.key, self._clock())) is not None:
            self._emit(Throttled(request.bucket, request.kind, rate))
        return answer

    def _rates_of(self, request: Request) -> _Rates:
        if len(self._rates) >= _MAX_UNLIMITED:
            self._rates = {name: rates for name, rates in self._rates.items() if rates.limited}
        rates = self._rates[request.bucket, request.kind] = _Rates()
        return rates


def _throttles(request: Request, answer: HttpAnswer) -> bool:
    code = code_of(request, answer.status, answer.body)
    return verdict(request, answer.status, code, answer.headers) is Verdict.THROTTLE


def _prefix(key: str) -> str:
    return key.rpartition("/")[0]
