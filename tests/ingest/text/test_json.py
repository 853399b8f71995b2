from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.ingest.text.reading import profile, read

from haulyard.errors import IngestError
from haulyard.ingest.model import ConvergedLaterError
from haulyard.ingest.text import merge, types_of
from haulyard.ingest.text.json_exact import has_long_whole_numbers

LINES = "a.jsonl"


def lines(*rows: object) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def test_rows_and_types_of_json_lines() -> None:
    got = read(
        lines(
            {"i": 1, "d": 1.5, "s": "x", "t": True, "n": {"a": [1, 2]}, "at": "2013-01-31T05:00:00Z"},
            {"i": None, "d": 2, "s": "007", "new": "2013-01-31"},
        ),
        name=LINES,
    )
    assert got.rows == [
        {
            "i": 1,
            "d": 1.5,
            "s": "x",
            "t": True,
            "n": {"a": [1, 2]},
            "new": None,
            "at": datetime(2013, 1, 31, 5, tzinfo=UTC),
        },
        {**dict.fromkeys(("i", "t", "n", "at")), "d": 2.0, "s": "007", "new": date(2013, 1, 31)},
    ]


def test_bad_lines_are_named() -> None:
    data = b'{"a":1}\nbroken\n\n[1]\n{"a":"x"}\r\n{"a":\xff}\n{"a":2.5}\n{"a":2}'
    got = read(data, pa.schema([("a", pa.int64())]), name=LINES)
    assert [row["a"] for row in got.rows] == [1, 2]
    assert got.lines == [2, 4, 5, 6, 7]
    assert [(each.column, each.value) for each in got.rejects] == [
        *[("", ""), ("", ""), ("a", "x"), ("", ""), ("a", "2.5")]
    ]
    assert [reason.split(":")[0] for reason in got.reasons] == [
        *("not JSON", "not an object", "not of type BIGINT"),
        *("not UTF-8 at byte 5 of the row", "not of type BIGINT"),
    ]


ROWS = st.lists(
    st.dictionaries(
        st.sampled_from("ab"),
        st.one_of(st.none(), st.integers(-5, 5), st.booleans(), st.text("x1", max_size=2), st.just(1.5)),
    ),
    max_size=8,
)


@given(ROWS, st.integers(1, 40), st.integers(1, 20))
@settings(deadline=None)
def test_where_blocks_are_cut_makes_no_difference(rows: list[Any], block: int, chunk: int) -> None:
    data = lines(*rows) + b"broken\n"
    schema = pa.schema([("a", pa.int64()), ("b", pa.string())])
    one = read(data, schema, name=LINES)
    many = read(data, schema, name=LINES, block=block, chunk=chunk)
    assert many.rows == one.rows
    assert many.rejects == one.rejects
    assert len(one.rows) + len(one.rejects) == len(rows) + 1


@given(ROWS)
@settings(deadline=None)
def test_all_rows_are_read_in_the_types_of_their_profile(rows: list[Any]) -> None:
    data = lines({"a": None, "b": None}, *rows)
    got = read(data, types_of(profile(data, name=LINES), 1.0), name=LINES)
    assert len(got.rows) == len(rows) + 1
    assert not got.rejects


def test_values_of_several_types_become_text_without_loss() -> None:
    data = lines({"a": 1}, {"a": "x"}, {"a": [1, "y"]}, {"a": {"b": None}}, {"a": None}, {"a": True})
    got = read(data, name=LINES)
    assert [row["a"] for row in got.rows] == ["1", "x", '[1,"y"]', '{"b":null}', None, "true"]
    assert read(data, types_of(profile(data, name=LINES)), name=LINES).rows == got.rows


def test_whole_numbers_beyond_int64_become_text() -> None:
    data = b'{"a":12345678901234567890}\n{"a":1}\n'
    assert [row["a"] for row in read(data, name=LINES).rows] == ["12345678901234567890", "1"]


@pytest.mark.parametrize(
    "later", [{"a": "x"}, {"a": 1, "b": 2}, {"a": [1]}, {"a": 1, "n": {"x": 1, "y": 2}}, {"a": 1, "n": 5}]
)
def test_later_rows_that_do_not_fit_ask_for_all_types_first(later: object) -> None:
    data = lines(*[{"a": 1, "n": {"x": 1}}] * 9, later)
    with pytest.raises(ConvergedLaterError):
        read(data, name=LINES, block=32)
    got = read(data, types_of(profile(data, name=LINES, block=32), 0.9), name=LINES, block=32)
    assert len(got.rows) + len(got.rejects) == 10


def test_nested_types_of_blocks_and_files_are_joined() -> None:
    one = profile(lines({"n": {"a": 1, "l": []}}), name=LINES)
    other = profile(lines({"n": {"a": 1.5, "l": [{"x": "2013-01-31"}]}}), name=LINES)
    kind = types_of(merge(one, other)).field("n").type
    inner = pa.list_(pa.struct([("x", pa.string())]))
    assert kind == pa.struct([("a", pa.float64()), ("l", inner)])


