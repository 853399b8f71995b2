import random
import time
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haulyard.errors import JobError
from haulyard.records.model import Block
from haulyard.records.progress import BlockProgress, Progress, Watermark


def _block(number: int, offset: int, rows: int, size: int = 10) -> Block:
    return Block(number, offset, offset + 1, [b"{}"] * rows, offset + size, offset + size + 1)


#: Objects as the numbers of rows of their blocks; an object may be empty, and so may a block.
_OBJECTS = st.lists(st.lists(st.integers(0, 12), max_size=4), min_size=1, max_size=4)
_Rows = set[tuple[int, int, int]]


def _all_rows(objects: list[list[int]]) -> _Rows:
    return {
        (number, at * 10, row)
        for number, blocks in enumerate(objects, 1)
        for at, rows in enumerate(blocks)
        for row in range(rows)
    }


def _read(progress: Progress, objects: list[list[int]]) -> dict[tuple[int, int], BlockProgress]:
    """Begin all blocks from the watermark on, as a run does that goes on."""
    begun = {}
    first, offset, _ = progress.watermark
    for number, blocks in enumerate(objects, 1):
        if number < first:
            continue
        for at, rows in enumerate(blocks):
            if number > first or at * 10 >= offset:
                begun[number, at * 10] = progress.begin(_block(number, at * 10, rows))
        progress.object_read(number)
    return begun


def _left(begun: dict[tuple[int, int], BlockProgress]) -> _Rows:
    return {(*at, row) for at, block in begun.items() for row in block.open_rows()}


@given(_OBJECTS, st.randoms(use_true_random=False), st.data())
@settings(max_examples=200, deadline=None)
def test_whenever_it_is_killed_exactly_the_open_rows_are_left(
    objects: list[list[int]], chance: random.Random, data: st.DataObject
) -> None:
    progress, left = Progress(), _all_rows(objects)
    while True:
        begun = _read(progress, objects)
        assert _left(begun) == left
        order = sorted(left)
        chance.shuffle(order)
        for number, offset, row in order[: data.draw(st.integers(0, len(order)))]:
            begun[number, offset].mark(row)
            left.remove((number, offset, row))
        progress = Progress.restore(orjson.loads(orjson.dumps(progress.snapshot())))
        if not left:
            break
    assert progress.watermark == (len(objects) + 1, 0, 0)
    assert progress.snapshot()["blocks"] == []


@given(_OBJECTS, st.randoms(use_true_random=False), st.integers(0, 3))
@settings(max_examples=100, deadline=None)
def test_a_run_that_ends_before_it_read_what_an_earlier_one_had_forgets_nothing(
    objects: list[list[int]], chance: random.Random, blocks: int
) -> None:
    progress, left = Progress(), _all_rows(objects)
    begun = _read(progress, objects)
    for number, offset, row in sorted(left):
        if chance.random() < 0.5:
            begun[number, offset].mark(row)
            left.remove((number, offset, row))
    # The second run begins with some blocks and is killed.
    progress = Progress.restore(progress.snapshot())
    number, offset, _ = progress.watermark
    for at in range(blocks):
        if number <= len(objects) and offset // 10 + at < len(objects[number - 1]):
            here = offset + at * 10
            progress.begin(_block(number, here, objects[number - 1][here // 10]))
    assert _left(_read(Progress.restore(progress.snapshot()), objects)) == left


def test_the_watermark_stands_where_the_first_open_block_begins() -> None:
    progress = Progress()
    first, second = progress.begin(_block(1, 0, 2)), progress.begin(_block(1, 10, 1))
    second.mark(0)
    assert progress.watermark == Watermark(1, 0, 1)
    assert (progress.open_blocks, progress.open_rows) == (2, 2)
    first.mark(1)
    first.mark(0)
    assert progress.watermark == Watermark(1, 20, 21)
    assert (progress.open_blocks, progress.open_rows) == (0, 0)
    progress.object_read(1)
    assert progress.watermark == Watermark(2, 0, 0)


def test_an_object_is_not_over_while_a_record_of_it_is_open() -> None:
    progress = Progress()
    last = progress.begin(_block(1, 0, 1))
    progress.object_read(1)
    progress.begin(_block(2, 0, 1)).mark(0)
    assert progress.watermark == Watermark(1, 0, 1)
    last.mark(0)
    assert progress.watermark == Watermark(2, 10, 11)


def test_marking_twice_counts_once() -> None:
    progress = Progress()
    block = progress.begin(_block(1, 0, 2))
    block.mark(1)
    block.mark(1)
    assert block.left == 1
    assert (block.is_marked(0), block.is_marked(1)) == (False, True)


@pytest.mark.parametrize(("first", "end"), [(0, 5), (1, 4), (2, 2), (4, 5)])
def test_rows_that_follow_each_other_are_marked_at_once(first: int, end: int) -> None:
    together, singly = Progress(), Progress()
    blocks = [each.begin(_block(1, 0, 5)) for each in (together, singly)]
    for block in blocks:
        block.mark(3)
    blocks[0].mark_rows(first, end)
    for row in range(first, end):
        blocks[1].mark(row)
    assert together.snapshot() == singly.snapshot()
    assert blocks[0].left == blocks[1].left


def test_what_ended_before_is_known_by_object_and_offset() -> None:
    progress = Progress()
    progress.begin(_block(1, 0, 3)).mark(0)
    restored = Progress.restore(progress.snapshot())
    assert restored.done(1, 0) == 0b100
    assert restored.done(1, 10) is None


def test_a_block_of_another_length_is_refused() -> None:
    progress = Progress()
    progress.begin(_block(1, 0, 3)).mark(0)
    with pytest.raises(JobError, match="there were 3 records, now 4"):
        Progress.restore(progress.snapshot()).begin(_block(1, 0, 4))


@pytest.mark.parametrize("by", ["block", "object"])
def test_a_block_that_is_not_there_any_more_is_refused(by: str) -> None:
    progress = Progress()
    progress.begin(_block(1, 0, 1))
    progress.begin(_block(1, 10, 2)).mark(0)
    restored = Progress.restore(progress.snapshot())
    restored.begin(_block(1, 0, 1))
    with pytest.raises(JobError, match="at 10 of object 1 there were 2 records, now none"):
        restored.begin(_block(1, 15, 1)) if by == "block" else restored.object_read(1)


@pytest.mark.parametrize(
    "snapshot", [{}, {"watermark": [1], "blocks": [[1, 0, 2, "8"]]}, {"watermark": ["x"], "blocks": []}]
)
def test_what_is_no_snapshot_is_refused(snapshot: dict[str, Any]) -> None:
    with pytest.raises(JobError, match="cannot be understood"):
        Progress.restore(snapshot)


def test_blocks_of_which_nothing_ended_take_no_room_in_a_snapshot() -> None:
    progress = Progress()
    for at in range(50):
        progress.begin(_block(1, at * 10, 10_000))
    assert progress.snapshot() == {"watermark": [1, 0, 0], "blocks": []}


def test_a_snapshot_of_fifty_blocks_is_a_matter_of_milliseconds() -> None:
    progress = Progress()
    blocks = [progress.begin(_block(1, at * 10, 10_000)) for at in range(50)]
    for block in blocks:
        for row in range(0, 10_000, 7):
            block.mark(row)
    began = time.process_time()
    progress.snapshot()
    # Measured: 0.7 ms. What is bounded here is its order: a list of numbers would take 30.
    assert time.process_time() - began < 0.02
