from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haulyard.records.formats.cutting import Start
from haulyard.records.formats.encoding import Charset
from haulyard.records.formats.json_values import SPECIALS, JsonValues, begins_array

if TYPE_CHECKING:
    from haulyard.records.model import Block, Flaw

BEGINNING = Start()


def read(
    data: bytes,
    *,
    chunk: int = 10**6,
    start: Start = BEGINNING,
    grid: int = 32,
    max_record: int = 10**6,
) -> list[Block]:
    parser = JsonValues(
        1,
        Charset("utf-8", data, SPECIALS),
        start,
        is_array=begins_array(data),
        is_begun=bool(start.offset),
        grid=grid,
        max_record=max_record,
    )
    blocks = []
    for at in range(start.offset, len(data), chunk):
        blocks += list(parser.feed(data[at : at + chunk]))
    blocks += list(parser.finish())
    return [block for block in blocks if block is not None]


def rows(blocks: list[Block]) -> list[bytes]:
    return [row for block in blocks for row in block.rows]


def flaw_of(blocks: list[Block]) -> Flaw:
    (flaw,) = [flaw for block in blocks for flaw in block.flaws.values()]
    return flaw


texts = st.text(st.sampled_from('"\\[]{},: \né'), max_size=5)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**6), 10**6) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=12,
)


@given(
    elements=st.lists(values, max_size=8),
    indent=st.sampled_from([None, 0, 2]),
    ascii_only=st.booleans(),
    chunk=st.integers(1, 30),
)
def test_an_array_is_read_in_any_chunks_and_from_any_block(
    elements: list[Any], indent: int | None, ascii_only: bool, chunk: int
) -> None:
    data = json.dumps(elements, indent=indent, ensure_ascii=ascii_only).encode()
    check(data, elements, chunk)


@given(elements=st.lists(values, max_size=8), indent=st.sampled_from([None, 2]), chunk=st.integers(1, 30))
def test_values_after_one_another_are_read_likewise(
    elements: list[Any], indent: int | None, chunk: int
) -> None:
    if elements and isinstance(elements[0], list):
        elements[0] = {"list": elements[0]}  # else it would be an array of records
    check("\n".join(json.dumps(each, indent=indent) for each in elements).encode(), elements, chunk)


def check(data: bytes, elements: list[Any], chunk: int) -> None:
    blocks = read(data, chunk=chunk)
    assert [json.loads(row) for row in rows(blocks)] == elements
    assert not any(block.flaws for block in blocks)
    assert all(b"\n" not in row for row in rows(blocks))
    for index, block in enumerate(blocks):
        if block.offset:
            assert read(data, chunk=chunk, start=Start(block.offset, block.line)) == blocks[index:]
        assert read(data, chunk=chunk, start=Start(block.end, block.end_line)) == blocks[index + 1 :]


def test_deep_values_are_read() -> None:
    deep = b'{"a":' * 50 + b'"]}"' + b"}" * 50
    assert rows(read(b"[" + deep + b"," + deep + b"]", chunk=7)) == [deep, deep]


def test_numbers_stay_as_they_are_written() -> None:
    data = b"[1.10, 123456789012345678901234567890, 1e5]"
    assert rows(read(data)) == [b"1.10", b"123456789012345678901234567890", b"1e5"]


@pytest.mark.parametrize(
    ("data", "good", "reason", "line", "offset"),
    [
        (b'[1,\n{"a":NaN},3]', 1, "not JSON", 2, 4),
        (b'[1,\n{"a":2', 1, "the value does not end", 2, 4),
        (b"[1,", 1, "the array does not end", 1, 3),
        (b"[1", 1, "the array does not end", 1, 2),
        (b"[1] 2", 1, "something follows the end of the array", 1, 4),
        (b'[1, "\xff", 2]', 1, "not UTF-8 at byte 1 of the record", 1, 4),
        (b"[,1]", 0, "not JSON", 1, 1),
        (b"[1 2]", 1, "a comma is missing", 1, 3),
        (b'{"a":1},{"a":2}', 1, "not JSON", 1, 7),
    ],
)
def test_what_is_broken_is_one_flaw_for_the_rest(
    data: bytes, good: int, reason: str, line: int, offset: int
) -> None:
    blocks = read(data)
    assert blocks == read(data, chunk=1)
    flaw = flaw_of(blocks)
    assert reason in flaw.reason
    assert "the rest of the object cannot be read" in flaw.reason
    assert (flaw.line, flaw.offset) == (line, offset)
    assert len([row for row in rows(blocks) if row]) == good
    assert blocks[-1].end == len(data)


@pytest.mark.parametrize("chunk", [1, 30, 1000])
def test_a_value_beyond_the_limit_is_a_flaw(chunk: int) -> None:
    data = b'[1, "' + b"x" * 200 + b'", 2]'
    flaw = flaw_of(read(data, chunk=chunk, max_record=100))
    assert flaw.reason.startswith("a value of more than")


@pytest.mark.parametrize("data", [b"", b" \n", b"[]", b"[ \n ]\n"])
def test_nothing_is_no_error(data: bytes) -> None:
    assert read(data) == []
