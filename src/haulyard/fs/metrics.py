"""What a provider did, in numbers: its methods, the requests that they came to, and what went wrong."""

from __future__ import annotations

import time
from collections import Counter, deque
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec, Protocol, TypeVar

from haulyard.events import RequestDone, RequestRetried, Throttled
from haulyard.fs.nodes import OperationStats, ProviderMetrics, RequestFailed
from haulyard.journal.reporting.durations import Durations

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from haulyard.events import Event
    from haulyard.fs.cache import CacheStats

P = ParamSpec("P")
T = TypeVar("T")

#: Requests answered with an error whose ids are kept.
_KEPT: Final = 100
#: Where HTTP's errors begin.
_ERROR: Final = 400


class _Times:
    """How often something was done, how long it took and how often it failed."""

    __slots__ = ("durations", "errors")

    def __init__(self) -> None:
        self.durations = Durations()
        self.errors = 0

    def stats(self) -> OperationStats:
        taken = self.durations
        return OperationStats(
            taken.count, self.errors, taken.percentile(50), taken.percentile(95), taken.percentile(99)
        )


class Meter:
    """Counts; a subscriber of the client's events, and the account of the provider's own methods."""

    def __init__(self) -> None:
        self._operations: dict[str, _Times] = {}
        self._requests: dict[str, _Times] = {}
        self._errors: Counter[str] = Counter()
        self._failed: deque[RequestFailed] = deque(maxlen=_KEPT)
        self._retries = self._throttled = self._sent = self._received = 0

    def __call__(self, event: Event) -> None:
        """Count an event of the client."""
        if isinstance(event, RequestDone):
            times = _of(self._requests, event.operation)
            times.durations.add(event.seconds)
            self._sent += event.sent
            self._received += event.received
            if event.status == 0 or event.status >= _ERROR:
                times.errors += 1
                self._failed.append(
                    RequestFailed(event.operation, event.key, event.status, event.code, event.request_id)
                )
        elif isinstance(event, RequestRetried):
            self._retries += 1
        elif isinstance(event, Throttled):
            self._throttled += 1

    def done(self, operation: str, seconds: float, error: BaseException | None = None) -> None:
        """Count a call of one of the provider's methods."""
        times = _of(self._operations, operation)
        times.durations.add(seconds)
        if error is not None:
            times.errors += 1
            self._errors[type(error).__name__] += 1

    def snapshot(self, cache: CacheStats) -> ProviderMetrics:
        """Return everything so far."""
        return ProviderMetrics(
            _stats(self._operations),
            dict(self._errors),
            _stats(self._requests),
            tuple(self._failed),
            self._retries,
            self._throttled,
            self._sent,
            self._received,
            cache,
        )


class Measured(Protocol):
    """Whose methods are counted."""

    @property
    def _meter(self) -> Meter: ...


M = TypeVar("M", bound=Measured)


def measured(
    call: Callable[Concatenate[M, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[M, P], Coroutine[Any, Any, T]]:
    """Count the calls of a method under its name, how long they take and what they raise."""
    name = call.__name__

    @wraps(call)
    async def counted(self: M, /, *args: P.args, **kwargs: P.kwargs) -> T:
        started = time.monotonic()
        try:
            result = await call(self, *args, **kwargs)
        except BaseException as error:
            self._meter.done(name, time.monotonic() - started, error)
            raise
        self._meter.done(name, time.monotonic() - started)
        return result

    return counted


def _of(table: dict[str, _Times], name: str) -> _Times:
    found = table.get(name)
    if found is None:
        found = table[name] = _Times()
    return found


def _stats(table: Mapping[str, _Times]) -> dict[str, OperationStats]:
    return {name: times.stats() for name, times in sorted(table.items())}
