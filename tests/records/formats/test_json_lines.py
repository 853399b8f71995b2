from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from haulyard.records.formats.cutting import Cutter, LineEnds, Start
from haulyard.records.formats.encoding import Charset
from haulyard.records.formats.json_lines import SPECIALS, LineRows
from haulyard.records.formats.parser import TextParser

if TYPE_CHECKING:
    from haulyard.records.model import Block

BEGINNING = Start()


def read(
    data: bytes,
    *,
    chunk: int = 10**6,
    start: Start = BEGINNING,
    grid: int = 32,
    encoding: str = "utf-8",
) -> list[Block]:
    parser = TextParser(1, Cutter(LineEnds(), start, grid=grid), LineRows(Charset(encoding, data, SPECIALS)))
    blocks = []
    for at in range(start.offset, len(data), chunk):
        blocks += list(parser.feed(data[at : at + chunk]))
    blocks += list(parser.finish())
    return [block for block in blocks if block is not None]


values = st.dictionaries(st.text(max_size=3), st.integers(0, 10**6) | st.text(max_size=8), max_size=3)


@given(
    elements=st.lists(values | st.integers(), max_size=12),
    ending=st.sampled_from(["\n", "\r\n", "\n\n"]),
    is_ended=st.booleans(),
    chunk=st.integers(1, 40),
)
def test_lines_are_read_in_any_chunks_and_from_any_block(
    elements: list[Any], ending: str, is_ended: bool, chunk: int
) -> None:
    data = ending.join(json.dumps(each, ensure_ascii=False) for each in elements).encode()
    data += ending.encode() * is_ended
    blocks = read(data, chunk=chunk)
    assert [json.loads(row) for block in blocks for row in block.rows] == elements
    for index, block in enumerate(blocks):
        assert read(data, chunk=chunk, start=Start(block.offset, block.line)) == blocks[index:]
        assert read(data, chunk=chunk, start=Start(block.end, block.end_line)) == blocks[index + 1 :]


def test_a_line_is_kept_as_it_is() -> None:
    (block,) = read(b' {"a": 1.10, "a": 12345678901234567890123} \r\n')
    assert block.rows == [b'{"a": 1.10, "a": 12345678901234567890123}']


def test_lines_that_are_no_json_are_flaws_with_line_and_offset() -> None:
    data = b'{"a":1}\n\n{"a":NaN}\n"\xff"\n{"b":2}\n{"a":1}{}\n'
    (block,) = read(data, grid=1000)
    assert [row for row in block.rows if row] == [b'{"a":1}', b'{"b":2}']
    assert {row: flaw[:2] for row, flaw in block.flaws.items()} == {1: (3, 9), 2: (4, 19), 4: (6, 31)}
    assert block.flaws[1].reason.startswith("not JSON: ")
    assert block.flaws[2].reason == "not UTF-8 at byte 1 of the record"
    assert block.flaws[4].raw == b'{"a":1}{}'


def test_other_encodings_are_made_utf8() -> None:
    (block,) = read('{"a":"é"}\n'.encode("latin-1"), encoding="latin-1")
    assert block.rows == ['{"a":"é"}'.encode()]
    (block,) = read(b'{"a":"\x81"}\n', encoding="cp1252")
    assert block.flaws[0].reason == "not CP1252 at byte 6 of the record"
