from __future__ import annotations

import sqlite3
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haulyard.errors import StoreError
from haulyard.models import ObjectInfo
from haulyard.transfer.scratch import Claims, DiskListing


def info(key: str, size: int = 1, etag: str = "e") -> ObjectInfo:
    return ObjectInfo(key, size, datetime(2024, 1, 1, tzinfo=UTC), etag)


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


def test_a_listing_on_disk_is_found_again_by_key() -> None:
    objects = [info("b"), info("a/\U0001f600", 7, "tag"), info("a-b")]
    with DiskListing() as listing:
        listing.add(objects[:2])
        listing.add(objects[2:])
        assert listing.find(["a-b", "nowhere", "a/\U0001f600"]) == {
            "a-b": objects[2],
            "a/\U0001f600": objects[1],
        }


@given(st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001 -- made aware by timezones
def test_times_survive_to_the_millisecond(modified: datetime) -> None:
    with DiskListing() as listing:
        listing.add([info("a")._replace(last_modified=modified)])
        found = listing.find(["a"])["a"]
    assert abs((found.last_modified - modified).total_seconds()) < 0.001
    assert found.last_modified.tzinfo is UTC


def test_what_nobody_ticked_off_comes_in_the_order_of_utf_8() -> None:
    keys = ["b", "a/b", "\U0001f600", "a-b", "\uffff", "a0"]
    with DiskListing() as listing:
        listing.add(map(info, keys))
        listing.tick(["b", "nowhere"])
        assert listing.count_unticked() == 5
        left = [each.key for page in listing.unticked() for each in page]
    assert left == sorted(set(keys) - {"b"}, key=lambda key: key.encode())


def test_a_key_that_is_listed_twice_is_kept_once() -> None:
    with DiskListing() as listing:
        listing.add([info("a", 1), info("a", 2)])
        assert listing.count_unticked() == 1
        assert listing.find(["a"])["a"].size == 2


def test_a_listing_of_more_than_one_batch() -> None:
    keys = [f"{number:05}" for number in range(5000)]
    with DiskListing() as listing:
        listing.add(map(info, keys))
        assert list(listing.find(keys)) == keys
        listing.tick(keys[::2])
        pages = list(listing.unticked())
    assert [each.key for page in pages for each in page] == keys[1::2]
    assert len(pages) > 1
