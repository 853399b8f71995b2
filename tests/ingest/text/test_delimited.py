from __future__ import annotations

import asyncio
import csv
import io
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.ingest.text.reading import read, texts

from haulyard.errors import ConfigError, IngestError
from haulyard.events import Warned
from haulyard.ingest.model import ReadOptions, SourceFile
from haulyard.ingest.text import text_pieces
from haulyard.stores.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

NAMES = ("a", "b", "c")
CELLS = st.lists(st.sampled_from([*'ab0 ,"\n;é\0', "\r\n"]), max_size=5).map("".join)


def written(rows: Sequence[Sequence[str]], quoting: int, end: str) -> bytes:
    file = io.StringIO(newline="")
    csv.writer(file, quoting=quoting, lineterminator=end).writerows(rows)  # type: ignore[arg-type]
    return file.getvalue().encode()


def understood(data: bytes) -> list[tuple[int, list[str]]]:
    """Return each row with the number of its first line, as the csv module reads it."""
    lines = io.StringIO(data.decode(), newline="\n")
    rows = []
    reader = csv.reader(lines)
    begun = 1
    for row in reader:
        rows.append((begun, row))
        begun = reader.line_num + 1
    return [(line, row) for line, row in rows if row]


@given(
    st.lists(st.lists(CELLS, min_size=2, max_size=4), max_size=12),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    st.sampled_from(["\n", "\r\n"]),
    st.integers(1, 64),
    st.integers(1, 40),
)
@settings(deadline=None)
def test_rows_and_their_lines_are_those_of_the_csv_module(
    rows: list[list[str]], quoting: int, end: str, block: int, chunk: int
) -> None:
    data = written([NAMES, *rows], quoting, end)
    got = read(data, texts(*NAMES), block=block, chunk=chunk, nulls=(), header=True)
    wanted = understood(data)[1:]
    assert [list(row.values()) for row in got.rows] == [row for _, row in wanted if len(row) == len(NAMES)]
    assert got.lines == [line for line, row in wanted if len(row) != len(NAMES)]


@given(st.text('a1,"\n\r', max_size=40), st.integers(1, 40), st.integers(1, 20))
@example("\n\r\r\n", 1, 1)
@settings(deadline=None, max_examples=300)
def test_where_blocks_are_cut_makes_no_difference(text: str, block: int, chunk: int) -> None:
    data = b"a,b\n" + text.encode()
    schema = pa.schema([("a", pa.int64()), ("b", pa.string())])
    one = read(data, schema, header=True)
    many = read(data, schema, block=block, chunk=chunk, header=True)
    assert many.rows == one.rows
    assert many.rejects == one.rejects


def test_bad_rows_are_named_by_line_column_value_and_reason() -> None:
    data = b'a,b\n1,x\n\n2\n"q",y\n3,"z\nz"\n4,\xff\n5,y,y\n6,v'
    got = read(data, pa.schema([("a", pa.int64()), ("b", pa.string())]))
    assert got.rows == [{"a": 1, "b": "x"}, {"a": 3, "b": "z\nz"}, {"a": 6, "b": "v"}]
    assert [reject[1:] for reject in got.rejects] == [
        (4, "1 field instead of 2", "", "", b"2"),
        (5, "not of type BIGINT", "a", "q", b'"q",y'),
        (8, "not UTF-8 at byte 2 of the row", "", "", b"4,\xff"),
        (9, "3 fields instead of 2", "", "", b"5,y,y"),
    ]


def test_columns_that_the_file_lacks_are_null_and_others_are_left_out() -> None:
    got = read(b"a,b\n1,2\n", pa.schema([("c", pa.date32()), ("b", pa.int32())]))
    assert got.rows == [{"c": None, "b": 2}]
    assert got.names == [("a", "b")]


