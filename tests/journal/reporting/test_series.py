import json
import random

import pytest

from haulyard.journal.reporting.series import BINS, Run, Runs, Stretch, Throughput, stretches

_START = 1_760_000_000.0


def _run(start: float, end: float, pid: int = 1, command: str = "apply") -> Run:
    return Run(_START + start, _START + end, command, "host", pid)


def test_bins_grow_with_time_and_lose_nothing() -> None:
    throughput = Throughput()
    for second in range(100_000):
        throughput.add(_START + second, 2, 10)
    bins = throughput.bins()
    assert BINS / 2 <= len(bins) <= BINS
    assert sum(each.objects for each in bins) == 200_000
    assert sum(each.size for each in bins) == 1_000_000
    # Powers of two: 100,000 s in at most 300 bins.
    assert throughput.width == 512
    assert throughput.peak() == pytest.approx(2)


def test_bins_do_not_depend_on_the_order_in_which_shards_are_read() -> None:
    moments = [_START + random.Random(7).uniform(0, 5000) for _ in range(5000)]
    forwards, backwards = Throughput(), Throughput()
    for at in moments:
        forwards.add(at, 1, 3)
    for at in sorted(moments, reverse=True):
        backwards.add(at, 1, 3)
    assert forwards.width == backwards.width
    assert forwards.bins() == backwards.bins()


def test_a_pause_of_days_does_not_blur_short_runs() -> None:
    throughput = Throughput()
    for day in (0, 5):
        for step in range(100):
            throughput.add(_START + day * 86400 + step, 1, 0)
    assert throughput.width <= 1
    assert len(throughput.bins()) == 200


def test_the_peak_is_the_highest_of_the_bins() -> None:
    throughput = Throughput()
    for _ in range(96):
        throughput.add(_START + 0.01, 1, 0)
    throughput.add(_START + 0.99, 10, 0)
    assert throughput.peak() == max(each.objects for each in throughput.bins()) / throughput.width == 768


@pytest.mark.parametrize(
    ("seconds", "width"), [(0.0, 0.125), (1.0, 0.125), (3.0, 0.5), (8.0, 1.0), (11.0, 1.0), (86400.0, 1.0)]
)
def test_bins_are_no_shorter_than_figures_make_sense(seconds: float, width: float) -> None:
    throughput = Throughput()
    for eighth in range(16):
        throughput.add(_START + eighth / 8, 96 if eighth == 3 else 0, 1)
    throughput.fit(seconds)
    assert throughput.width == width
    assert throughput.peak() == 96 / width
    assert sum(each.size for each in throughput.bins()) == 16


def test_bins_that_are_wide_already_stay() -> None:
    throughput = Throughput()
    for second in range(1000):
        throughput.add(_START + second, 1, 0)
    before = throughput.bins()
    throughput.fit(1000)
    assert throughput.bins() == before


def test_throughput_comes_back_from_json_as_it_was_and_goes_on() -> None:
    throughput = Throughput()
    for second in range(1000):
        throughput.add(_START + second, 2, 10)
    again = Throughput.from_json(json.loads(json.dumps(throughput.to_json())))
    for each in (throughput, again):
        each.add(_START + 1000, 1, 1)
    assert vars(again) == vars(throughput)


def test_shards_of_one_run_are_one_run() -> None:
    runs = Runs()
    # One process, three shards after each other; then two processes at a time; then the same pid days later.
    for run in (_run(0, 10), _run(10.5, 20), _run(100, 140, 2), _run(101, 130, 3), _run(120, 150, 3)):
        runs.add(run)
    runs.add(_run(86400, 86410))
    assert [(each.start - _START, each.end - _START) for each in runs.all()] == [
        (0, 20),
        (100, 150),
        (86400, 86410),
    ]


def test_an_undo_right_after_is_another_run() -> None:
    runs = Runs()
    runs.add(_run(0, 10))
    runs.add(_run(11, 20, command="undo"))
    assert [each.command for each in runs.all()] == ["apply", "undo"]


def test_any_number_of_intervals_takes_bounded_memory() -> None:
    runs = Runs()
    for at in range(5000):
        runs.add(_run(at, at + 0.9))
    assert len(runs._runs) <= 1001
    assert len(runs.all()) == 1


def test_long_pauses_are_cut_out_and_short_ones_are_not() -> None:
    runs = [_run(0, 100), _run(101, 200), _run(5000, 5100)]
    assert stretches(runs) == [Stretch(_START, _START + 200), Stretch(_START + 5000, _START + 5100)]
    assert stretches([]) == []


def test_only_the_longest_pauses_are_cut_out() -> None:
    runs = [_run(at * 1000 + at * at, at * 1000 + at * at + 10) for at in range(20)]
    pieces = stretches(runs, 4)
    assert len(pieces) == 4
    assert pieces[-1].start == runs[-1].start
