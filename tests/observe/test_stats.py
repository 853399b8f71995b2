"""Statistics."""

from __future__ import annotations

import pytest

from haulyard.errors import S3NotFound
from haulyard.events import BytesMoved, RequestDone, RequestRetried, Throttled, TransferDone
from haulyard.observe.stats import Latencies, Statistics


def test_percentiles_are_right_to_a_few_percent() -> None:
    latencies = Latencies()
    assert latencies.percentile(50) == 0.0
    for number in range(1, 1001):
        latencies.add(number / 1000)
    for percent in (50, 95, 99, 100):
        assert latencies.percentile(percent) == pytest.approx(percent / 100, rel=0.03)


def test_a_million_durations_take_little_memory() -> None:
    latencies = Latencies()
    for number in range(100_000):
        latencies.add(number / 10_000)
    latencies.add(0.0)
    assert len(latencies._classes) < 400


def test_everything_is_counted() -> None:
    statistics = Statistics()
    for status in (200, 200, 404, 0):
        statistics(RequestDone("GetObject", "b", "k", status, 1, 0.1, 10, 100))
    statistics(RequestRetried("GetObject", "b", "k", 1, 0.5, "reset"))
    statistics(Throttled("b", "read", 10.0))
    statistics(BytesMoved("a", 5))
    statistics(TransferDone("download", "a", "b", 5))
    statistics(TransferDone("download", "a", "b", 5, error=S3NotFound("gone")))
    fields = statistics.fields()
    assert fields == {
        "requests": {
            "GetObject": {
                "count": 4,
                "errors": 2,
                **dict.fromkeys(("p50", "p95", "p99"), pytest.approx(0.1, rel=0.03)),
            }
        },
        "retries": 1,
        "throttled": 1,
        "bytes_sent": 40,
        "bytes_received": 400,
        "objects": {"download": 1},
        "failed": 1,
    }
    first, second, third = statistics.lines()
    assert first.startswith("GetObject: 4 requests, p50 ")
    assert first.endswith("ms, 2 answered with an error")
    assert second == "40 bytes sent, 400 received, 1 retries, throttled 1 times"
    assert third == "objects: 1 download, 1 failed"


def test_nothing_happened() -> None:
    assert Statistics().lines() == ["0 bytes sent, 0 received, 0 retries, throttled 0 times"]
