"""Which ranges are fetched together, and what is fetched ahead: pure."""

from __future__ import annotations

from concurrent.futures import Future

from hypothesis import given
from hypothesis import strategies as st

from haulyard.fs.fsspec.ahead import ReadAhead
from haulyard.fs.fsspec.ranges import Joined, Wanted, joined

_RANGES = st.lists(
    st.tuples(st.integers(0, 5_000), st.integers(1, 500)).map(lambda pair: (pair[0], pair[0] + pair[1]))
)


@given(_RANGES, st.integers(0, 300), st.integers(1, 2_000))
def test_every_range_is_in_one_request_and_no_request_is_larger_than_it_may_be(
    ranges: list[tuple[int, int]], gap: int, largest: int
) -> None:
    requests = joined(
        [Wanted(start, end, number) for number, (start, end) in enumerate(ranges)], gap, largest
    )
    parts = [part for request in requests for part in request.parts]
    assert sorted(part.owner for part in parts) == list(range(len(ranges)))
    for request in requests:
        assert request.start == min(part.start for part in request.parts)
        assert request.end == max(part.end for part in request.parts)
        assert request.end - request.start <= largest or len(request.parts) == 1
        covered = request.start
        for part in request.parts:
            assert part.start <= covered + gap
            covered = max(covered, part.end)


def test_what_is_far_apart_is_fetched_apart() -> None:
    near, far = Wanted(0, 10, 0), Wanted(75, 80, 1)
    assert joined([far, near], gap=64) == [Joined(0, 10, (near,)), Joined(75, 80, (far,))]
    assert joined([far, near], gap=65) == [Joined(0, 80, (near, far))]
    assert joined([]) == []


class _Source:
    """A file whose requests are counted."""

    def __init__(self, size: int) -> None:
        self.data = (bytes(range(251)) * (size // 251 + 1))[:size]
        self.asked: list[tuple[int, int]] = []

    def begin(self, start: int, stop: int) -> Future[bytes]:
        self.asked.append((start, stop))
        future: Future[bytes] = Future()
        future.set_result(self.data[start:stop])
        return future


@given(st.lists(st.tuples(st.integers(0, 40_000), st.integers(0, 9_000)), max_size=20), st.integers(1, 8_000))
def test_whatever_is_read_is_what_the_file_holds(reads: list[tuple[int, int]], block: int) -> None:
    source = _Source(30_000)
    ahead = ReadAhead(block, source.begin, len(source.data), source.data[:100])
    for start, size in reads:
        assert ahead._fetch(start, start + size) == source.data[start : start + size]
    assert all(0 <= start < stop <= len(source.data) for start, stop in source.asked)
    assert all(stop - start <= block for start, stop in source.asked)


def test_from_start_to_end_nothing_is_asked_for_twice() -> None:
    source = _Source(1_000_000)
    ahead = ReadAhead(50_000, source.begin, len(source.data))
    got = b"".join(ahead._fetch(at, at + 3_000) for at in range(0, 1_000_000, 3_000))
    assert got == source.data
    assert [start for start, _ in source.asked] == [0, *(stop for _, stop in source.asked[:-1])]
    assert len(source.asked) <= 25


def test_a_failed_request_is_forgotten() -> None:
    source = _Source(1_000)
    failing: list[bool] = [True]

    def begin(start: int, stop: int) -> Future[bytes]:
        future = source.begin(start, stop)
        if failing.pop() if failing else False:
            future = Future()
            future.set_exception(OSError("broken"))
        return future

    ahead = ReadAhead(1_000, begin, 1_000)
    for attempt in range(2):
        try:
            assert ahead._fetch(0, 10) == source.data[:10]
            assert attempt == 1
        except OSError:
            assert attempt == 0
