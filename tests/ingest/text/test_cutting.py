from __future__ import annotations

from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haulyard.ingest.text.cutting import Cutter, LineEnds, RecordEnds
from haulyard.records.formats.delimited import Dialect

CSV = Dialect()
RECORDS = CSV.ends()


@given(st.text('a,"\n\r', max_size=60), st.booleans())
@settings(deadline=None, max_examples=500)
def test_the_last_end_is_one_that_reading_from_the_beginning_finds(text: str, is_hasty: bool) -> None:
    data = text.encode()
    ends = []
    at = 0
    while (at := RECORDS.next(data, at, len(data))) > 0:
        ends.append(at)
    with patch("haulyard.ingest.text.cutting._STEPS", 200 if is_hasty else 0):
        last = RecordEnds(CSV).last(data)
    # What is certain at once may not be the very last.
    assert last in {0, *ends}
    assert is_hasty or last == (ends[-1] if ends else 0)
    assert bool(last) == bool(ends)


@pytest.mark.parametrize(
    ("data", "end"),
    [
        (b'1,"a"\n2,"b"\n3,"c', 12),
        (b'1,"a"\r\n2,"b"\r\n3', 14),
        (b'1,"a\n', 0),
        (b'1,"a\n2,x\n', 0),
        (b'0,x\n1,"a\n2,x\n', 4),
        (b'1,"",2\n1,"",2\n1,"', 14),
        (b'1,5" x\n2,3\n', 11),
        (b'1,"a,"\n2,x\n', 11),
        (b'"""a\n', 0),
        (b'""""\n', 5),
        (b"no quotes\nat all", 10),
    ],
)
def test_ends_among_quotes(data: bytes, end: int) -> None:
    assert RecordEnds(CSV).last(data) == end


def test_an_escaped_quote_opens_and_closes_nothing() -> None:
    ends = RecordEnds(Dialect(escape="\\"))
    assert ends.last(b'1,"a\\"\nb"\n2,\\"x\n3') == 16


def test_blocks_are_of_about_the_size_that_is_wanted_however_text_arrives() -> None:
    data = b"".join(b"%d,x\n" % number for number in range(1000))
    for chunk in (1, 100, len(data)):
        cutter = Cutter(LineEnds(), size=256, most=10**6)
        blocks = [
            block.data for at in range(0, len(data), chunk) for block in cutter.feed(data[at : at + chunk])
        ]
        blocks += [block.data for block in cutter.finish()]
        assert b"".join(blocks) == data
        assert max(map(len, blocks)) <= 256
        assert min(map(len, blocks[:-1])) > 200


def test_a_record_without_end_is_passed_over_without_being_held() -> None:
    cutter = Cutter(LineEnds(), size=16, most=64)
    blocks = list(cutter.feed(b"a\nb\n" + b"x" * 100))
    for _ in range(100):
        blocks += cutter.feed(b"x" * 100)
        assert cutter._held <= 64 + 16
    blocks += cutter.feed(b"x\nc\n")
    blocks += cutter.finish()
    assert b"".join(block.data for block in blocks if not block.flaw) == b"a\nb\nc\n"
    (flawed,) = (block for block in blocks if block.flaw)
    assert flawed.lines == 1
    assert "a row of more than" in flawed.flaw


def test_an_open_quote_costs_its_line_alone() -> None:
    cutter = Cutter(RecordEnds(CSV), size=16, most=64)
    blocks = list(cutter.feed(b'1,a\n2,"b\n' + b"3,c\n" * 50))
    blocks += cutter.finish()
    assert b"".join(block.data for block in blocks if not block.flaw) == b"1,a\n" + b"3,c\n" * 50
    (flawed,) = (block for block in blocks if block.flaw)
    assert flawed.data == b'2,"b'
    assert flawed.lines == 1
    # What was held for the open quote does not become one large block.
    assert max(len(block.data) for block in blocks) <= 16