def test_rows_are_counted_where_no_column_is_wanted() -> None:
    got = read(b"a,b\n1,2\n3\n4,5\n", pa.schema([]))
    assert sum(piece.rows for piece in got.pieces) == 3
    assert got.lines == [3]


def test_null_in_a_column_that_takes_none_is_rejected() -> None:
    schema = pa.schema([pa.field("a", pa.int64(), nullable=False), pa.field("b", pa.string())])
    got = read(b"a,b\n1,x\nNA,y\n", schema)
    assert got.rows == [{"a": 1, "b": "x"}]
    assert [(each.line, each.column, each.reason) for each in got.rejects] == [
        (3, "a", "null in a column that takes none")
    ]
    assert got.schema == schema


def test_a_quote_that_is_never_closed_costs_one_row() -> None:
    rows = b"".join(b"%d,x\n" % number for number in range(2000))
    data = b'a,b\n1,x\n2,"open\n' + rows
    got = read(data, pa.schema([("a", pa.int64()), ("b", pa.string())]), memory=4096, block=512)
    assert len(got.rows) == 2001
    assert got.lines == [3]
    (reason,) = got.reasons
    assert reason.startswith("a row of more than 0.000976562 MiB (a larger memory limit allows for it), ")
    assert reason.endswith("or a quote that opens is not closed")
    assert got.rejects[0].raw == b'2,"open'


@pytest.mark.parametrize(("memory", "loaded"), [(512 * 1024**2, 2), (16 * 1024**2, 1)])
def test_a_huge_field_is_loaded_where_memory_allows_it_else_rejected_with_the_limit(
    memory: int, loaded: int
) -> None:
    size = 8 * 1024**2
    data = b"a,b\n1," + b"x" * size + b"\n2,y\n"
    got = read(data, texts("a", "b"), memory=memory)
    assert [row["a"] for row in got.rows] == ["1", "2"][2 - loaded :]
    assert len(got.rows) + len(got.rejects) == 2
    assert all("a row of more than 4 MiB" in reason for reason in got.reasons)
    assert got.lines == [2][: 2 - loaded]


def test_nul_bytes_are_kept_in_text_and_rejected_as_numbers() -> None:
    got = read(b"a,b\n1,x\0y\n\0,z\n", pa.schema([("a", pa.int64()), ("b", pa.string())]))
    assert got.rows == [{"a": 1, "b": "x\0y"}]
    assert got.lines == [3]


def test_five_thousand_columns() -> None:
    names = [f"c{number}" for number in range(5000)]
    data = ",".join(names).encode() + b"\n" + b"1," * 4999 + b"2\n"
    got = read(data)
    assert got.schema.names == names
    assert got.rows[0]["c4999"] == 2


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_line_ends_and_marked_encodings_are_found_out(end: str, encoding: str) -> None:
    text = end.join(["name,n", "Zoë,1", "b,2", "c,3", ""])
    got = read(text.encode(encoding), chunk=7)
    assert got.rows == [{"name": "Zoë", "n": 1}, {"name": "b", "n": 2}, {"name": "c", "n": 3}]


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "shift_jis"])
def test_other_encodings_are_read_where_they_are_named(encoding: str) -> None:
    name = "テスト" if encoding == "shift_jis" else "Zoë"
    got = read(f"name,n\n{name},1\n".encode(encoding), encoding=encoding)
    assert got.rows == [{"name": name, "n": 1}]


def test_few_rows_that_are_not_utf8_are_rejected_and_told() -> None:
    rows = b"".join(b"%d,ok\n" % number for number in range(100))
    got = read(b"a,b\n" + rows + "1,Zoë\n".encode("latin-1"), texts("a", "b"))
    assert len(got.rows) == 100
    assert got.lines == [102]
    assert [event.hint for event in got.events if isinstance(event, Warned)] == [
        "encoding='latin-1' (or 'cp1252' …) if that is what they are"
    ]


