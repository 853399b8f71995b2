"""What a command did, in numbers: requests and their latencies, retries, throttling, objects."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

from haulyard.events import RequestDone, RequestRetried, Throttled, TransferDone

if TYPE_CHECKING:
    from haulyard.events import Event

# Latencies are counted in classes 5 % apart: a percentile is right to 2.5 %, in bounded memory.
_STEP = math.log(1.05)
_LEAST = 1e-6
PERCENTILES = (50, 95, 99)


class Latencies:
    """A histogram of seconds with logarithmic classes."""

    def __init__(self) -> None:
        self.count = 0
        self._classes: Counter[int] = Counter()

    def add(self, seconds: float) -> None:
        """Count one duration."""
        self.count += 1
        self._classes[round(math.log(max(seconds, _LEAST)) / _STEP)] += 1

    def percentile(self, percent: float) -> float:
        """Return the seconds that ``percent`` of the durations did not exceed; 0.0 where there are none."""
        wanted = self.count * percent / 100
        seen = 0
        for each in sorted(self._classes):
            seen += self._classes[each]
            if seen >= wanted:
                return math.exp(each * _STEP)
        return 0.0


class Statistics:
    """A subscriber that counts; `fields` and `lines` say what came together."""

    def __init__(self) -> None:
        self._latencies: dict[str, Latencies] = {}
        self._errors: Counter[str] = Counter()
        self._objects: Counter[str] = Counter()
        self._retries = self._throttles = self._failed = 0
        self._sent = self._received = 0

    def __call__(self, event: Event) -> None:
        """Count the event."""
        if isinstance(event, RequestDone):
            found = self._latencies.get(event.operation)
            if found is None:
                found = self._latencies[event.operation] = Latencies()
            found.add(event.seconds)
            self._sent += event.sent
            self._received += event.received
            if event.status == 0 or event.status >= 400:  # noqa: PLR2004 -- where HTTP's errors begin
                self._errors[event.operation] += 1
        elif isinstance(event, RequestRetried):
            self._retries += 1
        elif isinstance(event, Throttled):
            self._throttles += 1
        elif isinstance(event, TransferDone):
            if event.error is not None:
                self._failed += 1
            else:
                self._objects[event.action] += 1

    def fields(self) -> dict[str, object]:
        """Return everything, for programs; latencies in seconds."""
        requests = {
            operation: {
                "count": each.count,
                "errors": self._errors[operation],
                **{f"p{percent}": round(each.percentile(percent), 6) for percent in PERCENTILES},
            }
            for operation, each in sorted(self._latencies.items())
        }
        return {
            "requests": requests,
            "retries": self._retries,
            "throttled": self._throttles,
            "bytes_sent": self._sent,
            "bytes_received": self._received,
            "objects": dict(self._objects),
            "failed": self._failed,
        }

    def lines(self) -> list[str]:
        """Return everything, for people; latencies in milliseconds."""
        lines = []
        for operation, each in sorted(self._latencies.items()):
            marks = " ".join(f"p{percent} {each.percentile(percent) * 1000:.1f}" for percent in PERCENTILES)
            errors = f", {self._errors[operation]} answered with an error" if self._errors[operation] else ""
            lines.append(f"{operation}: {each.count} requests, {marks} ms{errors}")
        lines.append(
            f"{self._sent} bytes sent, {self._received} received, "
            f"{self._retries} retries, throttled {self._throttles} times"
        )
        if self._objects or self._failed:
            counts = [f"{count} {action}" for action, count in sorted(self._objects.items())]
            lines.append("objects: " + ", ".join([*counts, f"{self._failed} failed"]))
        return lines
