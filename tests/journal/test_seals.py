from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from haulyard.errors import ConfigError
from haulyard.journal.seals import batch_crc, column_codes

_CODES = "tqdt"
_INTEGERS = some.integers(-(2**63), 2**63 - 1)
_TEXTS = some.text(some.characters(exclude_categories=["Cs"]), max_size=8)
_REALS = some.one_of(_INTEGERS, some.floats(allow_nan=False))
_ROWS = some.lists(some.tuples(_TEXTS, _INTEGERS, _REALS, some.none() | _TEXTS), min_size=1, max_size=5)


def _crc(rows: list[tuple[Any, ...]], *, first: int = 1, codes: str = _CODES) -> int:
    return batch_crc(first, codes, zip(*rows, strict=True))


@given(_ROWS)
def test_what_sqlite_gives_back_has_the_same_seal(rows: list[tuple[Any, ...]]) -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT, b INTEGER, c REAL, d TEXT)")
        assert column_codes(connection, "t", ("a", "b", "c", "d")) == _CODES
        connection.executemany("INSERT INTO t(a, b, c, d) VALUES (?, ?, ?, ?)", rows)
        stored = connection.execute("SELECT a, b, c, d FROM t ORDER BY id").fetchall()
    assert _crc(stored) == _crc(rows)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param([("b", 1, 0.5, "x"), ("a", 2, 1.5, "y")], id="text swapped between rows"),
        pytest.param([("a", 2, 0.5, "x"), ("b", 1, 1.5, "y")], id="integers swapped between rows"),
        pytest.param([("x", 1, 0.5, "a"), ("b", 2, 1.5, "y")], id="text swapped between columns"),
        pytest.param([("b", 2, 1.5, "y"), ("a", 1, 0.5, "x")], id="rows swapped"),
        pytest.param([("ab", 1, 0.5, "x"), ("", 2, 1.5, "y")], id="text moved between rows"),
        pytest.param([("a\0b", 1, 0.5, "x"), ("", 2, 1.5, "y")], id="text moved over its separator"),
        pytest.param([("a", 1, 0.5, None), ("b", 2, 1.5, "y")], id="a NULL"),
        pytest.param([("a", 1, 0.25, "x"), ("b", 2, 1.5, "y")], id="a real"),
        pytest.param([("a", 1, 0.5, "x")], id="a row less"),
    ],
)
def test_another_content_has_another_seal(other: list[tuple[Any, ...]]) -> None:
    assert _crc(other) != _crc([("a", 1, 0.5, "x"), ("b", 2, 1.5, "y")])


def test_values_with_nuls_are_told_apart() -> None:
    one, other = [("a\0",), ("b",)], [("a",), ("\0b",)]
    assert _crc(list(one), codes="t") != _crc(list(other), codes="t")


def test_null_is_neither_empty_nor_zero() -> None:
    assert len({_crc([(None,)], codes="t"), _crc([("",)], codes="t")}) == 2
    assert len({_crc([(None,)], codes="q"), _crc([(0,)], codes="q")}) == 2
    assert len({_crc([(None,), ("",)], codes="t"), _crc([("",), (None,)], codes="t")}) == 2


def test_the_same_rows_elsewhere_have_another_seal() -> None:
    rows = [("a", 1, 0.5, "x")]
    assert _crc(rows, first=1) != _crc(rows, first=2)


@pytest.mark.parametrize(
    "row", [(1, 1, 0.5, "x"), ("a", "1", 0.5, "x"), ("a", 1.5, 0.5, "x"), (b"a", 1, 0.5, "x")]
)
def test_a_value_of_another_type_is_refused(row: tuple[Any, ...]) -> None:
    with pytest.raises(TypeError):
        _crc([row])


def test_a_row_that_is_too_long_is_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        _crc([("a", 1, 0.5, "x", 1)])


@pytest.mark.parametrize("columns", [("a", "absent"), ("b",)])
def test_a_column_that_is_absent_or_of_no_sealable_type_is_named(columns: tuple[str, ...]) -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT, b BLOB)")
        with pytest.raises(ConfigError, match="cannot be sealed"):
            column_codes(connection, "t", columns)
