from __future__ import annotations

import math
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from haulyard import ConfigError
from haulyard.ingest.where import Condition

NAN = math.nan
COLUMNS: dict[str, tuple[pa.DataType, list[Any]]] = {
    "i": (pa.int64(), [0, 1, -1, 5, 2**62, None, 60, 61]),
    "small": (pa.int8(), [0, 1, -1, 5, 127, None, 60, 61]),
    "big": (pa.uint64(), [0, 1, 2, 5, 2**64 - 1, None, 60, 61]),
    "f": (pa.float64(), [0.0, 1.5, -1.0, NAN, math.inf, None, 60.5, -math.inf]),
    "single": (pa.float32(), [0.0, 1.5, -1.0, NAN, math.inf, None, 60.5, 0.1]),
    "s": (pa.string(), ["", "JFK", "jfk", "a%b", "ä_ö", None, "J\nK", "a\\b"]),
    "large": (pa.large_string(), ["", "JFK", "jfk", "5", "60", None, "x", "y"]),
    "b": (pa.bool_(), [True, False, None, True, False, None, True, False]),
    "d": (pa.date32(), [date(2026, 1, day) for day in range(1, 8)] + [None]),
    "t": (
        pa.timestamp("us"),
        [datetime(2026, 1, 1, hour, tzinfo=UTC).replace(tzinfo=None) for hour in range(7)] + [None],
    ),
    "z": (
        pa.timestamp("ms", tz="UTC"),
        [datetime(2026, 1, 1, hour, tzinfo=UTC) for hour in range(7)] + [None],
    ),
    "m": (pa.decimal128(9, 2), [Decimal(each) / 100 for each in range(0, 700, 100)] + [None]),
    "n": (pa.list_(pa.int64()), [[1], [], None, [1, 2], [3], [4], [5], [6]]),
    "a.b": (pa.int64(), list(range(8))),
    "Two Words": (pa.int64(), list(range(8))),
}
BATCH = pa.RecordBatch.from_arrays(
    [pa.array(values, kind) for kind, values in COLUMNS.values()], names=list(COLUMNS)
)

TRANSLATED = [
    "i > 1",
    "i >= 60 AND i <= 60",
    "1 < i",
    "i > 59.5",
    "i >= 59.5",
    "i < 0.5",
    "i <= -0.5",
    "i = 60.0",
    "i <> 1",
    "i != 1 OR i IS NULL",
    "i IS NOT NULL",
    "NOT (i > 1)",
    "NOT (i > 1 AND s = 'JFK')",
    "i IN (1, 5, 60)",
    "i NOT IN (1, 5)",
    "i BETWEEN 1 AND 60",
    "i NOT BETWEEN 1 AND 60",
    "I > 1",
    "small > 100",
    "big = 18446744073709551615",
    "f > 1",
    "f >= 1.5",
    "f < 1",
    "f <= 60.5",
    "f = 1.5",
    "f <> 1.5",
    "NOT (f > 1)",
    "f BETWEEN 0 AND 61",
    "s = 'JFK'",
    "s > 'J'",
    "s LIKE 'J%'",
    "s LIKE '%\n%'",
    "s NOT LIKE '%b'",
    "s LIKE 'ä_ö'",
    "s IN ('JFK', '')",
    "large = '5'",
    "b",
    "NOT b",
    "b = false",
    "b AND i > 0",
    "b OR i > 0",
    "d > '2026-01-03'",
    "d >= DATE '2026-01-03'",
    "d = CAST('2026-01-03' AS DATE)",
    "t > '2026-01-01 03:00:00'",
    "t > TIMESTAMP '2026-01-01 03:00'",
    "t >= '2026-01-01'",
    "t >= DATE '2026-01-01'",
    "z > '2026-01-01 03:00:00'",
    '"a.b" > 3',
    "i -- a comment\n > 1",
    "s LIKE 'a%'",
    '"Two Words" > 3',
    "i IN (" + ", ".join(map(str, range(200))) + ")",
]
EVALUATED = [
    "i + 1 > 2",
    "abs(i) = 1",
    "i > f",
    "i > 1e1",
    "i > 99999999999999999999",
    "small > 1000",
    "i = 1.5",
    "i = NULL",
    "i IN (1, NULL)",
    "i NOT IN (1, NULL)",
    "i IS DISTINCT FROM 1",
    "i > '3'",
    "f = 'nan'::DOUBLE",
    "single > 0.1",
    "upper(s) = 'JFK'",
    "s ILIKE 'j%'",
    "s LIKE 'a\\b'",
    "length(s) > 1",
    "TRY_CAST(large AS INTEGER) = 5",
    "year(d) = 2026",
    "d > TIMESTAMP '2026-01-03 01:00'",
    "z > TIMESTAMPTZ '2026-01-01 03:00:00+01'",
    "m > 2.5",
    "len(n) > 1",
    "n[1] = 1",
    "CASE WHEN i > 1 THEN b ELSE true END",
    "true",
]


