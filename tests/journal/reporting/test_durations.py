import json
import random

import pytest

from haulyard.journal.reporting.durations import ERROR, Durations


@pytest.mark.parametrize("percent", [50, 95, 99, 100])
def test_percentiles_are_within_the_stated_error(percent: float) -> None:
    chance = random.Random(3)
    values = sorted(chance.lognormvariate(-3, 1.5) for _ in range(20_001))
    durations = Durations()
    for value in values:
        durations.add(value)
    exact = values[max(int(len(values) * percent / 100) - 1, 0)]
    assert durations.percentile(percent) == pytest.approx(exact, rel=ERROR * 1.1)


def test_memory_does_not_grow_with_what_is_counted() -> None:
    chance = random.Random(4)
    durations = Durations()
    for _ in range(50_000):
        durations.add(10 ** chance.uniform(-12, 12))
    assert durations.count == 50_000
    assert len(durations._classes) <= 1_397


def test_a_duration_can_be_counted_several_times_at_once() -> None:
    durations = Durations()
    durations.add(0.5, 3)
    durations.add(2.0)
    assert (durations.count, durations.mean, durations.longest) == (4, 0.875, 2.0)
    assert durations.percentile(100) == pytest.approx(2.0, rel=ERROR)


def test_nothing_counted_is_zero() -> None:
    durations = Durations()
    assert (durations.mean, durations.percentile(99), durations.buckets()) == (0.0, 0.0, [])


def test_buckets_cover_everything_once_and_adjoin() -> None:
    durations = Durations()
    for at in range(1, 1000):
        durations.add(at / 100)
    buckets = durations.buckets(20)
    assert len(buckets) <= 20
    assert sum(each.count for each in buckets) == 999
    assert buckets[0].low <= 0.01
    assert buckets[-1].high > 9.99
    assert [each.high for each in buckets[:-1]] == [each.low for each in buckets[1:]]


def test_it_comes_back_from_json_as_it_was() -> None:
    chance = random.Random(5)
    durations = Durations()
    for _ in range(1000):
        durations.add(chance.lognormvariate(-3, 1.5))
    again = Durations.from_json(json.loads(json.dumps(durations.to_json())))
    assert vars(again) == vars(durations)
