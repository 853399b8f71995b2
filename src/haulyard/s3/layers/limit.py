"""The layer that keeps to what the store can take: requests in flight, and their rate once it throttles.

The rate is kept per bucket and kind of request, and per prefix from the moment when throttling shows which
prefix is hot: S3 partitions a bucket by prefix, and one hot partition must not slow the others down. A second
hot prefix hands over to the rate of the whole bucket: it may be the bucket that is limited, and a job that
goes through prefixes one after the other would overrun the limit anew in each. For the same reason the other
prefixes do not rush off while one is hot: each starts at its rate and doubles that every second.

A ceiling that the user set is something else: it holds for all requests together, and is never passed.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from haulyard.events import Throttled
from haulyard.pacing.aimd import AdaptiveRate
from haulyard.pacing.exact import ExactRate
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
#: Hot prefixes from which on the bucket as a whole is slowed down, in place of them.
_BUCKET_WIDE = 2
#: Buckets and kinds of request that are remembered although nothing limits them.
_MAX_UNLIMITED = 1024
#: Requests whose times are remembered for a ceiling; of a higher one a shorter stretch than a second holds.
_MAX_WINDOW = 100_000


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

    __slots__ = ("_hot", "_others", "_whole")

    def __init__(self) -> None:
        self._whole = _Turns(AdaptiveRate())
        self._hot: dict[str, _Turns] = {}
        # While a prefix is hot: those that were not throttled.
        self._others: dict[str, _Turns] = {}

    @property
    def limited(self) -> bool:
        return self._whole.rate.limit is not None or bool(self._hot)

    async def wait(self, key: str, clock: Clock, sleep: Sleep) -> None:
        # A hot prefix first: who waits for it must not stand in the way of the others.
        if self._hot:
            prefix = _prefix(key)
            turns = self._hot.get(prefix) or self._others.get(prefix) or self._watch(prefix, clock())
            await turns.wait(clock, sleep)
        if self._whole.rate.limit is not None:
            await self._whole.wait(clock, sleep)

    def succeeded(self, key: str, now: float, sent: float) -> None:
        self._whole.rate.succeeded(now, sent)
        if not self._hot:
            return
        prefix = _prefix(key)
        if (other := self._others.get(prefix)) is not None:
            other.rate.succeeded(now, sent)
        elif (hot := self._hot.get(prefix)) is not None:
            hot.rate.succeeded(now, sent)
            if hot.rate.limit is None:
                del self._hot[prefix]
                self._others.clear()

    def throttled(self, key: str, now: float, sent: float) -> float | None:
        """Cut the rate; return the new one, or None where this answer belongs to a cut already made."""
        whole = self._whole.rate
        if whole.limit is None:
            prefix = _prefix(key)
            hot = self._hot.get(prefix)
            if hot is None:
                # What the bucket accepted so far is the measure that the prefix starts from.
                hot = self._hot[prefix] = _Turns(whole.measured_copy())
            if len(self._hot) < _BUCKET_WIDE:
                return hot.rate.limit if hot.rate.throttled(now, sent) else None
            met = any(turns.rate.is_known for turns in self._hot.values())
            self._hot.clear()
            self._others.clear()
            return whole.limit if whole.throttled(now, sent, met=met) else None
        return whole.limit if whole.throttled(now, sent) else None

    def _watch(self, prefix: str, now: float) -> _Turns:
        hot = next(iter(self._hot.values())).rate
        # The last one goes on where the hot one was left: a job that goes through prefixes keeps its way.
        last = next(reversed(self._others.values())).rate if self._others else hot
        if len(self._others) >= _MAX_PREFIXES:
            self._others.clear()
        start = max(hot, last, key=lambda rate: rate.limit or 0.0)
        turns = self._others[prefix] = _Turns(start.offshoot(now))
        return turns


class Limiter:
    """Bound requests in flight to ``concurrency`` and pace them by what the store accepts.

    A slot is held until the body of the answer is read or closed; a request that waits to be retried holds
    none, for the retry layer lies outside. Nor does one that waits for its turn.

    ``rate`` is a ceiling in requests a second over all buckets and kinds, every attempt counted; 0 is none.
    No second ever holds more (at one that is no whole number: no stretch of ``int(rate) / rate`` seconds),
    and they are spaced evenly, 2 % below it; see `haulyard.pacing.exact`.
    """

    def __init__(
        self,
        inner: Inner,
        concurrency: int,
        emit: Emit,
        *,
        rate: float = 0.0,
        clock: Clock = time.monotonic,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._inner = inner
        self._emit = emit
        self._clock = clock
        self._sleep = sleep
        self._slots = asyncio.Semaphore(concurrency)
        self._rates: dict[tuple[str, str], _Rates] = {}
        self._ceiling = _ceiling(rate) if rate else None

    async def __call__(self, request: Request) -> HttpAnswer:
        """Wait for the request's turn and for a slot, then send it."""
        rates = self._rates.get((request.bucket, request.kind)) or self._rates_of(request)
        if rates.limited:
            await rates.wait(request.key, self._clock, self._sleep)
        slots = self._slots
        await slots.acquire()
        try:
            if self._ceiling is not None:
                # With the slot in hand: who still had to wait for one would be sent later than granted.
                await self._below(self._ceiling)
            sent = self._clock()
            answer = await self._inner(request)
        except BaseException:
            slots.release()
            raise
        answer.when_closed(lambda _: slots.release())
        if answer.ok or not _throttles(request, answer):
            rates.succeeded(request.key, self._clock(), sent)
        elif (rate := rates.throttled(request.key, self._clock(), sent)) is not None:
            self._emit(Throttled(request.bucket, request.kind, rate))
        return answer

    async def _below(self, ceiling: ExactRate) -> None:
        now = self._clock()
        if (delay := ceiling.reserve(now) - now) > 0:
            await self._sleep(delay)

    def _rates_of(self, request: Request) -> _Rates:
        if len(self._rates) >= _MAX_UNLIMITED:
            self._rates = {name: rates for name, rates in self._rates.items() if rates.limited}
        rates = self._rates[request.bucket, request.kind] = _Rates()
        return rates


def _ceiling(rate: float) -> ExactRate:
    if not 0 < rate < float("inf"):
        raise ValueError(f"no such rate: {rate} requests a second")
    requests = max(1, int(min(rate, _MAX_WINDOW)))
    return ExactRate(requests, requests / rate)


def _throttles(request: Request, answer: HttpAnswer) -> bool:
    code = code_of(request, answer.status, answer.body)
    return verdict(request, answer.status, code, answer.headers) is Verdict.THROTTLE


def _prefix(key: str) -> str:
    return key.rpartition("/")[0]
