"""Types that are found: block by block while a file is read, and over all rows of several."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from tests.ingest.text.reading import profile, read

from haulyard.events import Warned
from haulyard.ingest.model import ConvergedLaterError
from haulyard.ingest.text import FORMAT, merge, types_of


def column(values: list[str], name: str = "a") -> bytes:
    return "\n".join([name, *values, ""]).encode()


ONE_COLUMN: list[tuple[list[str], pa.DataType, str]] = [
    (["1", "-2", "NA", ""], pa.int64(), ""),
    (["1", "2.5", "1e3"], pa.float64(), ""),
    (["12.30", "0.05"], pa.float64(), ""),
    (["true", "False"], pa.bool_(), ""),
    (["0", "1"], pa.int64(), ""),
    (["007", "12"], pa.string(), ""),
    (["00501", "10001"], pa.string(), ""),
    ([" 007", "12"], pa.string(), ""),
    (["0x1F", "0x20"], pa.string(), ""),
    (["0", "0.5", "-0.25"], pa.float64(), ""),
    (["12345678901234567890", "1"], pa.string(), ""),
    (["1234567890123456789", "1.5"], pa.decimal128(20, 1), ""),
    (["9223372036854775807"], pa.int64(), ""),
    (["12345678901234567890.12", "1.5", "-3"], pa.decimal128(22, 2), ""),
    (["1.5", "0012.30", "12345678901234567890.12"], pa.string(), ""),
    (["123456789012345678.12", "99999999999999999999999999999999999999.9"], pa.string(), ""),
    (["12345678901234567890.12", "1e5"], pa.string(), ""),
    (["12345678901234567890.12", "inf"], pa.string(), ""),
    (["12345678901234567890.12", "NA", "0.125"], pa.decimal128(23, 3), ""),
    (["0.30000000000000004", "40.639751434326172", "1e-05", "1.500000000000000000000"], pa.float64(), ""),
    (["1e400", "1.5"], pa.string(), ""),
    (["1.5", "-12.5E+0400", "inf"], pa.string(), ""),
    (["1e300", "inf", "1e-400", "1e007"], pa.float64(), ""),
    (["0.1234567890123456789"], pa.decimal128(19, 19), ""),
    (["2013-01-31", "2014-02-01"], pa.date32(), ""),
    (["2013-01-31", "2013-01-31 05:00"], pa.timestamp("us"), ""),
    (["2013-01-31T05:00:00.123456"], pa.timestamp("us"), ""),
    (["2013-01-31T05:00:00.123456789"], pa.timestamp("ns"), ""),
    (["2013-01-31T05:00:00Z", "2013-01-31 05:00:00+02:00"], pa.timestamp("us", "UTC"), ""),
    (["2013-01-31T05:00:00Z", "2013-01-31T05:00:00"], pa.string(), ""),
    (["05:00", "23:59:59", "23:59:59.5"], pa.time64("us"), ""),
    (["31/01/2013", "01/02/2013"], pa.date32(), "DD/MM/YYYY"),
    (["01/31/2013", "01/02/2013"], pa.date32(), "MM/DD/YYYY"),
    (["03/01/2013", "01/02/2013"], pa.string(), ""),
    (["20130131", "20130201"], pa.date32(), "YYYYMMDD"),
    (["20130131", "20139901"], pa.int64(), ""),
    (["31-Jan-2013", "01-FEB-2013"], pa.date32(), "DD-Mon-YYYY"),
    (["1", "x"], pa.string(), ""),
    (["NA", "NULL"], pa.null(), ""),
    (["1 2", "3"], pa.string(), ""),
]


@pytest.mark.parametrize(("values", "kind", "way"), ONE_COLUMN, ids=lambda case: str(case)[:40])
def test_types_are_the_same_whether_found_on_the_way_or_beforehand(
    values: list[str], kind: pa.DataType, way: str
) -> None:
    data = column(values)
    beforehand = types_of(profile(data, header=True)).field("a")
    on_the_way = read(data, header=True).schema.field("a")
    for field in (beforehand, on_the_way):
        assert field.type == kind
        assert (field.metadata or {}).get(FORMAT, b"").decode() == way


def test_columns_written_in_five_ways_are_dates_together() -> None:
    data = (
        b"iso,uk,us,basic,month\n"
        b"2013-01-31,31/01/2013,01/31/2013,20130131,31-Jan-2013\n"
        b"2013-02-01,01/02/2013,02/01/2013,20130201,01-Feb-2013\n"
    )
    got = read(data)
    assert [set(row.values()) for row in got.rows] == [{date(2013, 1, 31)}, {date(2013, 2, 1)}]
    again = read(data, types_of(profile(data)))
    assert again.rows == got.rows


@pytest.mark.parametrize(
    ("values", "kinds"),
    [
        (["NA"] * 9 + ["1"] * 9, [pa.null(), pa.int64()]),
        (["1"] * 9 + ["2.5"] * 9, [pa.int64(), pa.float64()]),
        (["2013-01-31"] * 9 + ["2013-01-31 05:00"] * 9, [pa.date32(), pa.timestamp("us")]),
    ],
)
def test_later_blocks_widen_types_that_lose_nothing_by_it(
    values: list[str], kinds: list[pa.DataType]
) -> None:
    got = read(column(values), block=16, header=True)
    found = dict.fromkeys(piece.batch.schema.field("a").type for piece in got.pieces if piece.rows)
    assert list(found) == kinds
    assert len(got.rows) == len(values)


@pytest.mark.parametrize(
    "values",
    [
        ["1"] * 9 + ["x"] * 9,
        ["10001"] * 9 + ["00501"],
        ["true"] * 9 + ["maybe"],
        ["31/01/2013"] * 9 + ["01/31/2013"],
        ["1.5"] * 9 + ["12345678901234567890.1"],
        ["1"] * 9 + ["12345678901234567890"],
        ["2013-01-31T05:00:00"] * 9 + ["2013-01-31T05:00:00Z"] * 9,
    ],
)
def test_later_values_that_would_lose_something_ask_for_all_types_first(values: list[str]) -> None:
    data = column(values)
    with pytest.raises(ConvergedLaterError):
        read(data, block=16, header=True)
    got = read(data, types_of(profile(data, block=16, header=True)), block=16)
    assert [str(row["a"]) for row in got.rows] == values


@pytest.mark.parametrize(("last", "way"), [("31/01/2013", "DD/MM/YYYY"), ("01/31/2013", "MM/DD/YYYY")])
def test_a_later_date_that_tells_what_is_the_day_asks_for_all_types_first(last: str, way: str) -> None:
    values = [*["01/02/2013", "NA", "03/04/2013"] * 9, last]
    data = column(values)
    with pytest.raises(ConvergedLaterError):
        read(data, block=16)
    field = types_of(profile(data, block=16)).field("a")
    assert field.type == pa.date32()
    assert (field.metadata or {})[FORMAT].decode() == way


def test_dates_that_no_row_decides_stay_text_without_another_reading() -> None:
    values = ["01/02/2013", "03/04/2013", "05/05/2013"] * 9
    got = read(column(values), block=16)
    assert [row["a"] for row in got.rows] == values


def test_dates_are_decided_where_the_first_block_had_none() -> None:
    values = [*["NA"] * 9, *["01/02/2013"] * 3, "31/01/2013"]
    with pytest.raises(ConvergedLaterError):
        read(column(values), block=16, header=True)


@pytest.mark.parametrize("last", ["12345678901234567890", "0.1234567890123456789", "-1.25"])
def test_later_numbers_with_more_digits_make_decimals_of_all(last: str) -> None:
    values = ["12345678901234567.5", *["1.5"] * 9, last]
    data = column(values)
    with pytest.raises(ConvergedLaterError):
        read(data, block=16, header=True)
    got = read(data, types_of(profile(data, block=16, header=True)), block=16)
    assert [row["a"] for row in got.rows] == list(map(Decimal, values))


def test_one_value_in_a_thousand_may_be_wrong_and_becomes_a_reject() -> None:
    good = [str(number) for number in range(1, 2000)]
    schema = types_of(profile(column([*good, "x"]), block=512))
    assert schema.field("a").type == pa.int64()
    got = read(column([*good, "x"]), schema)
    assert [(each.line, each.column, each.value) for each in got.rejects] == [(2001, "a", "x")]
    assert types_of(profile(column([*good, "x", "y", "z"]), block=512)).field("a").type == pa.string()


@pytest.mark.parametrize(
    "text", [b"x" * 7000, b"1" * 7000, b'"' + b"1,\n" * 1_500_000 + b'"'], ids=["text", "digits", "lines"]
)
def test_types_are_not_looked_for_in_long_texts(text: bytes) -> None:
    data = b"a,b,c\n1,2.5," + text + b"\n2,3.5,4\n"
    found = profile(data)
    assert found.columns["c"].fits == {}
    assert found.columns["b"].fits == {"double": 2}
    assert types_of(found).types == [pa.int64(), pa.float64(), pa.string()]
    assert read(data).rows[0]["c"] == text.strip(b'"').decode()


def test_profiles_of_files_merge_to_the_types_of_all() -> None:
    one = profile(b"a,b\n1,x\n")
    other = profile(b"b,a,c\n1,2.5,2013-01-31\n")
    both = merge(one, other)
    assert types_of(both) == pa.schema([("a", pa.float64()), ("b", pa.string()), ("c", pa.date32())])
    assert both.rows == 2


def test_a_profile_counts_bad_rows_and_names_the_first_value_that_contradicts() -> None:
    found = profile(b'a,b\n1,x\n2\n"open,\n3,y\nq,z\n')
    assert (found.rows, found.rejected) == (5, 2)
    assert found.columns["a"].misfits["int"].value == "q"
    assert found.columns["a"].misfits["int"].uri == "s3://bucket/a.csv"


HEADERS: list[tuple[bytes, dict[str, Any], list[str]]] = [
    (b"a,a,\n1,2,3\n", {}, ["a", "a_1", "column_3"]),
    (b"a,a_1,a\n1,2,3\n", {}, ["a", "a_1", "a_2"]),
    (b"1,2\n3,4\n", {}, ["column_1", "column_2"]),
    (b"x,y\nz,w\n", {}, ["x", "y"]),
    (b"x,y\nz,w\n", {"header": False}, ["column_1", "column_2"]),
    (b"1,2\n3,4\n", {"header": True}, ["1", "2"]),
    (b"1,2\n3,4\n", {"names": ("p", "q")}, ["p", "q"]),
    (b"x,y\n3,4\n", {"names": ("p", "q"), "header": True}, ["p", "q"]),
    (b"name,2019\nx,1\n", {}, ["column_1", "column_2"]),
    (b"2019,n\nx,1\n", {}, ["2019", "n"]),
    (b"\n\na,b\n1,2\n", {}, ["a", "b"]),
]


@pytest.mark.parametrize(("data", "options", "names"), HEADERS)
def test_names_of_columns(data: bytes, options: dict[str, Any], names: list[str]) -> None:
    assert read(data, **options).schema.names == names


def test_names_that_were_changed_are_told() -> None:
    got = read(b"a,a,\n1,2,3\n")
    (told,) = got.events
    assert isinstance(told, Warned)
    assert "column 2 has the name of another, 'a': it is called 'a_1'" in told.message
    assert "column 3 has no name: it is called 'column_3'" in told.message


def test_a_file_without_header_takes_the_names_of_the_schema_in_order() -> None:
    schema = pa.schema([("p", pa.int64()), ("q", pa.int64())])
    assert read(b"1,2\n3,4\n", schema).rows == [{"p": 1, "q": 2}, {"p": 3, "q": 4}]


def test_zones_are_kept() -> None:
    got = read(b"a\n2013-01-31T05:00:00+02:00\n")
    assert got.rows == [{"a": datetime(2013, 1, 31, 3, tzinfo=UTC)}]


@pytest.mark.parametrize(
    ("values", "loaded"),
    [
        (["31/01/2013", "x", "01/02/2013"], 2),
        (["01/31/2013", "13/13/2013"], 1),
        (["20130131"], 1),
        (["2013-01-31", "31/01/2013"], 1),
        (["NA"], 1),
        (["01/02/2013"], 0),
    ],
)
def test_dates_that_a_schema_asks_for_are_read_however_they_are_written(
    values: list[str], loaded: int
) -> None:
    schema = pa.schema([("a", pa.date32())])
    got = read(column(values), schema, header=True)
    assert got.schema == schema
    assert len(got.rows) == loaded
    assert {row["a"] for row in got.rows} <= {date(2013, 1, 31), date(2013, 2, 1), None}
    assert len(got.rejects) == len(values) - loaded


def test_no_column_at_all_may_be_wanted() -> None:
    got = read(b"a,b\n1,2\n3,4\n", columns=())
    assert sum(piece.rows for piece in got.pieces) == 2
    assert got.schema.names == []


@pytest.mark.parametrize("swapped", [False, True])
def test_integers_of_one_file_are_not_rounded_by_fractions_of_another(swapped: bool) -> None:
    files = [["0.5", "1.25"], ["9007199254740993", "NA", "9223372036854775807"]]
    found = [profile(column(values)) for values in (files[::-1] if swapped else files)]
    assert types_of(merge(*found)).types == [pa.decimal128(21, 2)]


@pytest.mark.parametrize("integers", [["9007199254740992"], [str(2**60), str(-(2**63)), "NA"]])
def test_integers_that_doubles_hold_are_doubles_with_fractions_of_another_file(integers: list[str]) -> None:
    merged_types = types_of(merge(profile(column(["0.5"])), profile(column(integers))))
    assert merged_types.types == [pa.float64()]


def test_what_overflows_a_double_in_a_later_block_is_not_made_infinite() -> None:
    with pytest.raises(ConvergedLaterError):
        read(column(["1.5"] * 100 + ["1e400"]), block=200)


def test_integers_are_not_rounded_beside_a_few_texts() -> None:
    values = ["9007199254740993", "0.5"] * 1000 + ["x"]
    assert types_of(profile(column(values))).types == [pa.decimal128(17, 1)]
