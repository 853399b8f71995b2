"""The comparisons of `haul process`: their inputs, what they read from the log, what they make of it."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# `python -m benchmarks` finds the package in the directory it is run from.
sys.path.insert(0, str(ROOT))

from benchmarks.comparison import MIB  # noqa: E402
from benchmarks.peers import api_arrivals, made_up_store  # noqa: E402

from benchmarks import process_scale, report  # noqa: E402
from haulyard.testing.api import Call  # noqa: E402


def _call(number: int, at: float, status: int = 200, key: str = "") -> bytes:
    head = f"POST / HTTP/1.1\r\nIdempotency-Key: {key or number}".encode()
    return Call(number, at, at, "POST", "/", head, b"", status).line()


def test_any_range_of_a_made_up_object_is_a_piece_of_the_same_csv() -> None:
    made = made_up_store.MadeUp(10_000, 200)
    whole = made.piece(0, made.size)
    assert len(whole) == made.size
    rows = list(csv.DictReader(whole.decode().splitlines()))
    assert [int(row["number"]) for row in rows] == list(range(len(rows)))
    assert {len(row) for row in rows} == {1 + made_up_store.COLUMNS}
    for start, end in ((0, 1), (50, 130), (130, 131), (99, 1_500), (777, made.size)):
        assert made.piece(start, end) == whole[start:end]


def test_the_log_tells_rate_fullest_second_and_jitter(tmp_path: Path) -> None:
    log = tmp_path / "calls"
    even = [_call(number, number / 4) for number in range(8)]
    log.write_bytes(b"".join([*even, _call(9, 2.0, 429), _call(10, 2.05, key="7")]))
    told = api_arrivals.main(str(log), 4.0)
    assert (told["calls"], told["refused"], told["records"], told["fullest"]) == (10, 1, 8, 5)
    assert told["span"] == 2.05
    assert told["jitter"] == pytest.approx(0.2)


def _result(name: str, wall: float = 10.0, disk: int = MIB) -> dict[str, object]:
    median = {"wall": wall, "cpu": wall, "rss": 50 * MIB, "disk": disk}
    small = median | {"disk": 0, "rss": MIB}
    return {
        "name": name,
        "contestants": [{"name": "haul", "median": median}, {"name": "haul, 20 MB", "median": small}],
    }


def test_time_is_counted_up_and_of_disk_only_what_grows() -> None:
    # 3,960,000 records more took a MiB more: 199,700,000 take 50 more.
    results = {name: _result(name, 61.2) for name in ("process_5000", "process_memory")}
    (row,) = process_scale.lines(results)[2:]
    assert row == "| 5,000 calls a second, one record a call | 11.3 h | 50 MiB | 51 MiB |"


def test_the_table_is_written_into_the_pages_that_have_a_place_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("process_5000", "process_unlimited", "process_batches")
    monkeypatch.setattr(report, "load", lambda asked: [_result(name) for name in asked])
    monkeypatch.setattr(report, "RESULTS", tmp_path)
    monkeypatch.setattr(process_scale, "DOCS", tmp_path)
    page = tmp_path / "page.md"
    page.write_text(f"before\n{process_scale.BEGIN}\nold\n{process_scale.END}\nafter\n")
    process_scale.publish()
    once = page.read_text()
    process_scale.publish()
    assert page.read_text() == once
    assert once.startswith("before\n")
    assert once.endswith("\nafter\n")
    assert "old" not in once
    assert once.count(" | 50 MiB | ") == len(names)
