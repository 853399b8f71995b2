from __future__ import annotations

import csv
import io
import json
import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haulyard.errors import ConfigError, RecordError
from haulyard.records.formats.cutting import Cutter, Start
from haulyard.records.formats.delimited import DelimitedRows, Dialect, find_header
from haulyard.records.formats.encoding import Charset
from haulyard.records.formats.parser import TextParser

if TYPE_CHECKING:
    from collections.abc import Sequence

    from haulyard.records.model import Block, Flaw

COLUMNS = ("a", "b", "c")

BEGINNING = Start()
CSV = Dialect()


def read(
    data: bytes,
    *,
    chunk: int = 10**6,
    dialect: Dialect = CSV,
    start: Start = BEGINNING,
    columns: Sequence[str] = COLUMNS,
    infer: bool = False,
    encoding: str = "utf-8",
    grid: int = 64,
    max_record: int = 10**6,
) -> list[Block]:
    """Read the records of ``data`` from ``start`` on, fed in chunks."""
    charset = Charset(encoding, data, dialect.specials)
    cutter = Cutter(dialect.ends(), start, grid=grid, max_record=max_record)
    parser = TextParser(1, cutter, DelimitedRows(dialect, charset, columns, infer=infer))
    blocks = []
    for at in range(start.offset, len(data), chunk):
        blocks += list(parser.feed(data[at : at + chunk]))
    blocks += list(parser.finish())
    return [block for block in blocks if block is not None]


def values(blocks: list[Block]) -> list[list[str]]:
    return [list(json.loads(row).values()) for block in blocks for row in block.rows if row]


def flaws(blocks: list[Block]) -> list[Flaw]:
    return [flaw for block in blocks for _, flaw in sorted(block.flaws.items())]


texts = st.text(
    st.sampled_from('ab,;\t|"\n\r\\ é€\x00\x01\x1f%{}') | st.characters(codec="utf-8"), max_size=8
)
tables = st.lists(st.lists(texts, min_size=3, max_size=3), max_size=12)


@given(
    table=tables,
    delimiter=st.sampled_from(",;\t|"),
    quoting=st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL, csv.QUOTE_NONNUMERIC]),
    ending=st.sampled_from(["\n", "\r\n"]),
    chunk=st.integers(1, 40),
    grid=st.integers(16, 64),
)
def test_what_the_csv_module_writes_is_read_back_in_any_chunks_and_from_any_block(
    table: list[list[str]], delimiter: str, quoting: int, ending: str, chunk: int, grid: int
) -> None:
    # With line feeds alone the module does not quote a carriage return, and one before a line feed is lost.
    if ending == "\n":
        table = [[field.replace("\r", "") for field in fields] for fields in table]
    stream = io.StringIO()
    csv.writer(stream, delimiter=delimiter, quoting=quoting, lineterminator=ending).writerows(table)  # type: ignore[arg-type]
    data = stream.getvalue().encode()
    dialect = Dialect(delimiter)
    blocks = read(data, chunk=chunk, dialect=dialect, grid=grid)
    assert values(blocks) == table
    assert not flaws(blocks)
    assert all(b"\n" not in row for block in blocks for row in block.rows)
    for index, block in enumerate(blocks):
        start = Start(block.offset, block.line)
        assert read(data, chunk=chunk + 1, dialect=dialect, grid=grid, start=start) == blocks[index:]
        after = Start(block.end, block.end_line)
        assert read(data, chunk=chunk, dialect=dialect, grid=grid, start=after) == blocks[index + 1 :]


@given(
    data=st.text(st.sampled_from('a,"\n\\'), max_size=60),
    escape=st.sampled_from(["", "\\"]),
    quote=st.sampled_from(["", '"']),
    chunk=st.integers(1, 40),
)
def test_records_are_those_of_the_csv_module_whatever_the_text(
    data: str, escape: str, quote: str, chunk: int
) -> None:
    reader = csv.reader(
        io.StringIO(data, newline="\n"),
        quotechar=quote or None,
        escapechar=escape or None,
        quoting=csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE,
    )
    expected = [fields for fields in reader if fields]
    blocks = read(data.encode(), chunk=chunk, dialect=Dialect(",", quote, escape), grid=16)
    assert blocks == read(data.encode(), dialect=Dialect(",", quote, escape), grid=16)
    found = flaws(blocks)
    if any("is not closed" in flaw.reason for flaw in found):
        return  # there the module takes the rest of the text for one field
    assert values(blocks) == [fields for fields in expected if len(fields) == 3]
    assert [flaw.reason.split()[0] for flaw in found] == [
        str(len(fields)) for fields in expected if len(fields) != 3
    ]


def test_a_record_with_the_wrong_number_of_fields_is_a_flaw_with_its_line_and_offset() -> None:
    data = b'1,"x\ny",3\n\n1,2\n1,2,3\n9\n'
    (block,) = read(data)
    assert [json.loads(row)["b"] for row in block.rows if row] == ["x\ny", "2"]
    assert [(row, flaw[:3]) for row, flaw in block.flaws.items()] == [
        (1, (4, 11, "2 fields instead of 3")),
        (3, (6, 21, "1 field instead of 3")),
    ]
    assert block.flaws[1].raw == b"1,2\n"


def test_a_quote_inside_a_field_is_an_ordinary_character() -> None:
    assert values(read(b'5" disk,"6"" disk",7"\n"a"b,c,d\n')) == [
        ['5" disk', '6" disk', '7"'],
        ["ab", "c", "d"],
    ]