def test_nested_pinned_types_take_what_fits() -> None:
    schema = pa.schema([("n", pa.list_(pa.int64()))])
    got = read(lines({"n": [1]}, {"n": [1.5]}, {"n": None}, {"n": "x"}), schema, name=LINES)
    assert got.rows == [{"n": [1]}, {"n": None}]
    assert got.lines == [2, 4]


@pytest.mark.parametrize("other", [{"n": {"a": 3}}, {"n": "x"}], ids=["all fit", "another is wrong"])
def test_a_nested_field_that_a_pinned_type_lacks_is_not_dropped(other: dict[str, Any]) -> None:
    schema = pa.schema([("n", pa.struct([("a", pa.int64())]))])
    objects = {"n": {"a": 1, "b": 5}}, {"n": {"a": 2, "b": None}}, {"n": None}, other
    got = read(lines(*objects), schema, name=LINES)
    assert got.rows == [{"n": {"a": 2}}, {"n": None}, *([other] if "x" not in other.values() else [])]
    assert got.lines[0] == 1


@pytest.mark.parametrize(
    "data",
    [
        b'[{"a":1},\n {"a":2}]',
        b'{"a":1}\n{\n"a":2}\n',
        b'{"a":1} {"a":2}',
        b'\xef\xbb\xbf[{"a":1},{"a":2}]',
        '[{"a":1},{"a":2}]'.encode("utf-16"),
    ],
)
@pytest.mark.parametrize("chunk", [1, 1000])
def test_arrays_and_series_of_values(data: bytes, chunk: int) -> None:
    got = read(data, name="a.json", chunk=chunk, format="json")
    assert got.rows == [{"a": 1}, {"a": 2}]


def test_rejects_of_an_array_have_the_number_of_their_row() -> None:
    got = read(b'[{"a":1},\n\n\n{"a":"x"},3]', pa.schema([("a", pa.int64())]), name="a.json")
    assert got.lines == [2, 3]


def test_an_array_that_is_cut_short_is_an_error() -> None:
    with pytest.raises(IngestError, match=r"a\.json: line 2: the array does not end"):
        read(b'[{"a":1},\n{"a":2},', pa.schema([("a", pa.int64())]), name="a.json")


def test_an_array_is_found_out_whatever_the_name_says() -> None:
    assert read(b'[{"a":1}]', name=LINES).rows == [{"a": 1}]


@pytest.mark.parametrize("name", ["a.json", LINES])
def test_an_empty_file_has_no_columns_unless_a_schema_says_which(name: str) -> None:
    with pytest.raises(IngestError, match="is empty"):
        read(b"", name=name)
    assert read(b"", pa.schema([("a", pa.int64())]), name=name).rows == []


def test_only_wanted_columns_are_read() -> None:
    data = lines({"a": 1, "b": "x", "c": [1]}, {"b": "y", "d": 5})
    assert read(data, name=LINES, columns=("b", "z")).rows == [{"b": "x", "z": None}, {"b": "y", "z": None}]


def test_rows_are_counted_where_no_column_is_wanted() -> None:
    got = read(lines({"a": 1}, {"a": 2}) + b"x\n", pa.schema([]), name=LINES)
    assert sum(piece.rows for piece in got.pieces) == 3
    assert got.lines == [3]


def test_a_column_of_dates_takes_no_numbers() -> None:
    schema = pa.schema([("a", pa.date32()), ("b", pa.decimal128(5, 2))])
    got = read(lines({"a": 1}, {"a": "2013-01-31", "b": 1.5}, {"b": "2.25"}, {"b": "x"}), schema, name=LINES)
    assert [(row["a"], str(row["b"])) for row in got.rows] == [(date(2013, 1, 31), "1.50"), (None, "2.25")]
    assert got.lines == [1, 4]


NINES = 9007199254740993  # no double is it
HUGE = 123456789012345678901234567890