def meant(where: str) -> list[int]:
    """Return the numbers of the rows that DuckDB takes."""
    found = connection().execute(f"SELECT row FROM t WHERE (\n{where}\n) ORDER BY row").fetchall()  # noqa: S608
    return [row for (row,) in found]


@cache
def connection() -> Any:
    made = duckdb.connect(":memory:")
    made.execute("SET TimeZone = 'UTC'")
    made.register("t", pa.Table.from_batches([BATCH]).append_column("row", pa.array(range(BATCH.num_rows))))
    return made


@pytest.mark.parametrize("where", TRANSLATED + EVALUATED)
def test_a_condition_means_what_duckdb_makes_of_it(where: str) -> None:
    numbered = BATCH.append_column("row", pa.array(range(BATCH.num_rows)))
    condition = Condition(where).bind(numbered.schema)
    assert condition.apply(numbered).column("row").to_pylist() == meant(where)


@pytest.mark.parametrize("where", TRANSLATED)
def test_what_arrow_can_say_is_translated(where: str) -> None:
    assert Condition(where).bind(BATCH.schema).necessary is not None


@pytest.mark.parametrize("where", EVALUATED)
def test_what_might_mean_something_else_is_not_translated(where: str) -> None:
    assert Condition(where).bind(BATCH.schema).necessary is None


def test_of_a_condition_that_is_not_translated_the_parts_still_tell() -> None:
    condition = Condition("abs(i) > 1 AND (s = 'JFK' AND upper(s) = 'JFK' AND i < 9)").bind(BATCH.schema)
    assert str(condition.necessary) == '((s == "JFK") and (i < 9))'
    assert Condition("abs(i) > 1 OR i < 9").bind(BATCH.schema).necessary is None


def test_the_columns_of_a_condition_are_known() -> None:
    condition = Condition("I > 1 AND upper(s) = 'X' OR i < 0")
    assert condition.names == ("I", "s", "i")
    assert condition.bind(BATCH.schema).columns == ("i", "s")
    assert Condition((pc.field("i") > 1) & pc.field("s").is_null()).bind(BATCH.schema).columns == ("i", "s")


def test_an_expression_of_arrow_is_taken_as_it_is() -> None:
    condition = Condition(pc.field("i") > 5).bind(BATCH.schema)
    assert condition.apply(BATCH).column("i").to_pylist() == [2**62, 60, 61]
    assert condition.necessary is not None


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("", "no condition"),
        ("i >", "it ends too early, behind '>'"),
        ("i > 1 AND  ", "it ends too early, behind 'AND'"),
        ("  ", "it is empty"),
        ("'é' = s s i", 'at or near "s", at character 9'),
        ("i > 1 ORDER BY i", "syntax error"),
        ("1) FROM t WHERE (1", "syntax error"),
        ("i > 1; SELECT 1", "syntax error"),
        ("i > (SELECT 1)", "a subquery"),
        ("row_number() OVER () > 1", "a window"),
        ("i > ?", "a parameter"),
        ("sum(i) > 1", "one value for each row"),
        ("no_such_function(i)", "no_such_function"),
        ("s - 1 > 0", "no condition"),
        ("i, s", "no condition"),
    ],
)
def test_what_is_no_condition_is_refused_with_the_reason(where: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Condition(where).bind(BATCH.schema)


def test_an_unknown_column_is_told_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="names a column 'Two Word'") as error:
        Condition('"Two Word" = 1').bind(BATCH.schema)
    assert "did you mean 'Two Words'?" in error.value.hint
    with pytest.raises(ConfigError, match="cannot be evaluated") as error:
        Condition(pc.field("nothing") > 1).bind(BATCH.schema)
    assert "the columns are i, small" in error.value.hint


def test_a_condition_reads_no_files() -> None:
    with pytest.raises(ConfigError, match="no condition"):
        Condition("read_text('/etc/hostname') = 'x'").bind(BATCH.schema)


def test_names_that_differ_in_case_alone_are_told_apart() -> None:
    schema = pa.schema([("a", pa.int64()), ("A", pa.int64())])
    batch = pa.RecordBatch.from_arrays([pa.array([1, 2]), pa.array([2, 1])], schema=schema)
    assert Condition("A > 1").bind(schema).apply(batch).num_rows == 1
    assert Condition("abs(A) > 1").bind(schema).apply(batch).column("a").to_pylist() == [1]
