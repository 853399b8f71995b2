"""`haul du`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Box


def rows(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


@pytest.fixture
def tree(haul: Box) -> Box:
    haul.bucket({"a/1": b"x" * 10, "a/b/2": b"x" * 20, "a/b/c/3": b"x" * 30, "top": b"x" * 2000})
    return haul


def test_a_bucket_is_one_line(tree: Box) -> None:
    assert rows(tree("du", "s3://b").out) == [["2060", "4", "s3://b/"]]
    assert rows(tree("du", "s3://b", "-H").out) == [["2.0", "KiB", "4", "s3://b/"]]


def test_depth_tells_prefixes_apart_and_each_holds_what_is_below(tree: Box) -> None:
    assert rows(tree("du", "s3://b", "--depth", "2").out) == [
        ["2060", "4", "s3://b/"],
        ["60", "3", "s3://b/a/"],
        ["50", "2", "s3://b/a/b/"],
    ]
    assert rows(tree("du", "s3://b/a/", "-d", "1").out) == [
        ["60", "3", "s3://b/a/"],
        ["50", "2", "s3://b/a/b/"],
    ]


def test_objects_wildcards_and_several_urls(tree: Box) -> None:
    assert rows(tree("du", "s3://b/top", "s3://b/*2").out) == [
        ["2000", "1", "s3://b/top"],
        ["20", "1", "s3://b/*2"],
    ]


def test_classes_and_versions(haul: Box) -> None:
    store = haul.bucket({"k": b"1"}, versioned=True)
    haul.put(store, "k", b"22")
    assert rows(haul("du", "s3://b").out) == [["2", "1", "s3://b/"]]
    assert rows(haul("du", "s3://b", "--all-versions", "--by-class").out) == [
        ["3", "2", "STANDARD", "s3://b/"]
    ]
    assert haul("du", "s3://b", "--json", "--by-class").events == [
        {"event": "total", "url": "s3://b/", "objects": 1, "size": 2, "storage_class": "STANDARD"}
    ]


def test_an_empty_bucket_has_a_line_and_an_empty_prefix_is_not_found(haul: Box) -> None:
    haul.bucket({})
    assert rows(haul("du", "s3://b").out) == [["0", "0", "s3://b/"]]
    assert haul("du", "s3://b/nope/").code == 4
    assert haul("du", "s3://b/nope").code == 4
    assert haul("du", "s3://b", "--depth", "-1").code == 2
