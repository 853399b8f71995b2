from __future__ import annotations

import pytest

from haulyard.errors import ConfigError
from haulyard.transfer.selection import Selection, as_directory, select, select_manifest


def test_a_key_is_an_object_relative_to_its_directory() -> None:
    assert select("in/a/x.txt") == Selection("object", "in/a/x.txt", "in/a/x.txt", "in/a/")
    assert select("x.txt").base == ""


@pytest.mark.parametrize("key", ["in/a/", ""])
def test_a_key_that_ends_in_a_slash_is_the_tree_below_it(key: str) -> None:
    assert select(key) == Selection("tree", key, key, key, "")


def test_recursive_takes_the_tree_below_a_key_and_remembers_its_name() -> None:
    assert select("in/a", recursive=True) == Selection("tree", "in/a", "in/a/", "in/a/", "a")
    assert select("in/a/", recursive=True).name == ""


def test_a_local_directory_without_its_slash_needs_recursive() -> None:
    assert select("", name="data", recursive=True) == Selection("tree", "", "", "", "data")
    with pytest.raises(ConfigError, match=r"data is a directory.*--recursive was not given") as caught:
        select("", name="data")
    assert "data/ for what is under it" in caught.value.hint


def test_where_the_slash_is_not_enough_a_tree_needs_recursive() -> None:
    with pytest.raises(ConfigError, match=r"in/a/ is a directory"):
        select("in/a/", slash_is_enough=False)
    with pytest.raises(ConfigError, match="the whole bucket"):
        select("", slash_is_enough=False)
    assert select("in/a/", slash_is_enough=False, recursive=True).kind == "tree"


@pytest.mark.parametrize(
    ("key", "prefix", "base"),
    [
        ("in/2024*/x?.gz", "in/2024", "in/"),
        ("*.gz", "", ""),
        ("in/a/b?", "in/a/b", "in/a/"),
        ("in/*/", "in/", "in/"),
    ],
)
def test_a_wildcard_lists_its_literal_part_and_keeps_what_follows_the_last_slash_before_it(
    key: str, prefix: str, base: str
) -> None:
    assert select(key) == Selection("wildcard", key, prefix, base)


@pytest.mark.parametrize(
    ("pattern", "key", "matches"),
    [
        ("in/*.gz", "in/a/b.gz", True),
        ("in/*.gz", "in/.gz", True),
        ("in/*.gz", "in/a.gz.tmp", False),
        ("in/?.gz", "in/a.gz", True),
        ("a?b*", "a/b", True),
        ("a?b*", "ab", False),
        ("in/[a]*", "in/[a]x", True),
        ("in/[a]*", "in/ax", False),
        ("a.b*", "axb", False),
        ("in/*", "in/line\nbreak", True),
    ],
)
def test_wildcards_cross_slashes_and_all_else_is_literal(pattern: str, key: str, *, matches: bool) -> None:
    assert select(pattern).predicate()(key) is matches


def test_raw_switches_wildcards_off() -> None:
    assert select("in/*.gz", raw=True).kind == "object"
    assert select("in/*", raw=True, recursive=True).base == "in/*/"


def test_a_manifest_lies_in_a_tree() -> None:
    assert select_manifest("in/") == Selection("manifest", "in/", "in/", "in/")
    assert select_manifest("").base == ""
    with pytest.raises(ConfigError, match="not 'in/a'"):
        select_manifest("in/a")


def test_as_directory_adds_a_slash_where_there_is_something_to_end() -> None:
    assert [as_directory(key) for key in ("", "a", "a/")] == ["", "a/", "a/"]
