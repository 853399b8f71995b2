from __future__ import annotations

import sqlite3

import pytest

from haulyard.errors import StoreError
from haulyard.transfer.scratch import Claims


def test_the_first_to_claim_a_destination_has_it() -> None:
    with Claims() as claims:
        assert claims.take([("x", "a/x"), ("y", "a/y"), ("x", "b/x")]) == ["", "", "a/x"]
        assert claims.take([("y", "c/y"), ("z", "c/z")]) == ["a/y", ""]


def test_claims_of_more_than_one_batch() -> None:
    pairs = [(f"{number:05}", f"a/{number}") for number in range(5000)]
    with Claims() as claims:
        assert not any(claims.take(pairs))
        assert claims.take([(destination, "again") for destination, _ in pairs]) == [
            source for _, source in pairs
        ]


def test_keys_of_every_kind_are_told_apart() -> None:
    keys = ["a", "A", "a\0b", "a\0c", "é", "e\u0301", "\U0010ffff", " ", "a\n"]
    with Claims() as claims:
        assert claims.take([(key, key) for key in keys]) == [""] * len(keys)
        assert claims.take([(key, "again") for key in keys]) == keys


def test_closing_twice_is_harmless() -> None:
    claims = Claims()
    claims.close()
    claims.close()


def test_a_failure_of_the_table_is_an_error_of_the_tree_with_a_remedy() -> None:
    claims = Claims()
    claims.close()
    with pytest.raises(StoreError, match="temporary data failed") as caught:
        claims.take([("x", "a/x")])
    assert "SQLITE_TMPDIR" in caught.value.hint
    assert isinstance(caught.value.__cause__, sqlite3.Error)