def test_a_file_in_another_encoding_is_refused_with_the_way_out() -> None:
    with pytest.raises(IngestError, match="is not UTF-8") as raised:
        read(b"a,b\n" + "1,Zoë\n".encode("latin-1") * 20, texts("a", "b"))
    assert "encoding='latin-1'" in raised.value.hint


def test_a_header_in_another_encoding_is_refused_with_the_way_out() -> None:
    with pytest.raises(IngestError, match="first line is not UTF-8") as raised:
        read("naïve,b\n1,2\n".encode("latin-1"))
    assert "latin-1" in raised.value.hint


@pytest.mark.parametrize("data", [b"", b"\n\n", b"\r\n", b"\xef\xbb\xbf"])
def test_an_empty_file_has_no_columns_unless_a_schema_says_which(data: bytes) -> None:
    with pytest.raises(IngestError, match=r"a\.csv is empty"):
        read(data)
    got = read(data, texts("a"))
    assert got.rows == []
    assert got.schema == texts("a")


def test_a_header_alone_gives_columns_without_rows() -> None:
    got = read(b"a,b\n")
    assert got.schema.names == ["a", "b"]
    assert got.rows == []


@pytest.mark.parametrize("kind", [pa.list_(pa.int64()), pa.float16(), pa.struct([("x", pa.int64())])])
def test_types_that_text_cannot_be_read_as_are_refused(kind: pa.DataType) -> None:
    with pytest.raises(ConfigError, match="column 'a' of a CSV file cannot be read as"):
        read(b"a\n1\n", pa.schema([("a", kind)]))


def test_decimals_are_exact_where_they_are_asked_for_and_doubles_else() -> None:
    kind = pa.decimal128(12, 2)
    got = read(b"a\n12.30\n-0.05\n1.234\n", pa.schema([("a", kind)]))
    assert [str(row["a"]) for row in got.rows] == ["12.30", "-0.05"]
    assert [(each.line, each.value) for each in got.rejects] == [(4, "1.234")]
    assert read(b"a\n12.30\n").schema.field("a").type == pa.float64()


@pytest.mark.parametrize(
    ("name", "data", "options"),
    [
        ("a.tsv", b"a\tb\n1\t2\n", {}),
        ("a.csv", b"a;b\n1;2\n", {}),
        ("a.csv", b"a|b\n1|2\n", {}),
        ("a.csv", b"a\tb\n1\t2\n", {}),
        ("a", b"a,b\n1,2\n", {}),
        ("a.csv", b"a!b\n1!2\n", {"delimiter": "!"}),
        ("a.csv", b"'a',b\n'1',2\n", {"quote": "'"}),
        ("a.csv", b"a,b\n1,\\2\n", {"escape": "\\"}),
    ],
)
def test_what_fields_are_told_apart_by(name: str, data: bytes, options: dict[str, Any]) -> None:
    assert read(data, name=name, **options).rows == [{"a": 1, "b": 2}]


def test_quotes_may_mean_nothing() -> None:
    got = read(b'a,b\n1,"x\n2,y"\n', quote="")
    assert got.rows == [{"a": 1, "b": '"x'}, {"a": 2, "b": 'y"'}]


def test_only_wanted_columns_are_read() -> None:
    got = read(b"a,b,c\n1,2,3\n", columns=("c", "a"))
    assert got.rows == [{"c": 3, "a": 1}]
    assert got.names == [("a", "b", "c")]


async def endless() -> AsyncGenerator[bytes]:
    yield b"a,b\n"
    while True:
        yield b"1,2\n" * 100_000


def test_reading_can_be_ended_at_any_piece() -> None:
    async def run() -> int:
        source = SourceFile(MemoryStore(), "a.csv", "s3://b/a.csv", 0, "")
        with ThreadPoolExecutor(2) as lanes:
            async with aclosing(text_pieces(source, endless(), ReadOptions(), None, lanes)) as pieces:
                return (await anext(pieces)).rows

    assert asyncio.run(run()) > 0