@pytest.mark.parametrize(
    ("rows", "texts"),
    [
        ([{"a": NINES}, {"a": 0.5}], [str(NINES), "0.5"]),
        ([{"a": HUGE}, {"a": 1}], [str(HUGE), "1"]),
        ([{"a": HUGE}, {"a": "x"}], [str(HUGE), "x"]),
        ([{"a": -(2**63) - 1}, {"a": True}], [str(-(2**63) - 1), "true"]),
        ([{"a": [NINES]}, {"a": [0.5]}], [f"[{NINES}]", "[0.5]"]),
        ([{"a": {"x": NINES}}, {"a": {"x": 0.5}}], [f'{{"x":{NINES}}}', '{"x":0.5}']),
        ([{"a": [2**64 - 1]}, {"a": [5]}], [f"[{2**64 - 1}]", "[5]"]),
        ([{"a": {"x": ["ä", HUGE, None]}}, {"a": 1}], [f'{{"x":["ä",{HUGE},null]}}', "1"]),
    ],
)
@pytest.mark.parametrize("apart", [1, 50], ids=["a block", "blocks"])
@pytest.mark.parametrize("form", ["a.jsonl", "a.json"])
def test_whole_numbers_that_a_double_rounds_are_what_they_were(
    rows: list[dict[str, Any]], texts: list[str], apart: int, form: str
) -> None:
    written = [rows[0]] * apart + [rows[1]] * apart
    data = lines(*written) if form == LINES else json.dumps(written).encode()
    kind = types_of(profile(data, name=form, block=500))
    assert kind == pa.schema([("a", pa.string())])
    got = [row["a"] for row in read(data, kind, name=form, block=500).rows]
    assert got == [texts[0]] * apart + [texts[1]] * apart


@pytest.mark.parametrize("swapped", [False, True])
def test_types_that_were_found_on_the_way_hold_no_whole_number_roughly(swapped: bool) -> None:
    rows = [{"a": 0.5}] * 50 + [{"a": NINES}] * 50
    with pytest.raises(ConvergedLaterError):
        read(lines(*(rows[::-1] if swapped else rows)), name=LINES, block=500)


def test_large_whole_numbers_that_doubles_hold_are_doubles() -> None:
    data = lines({"a": 2**60}, {"a": 0.5}, {"a": [1]}, {"a": 2**70})
    got = read(data, pa.schema([("a", pa.float64())]), name=LINES)
    assert [row["a"] for row in got.rows] == [2.0**60, 0.5, 2.0**70]
    nested = lines({"a": [2**60]}, {"a": [0.5, None]}, {"a": None})
    got = read(nested, pa.schema([("a", pa.list_(pa.float64()))]), name=LINES)
    assert [row["a"] for row in got.rows] == [[2.0**60], [0.5, None], None]
    nested = lines({"a": {"x": 2**60}}, {"a": {"x": 0.5}})
    got = read(nested, pa.schema([("a", pa.struct([("x", pa.float64())]))]), name=LINES)
    assert [row["a"] for row in got.rows] == [{"x": 2.0**60}, {"x": 0.5}]


@pytest.mark.parametrize("other", [b"", b'{"a":"x"}\n'], ids=["alone", "beside a misfit"])
def test_a_whole_number_that_a_pinned_double_rounds_is_rejected(other: bytes) -> None:
    data = lines({"a": NINES}, {"a": 10**400}, {"a": 1}) + other
    got = read(data, pa.schema([("a", pa.float64())]), name=LINES)
    assert [row["a"] for row in got.rows] == [1.0]
    assert got.lines == ([1, 2, 4] if other else [1, 2])


@pytest.mark.parametrize(
    ("written", "kind", "value"),
    [
        ("12345678901234567890.12", pa.decimal128(30, 2), Decimal("12345678901234567890.12")),
        (str(HUGE), pa.decimal128(38, 0), Decimal(HUGE)),
        ("0.12345678901234567", pa.decimal128(38, 17), Decimal("0.12345678901234567")),
        ("12345678901234567890.12", pa.string(), "12345678901234567890.12"),
        ("[0.12345678901234567]", pa.string(), "[0.12345678901234567]"),
        ("0.1000000000000000055511151231257827", pa.float64(), 0.1),
    ],
)
def test_numbers_keep_all_their_digits_in_types_that_have_them(
    written: str, kind: pa.DataType, value: object
) -> None:
    got = read(f'{{"a":{written}}}\n{{"a":[{{}}]}}\n'.encode(), pa.schema([("a", kind)]), name=LINES)
    assert got.rows[0] == {"a": value}


@pytest.mark.parametrize("values", ["[" * 300 + "]" * 300, '{"a":' * 900 + "1" + "}" * 900])
def test_what_goes_too_deep_is_rejected(values: str) -> None:
    got = read(f'{{"a":{values}}}\n{{"a":3}}\n'.encode(), pa.schema([("a", pa.string())]), name=LINES)
    assert got.rows == [{"a": "3"}]
    assert got.reasons == ["not JSON: values in values, more than 250 deep"]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("1234567890123456", True),
        ("-1234567890123456789", True),
        ("123456789012345", False),
        ("1234567890123456.5", False),
        ("1234567890123456e1", False),
        ("0.12345678901234567", False),
        ("0.12345678901234567,12345678901234567", True),
        ("1", False),
    ],
)
def test_long_whole_numbers_are_found_among_others(written: str, expected: bool) -> None:
    assert has_long_whole_numbers(f"[{written}]\n".encode()) is expected
    assert not has_long_whole_numbers(b"{}")
