from __future__ import annotations

import pytest

from haulyard.ingest.ranges import Span, Sparse, joined, missing


@pytest.mark.parametrize(
    ("spans", "gap", "expected"),
    [
        ([], 10, []),
        ([(0, 5)], 10, [(0, 5)]),
        ([(0, 5), (5, 8)], 0, [(0, 8)]),
        ([(0, 5), (6, 8)], 0, [(0, 5), (6, 8)]),
        ([(0, 5), (15, 20)], 10, [(0, 20)]),
        ([(0, 5), (16, 20)], 10, [(0, 5), (16, 20)]),
        ([(16, 20), (0, 5)], 10, [(0, 5), (16, 20)]),
        ([(0, 20), (5, 8)], 0, [(0, 20)]),
        ([(0, 5), (3, 3), (30, 30)], 10, [(0, 5)]),
        ([(0, 1), (2, 3), (4, 5), (100, 101)], 1, [(0, 5), (100, 101)]),
    ],
)
def test_neighbours_are_joined_across_gaps_that_are_worth_it(
    spans: list[tuple[int, int]], gap: int, expected: list[tuple[int, int]]
) -> None:
    assert joined([Span(*span) for span in spans], gap) == expected


@pytest.mark.parametrize(
    ("span", "held", "expected"),
    [
        ((0, 10), [], (0, 10)),
        ((0, 10), [(0, 10)], None),
        ((0, 10), [(5, 20)], (0, 5)),
        ((5, 10), [(0, 7)], (7, 10)),
        ((5, 10), [(0, 20)], None),
        ((0, 10), [(3, 5)], (0, 10)),
        ((0, 10), [(20, 30)], (0, 10)),
    ],
)
def test_what_is_held_is_not_fetched_again(
    span: tuple[int, int], held: list[tuple[int, int]], expected: tuple[int, int] | None
) -> None:
    assert missing(Span(*span), [Span(*each) for each in held]) == expected


def test_a_sparse_file_gives_what_it_has_wherever_it_lies() -> None:
    file = Sparse(100)
    file.hold(50, bytes(range(50, 60)))
    file.hold(10, bytes(range(10, 20)))
    file.hold(60, bytes(range(60, 100)))
    file.seek(12)
    assert (bytes(file.read(3)), file.tell()) == (bytes((12, 13, 14)), 15)
    file.seek(-1, 2)
    assert bytes(file.read()) == bytes((99,))
    file.seek(55)
    assert bytes(file.read(10)) == bytes(range(55, 65))
    assert file.readable()
    assert file.seekable()


def test_what_lies_in_one_range_is_not_copied() -> None:
    file, data = Sparse(10), bytearray(10)
    file.hold(0, data)
    view = file.read(4)
    data[0] = 7
    assert view[0] == 7


@pytest.mark.parametrize("start", [0, 15, 60])
def test_what_is_not_there_is_never_made_up(start: int) -> None:
    file = Sparse(100)
    file.hold(10, bytes(10))
    file.seek(start)
    with pytest.raises(OSError, match="were not fetched"):
        file.read(10)
