"""`haul cat`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from haulyard.cli.cat import parse_range
from haulyard.errors import ConfigError
from haulyard.models import ByteRange

if TYPE_CHECKING:
    from tests.cli.conftest import Box


def test_objects_come_one_after_the_other_byte_for_byte(haul: Box) -> None:
    haul.bucket({"one": b"\x00\xff", "two": b"2\n"})
    result = haul("cat", "s3://b/two", "s3://b/one", "s3://b/two")
    assert (result.code, result.raw, result.err) == (0, b"2\n\x00\xff2\n", "")


def test_a_wildcard_keeps_the_order_of_the_listing(haul: Box) -> None:
    objects = {f"k{n:03}": b"%03d," % n for n in range(60)}
    objects["k030"] = b"large" * 300_000
    haul.bucket(objects)
    assert haul("cat", "s3://b/k*").raw == b"".join(objects.values())


def test_a_prefix_with_its_slash_is_all_that_is_under_it(haul: Box) -> None:
    haul.bucket({"a/1": b"1", "a/2": b"2", "ab": b"3"})
    assert haul("cat", "s3://b/a/").raw == b"12"


def test_ranges_are_of_each_object(haul: Box) -> None:
    haul.bucket({"one": b"abcdef", "two": b"uvwxyz"})
    assert haul("cat", "--range", "1-2", "s3://b/one", "s3://b/two").raw == b"bcvw"
    assert haul("cat", "--range=-2", "s3://b/one").raw == b"ef"
    assert haul("cat", "--range", "4-", "s3://b/*").raw == b"efyz"


def test_a_version_is_named_by_its_id(haul: Box) -> None:
    store = haul.bucket({"k": b"old"}, versioned=True)
    old = haul.await_(store.head("k")).version_id
    haul.put(store, "k", b"new")
    assert haul("cat", "s3://b/k", "--version-id", old).raw == b"old"
    assert haul("cat", "s3://b/k", "s3://b/k", "--version-id", old).code == 2


def test_what_is_missing_is_said_and_nothing_is_written(haul: Box) -> None:
    haul.bucket({"dir/x": b"x"})
    missing = haul("cat", "s3://b/nope")
    assert (missing.code, missing.raw) == (4, b"")
    assert "nope" in missing.err
    directory = haul("cat", "s3://b/dir")
    assert directory.code == 2
    assert "is a directory or prefix" in directory.err
    assert haul("cat", "s3://b/zzz*").code == 4


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None),
        ("0-99", ByteRange(0, 100)),
        ("100-", ByteRange(100)),
        ("-50", ByteRange(-50)),
        ("bytes=3-3", ByteRange(3, 4)),
        ("-0", ByteRange(0, 0)),
    ],
)
def test_ranges_as_http_writes_them(text: str, expected: ByteRange | None) -> None:
    assert parse_range(text) == expected


@pytest.mark.parametrize("text", ["5", "-", "9-3", "a-b", "1-2-3", "²-3"])
def test_what_is_no_range(text: str) -> None:
    with pytest.raises(ConfigError, match="is not a range"):
        parse_range(text)