def test_a_quote_that_is_never_closed_costs_its_line_alone() -> None:
    data = b'1,2,3\n4,"x\n7,8,9\n' + b"a,b,c\n" * 20
    blocks = read(data)
    assert values(blocks)[:2] == [["1", "2", "3"], ["7", "8", "9"]]
    assert len(values(blocks)) == 22
    (flaw,) = flaws(blocks)
    assert flaw == (
        2,
        6,
        "the quote that opens on line 2 is not closed before the end of the object",
        b'4,"x\n',
    )
    assert read(data, chunk=3) == blocks


@pytest.mark.parametrize("chunk", [1, 7, 50, 1000])
def test_a_record_beyond_the_limit_is_passed_over(chunk: int) -> None:
    data = b"1,2,3\n" + b"x" * 500 + b"\n4,5,6\n" + b'7,"8' + b"\n8" * 300 + b'",9\n' + b"1,2,3\n" * 50
    blocks = read(data, chunk=chunk, max_record=200, grid=128)
    assert blocks == read(data, max_record=200, grid=128)
    reasons = [
        flaw.reason for flaw in flaws(blocks) if "fields" not in flaw.reason and "1 f" not in flaw.reason
    ]
    assert re.fullmatch(r"a record of more than [\d.e-]+ MiB", reasons[0])
    assert re.fullmatch(r"the quote that opens on line 4 is not closed before [\d.e-]+ MiB", reasons[1])
    assert values(blocks)[:2] == [["1", "2", "3"], ["4", "5", "6"]]
    assert values(blocks)[-50:] == [["1", "2", "3"]] * 50
    for index, block in enumerate(blocks):
        start = Start(block.offset, block.line)
        assert read(data, chunk=chunk, max_record=200, grid=128, start=start) == blocks[index:]


def test_a_record_of_exactly_the_limit_is_read_whether_or_not_a_line_feed_ends_it() -> None:
    record = b"1,2," + b"3" * 95
    for data in (record + b"\n", record):
        for chunk in (1, 99, 100):
            assert len(values(read(data, chunk=chunk, max_record=100))) == 1
    assert flaws(read(record + b"33", max_record=100))


def test_bytes_that_are_invalid_spoil_their_record_alone() -> None:
    blocks = read(b"1,2,3\n4,\xff,6\n7,\xc3\xa9,9\n")
    assert values(blocks) == [["1", "2", "3"], ["7", "é", "9"]]
    assert flaws(blocks) == [(2, 6, "not UTF-8 at byte 2 of the record", b"4,\xff,6\n")]


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "shift_jis", "gbk", "euc_jp"])
def test_other_encodings_keep_the_offsets_of_the_object(encoding: str) -> None:
    text = "表,é,能\n" if encoding in {"shift_jis", "gbk", "euc_jp"} else "ä,é,ü\n"
    text = text.replace("é", "e")
    data = (text * 50).encode(encoding)
    blocks = read(data, encoding=encoding, chunk=5)
    assert values(blocks) == [text.strip().split(",")] * 50
    assert blocks[-1].end == len(data)


def test_types_are_inferred_value_by_value_as_json_writes_them() -> None:
    data = b'007,-1.5e3,true\n,1e,"false"\n1,-0,01\n'
    assert values(read(data, infer=True)) == [
        ["007", -1500.0, True],
        [None, "1e", False],
        [1, 0, "01"],
    ]
    assert values(read(data))[:2] == [["007", "-1.5e3", "true"], ["", "1e", "false"]]


def test_column_names_may_hold_anything() -> None:
    names = ('"', "%s", "\\\n")
    for data in (b"1,2,3\n", b'"""",2,3\n'):
        (block,) = read(data, columns=names)
        assert tuple(json.loads(block.rows[0])) == names


def test_a_lone_carriage_return_is_part_of_its_field() -> None:
    assert values(read(b'a\rb,c,d\r\n"e\rf",\r\r,g\r\n')) == [["a\rb", "c", "d"], ["e\rf", "\r\r", "g"]]


def header(
    data: bytes, *, ended: bool = True, start: Start = BEGINNING
) -> tuple[tuple[str, ...], Start] | None:
    dialect = Dialect()
    charset = Charset("utf-8", data, dialect.specials)
    return find_header(data, dialect, charset, start=start, ended=ended, name="x.csv")


def test_the_header_is_the_first_record_that_is_not_empty() -> None:
    assert header(b'\r\n\na,"b\nc",d\n1,2,3\n') == (("a", "b\nc", "d"), Start(13, 5))
    assert header(b"a,b") == (("a", "b"), Start(3, 1))
    assert header(b"") == ((), Start(0, 1))
    assert header(b"\n\n") == ((), Start(2, 3))
    assert header(b'a,"b', ended=False) is None
    assert header(b"\xef\xbb\xbfa\n", start=Start(3, 1)) == (("a",), Start(5, 2))


def test_headers_that_cannot_be_one_are_refused() -> None:
    with pytest.raises(RecordError, match="several columns named 'a'") as caught:
        header(b"a,b,a\n")
    assert "--columns" in caught.value.hint
    with pytest.raises(RecordError, match="carriage returns alone"):
        header(b"a,b\r1,2\r")
    with pytest.raises(RecordError, match="does not end"):
        header(b'a,"b\n1,2\n')
    with pytest.raises(RecordError, match="not UTF-8 at byte 2"):
        header(b"a,\xff\n")


@pytest.mark.parametrize(
    ("delimiter", "quote", "escape"),
    [("", '"', ""), ("::", '"', ""), ("§", '"', ""), ("\n", '"', ""), (",", ",", ""), (",", '"', '"')],
)
def test_characters_that_cannot_tell_fields_apart_are_refused(
    delimiter: str, quote: str, escape: str
) -> None:
    with pytest.raises(ConfigError):
        Dialect(delimiter, quote, escape)
