from __future__ import annotations

from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haulyard.errors import ConfigError
from haulyard.transfer.filters import ACCEPT_ALL, Filter, Pattern


def include(*texts: str) -> list[Pattern]:
    return [Pattern(True, text) for text in texts]


def exclude(*texts: str) -> list[Pattern]:
    return [Pattern(False, text) for text in texts]


def test_without_patterns_everything_is_accepted() -> None:
    assert ACCEPT_ALL.accepts("a/b")
    assert ACCEPT_ALL.is_open


def test_the_last_match_wins() -> None:
    accepts = Filter(exclude("*") + include("*.txt") + exclude("tmp/*")).accepts
    assert accepts("a.txt")
    assert not accepts("a.csv")
    assert not accepts("tmp/a.txt")
    accepts = Filter(exclude("tmp/*") + include("*.txt")).accepts
    assert accepts("tmp/a.txt")
    assert not accepts("tmp/a.csv")
    assert accepts("a.csv")


def test_after_a_first_include_what_matches_nothing_is_excluded() -> None:
    accepts = Filter(include("*.txt")).accepts
    assert accepts("a.txt")
    assert not accepts("a.csv")
    assert not Filter(include("*.txt") + exclude("b*")).accepts("b.txt")


def test_after_a_first_exclude_what_matches_nothing_is_accepted() -> None:
    accepts = Filter(exclude("*.tmp")).accepts
    assert accepts("a.txt")
    assert not accepts("a.tmp")


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("*.txt", "deep/below/a.txt", True),
        ("logs/*", "logs/2024/a", True),
        ("logs/*", "logs", False),
        ("a?c", "a/c", True),
        ("a?c", "ac", False),
        ("[ab].txt", "b.txt", True),
        ("[!ab].txt", "b.txt", False),
        ("[0-9]*", "7/x", True),
        ("[*]", "*", True),
        ("[*]", "x", False),
        ("a.txt", "a.txt", True),
        ("a.txt", "xa.txt", False),
        ("a.txt", "a_txt", False),
        ("A.txt", "a.txt", False),
        ("*é*", "caf\u00e9/x", True),
        ("*", "", True),
        ("a*b*c", "a/1/b/2/c", True),
        ("line\n*", "line\nbreak\n", True),
    ],
)
def test_patterns_match_as_documented(pattern: str, path: str, *, matches: bool) -> None:
    assert Filter(include(pattern)).accepts(path) is matches
    assert Filter(exclude(pattern)).accepts(path) is not matches


def test_an_empty_pattern_is_refused() -> None:
    with pytest.raises(ConfigError, match="--exclude has an empty pattern"):
        Filter(exclude(""))
    with pytest.raises(ConfigError, match="--include has an empty pattern"):
        Filter(include(""))


pieces = st.text("ab/.*?[!]\n-", min_size=1, max_size=6)


@given(
    patterns=st.lists(st.builds(Pattern, st.booleans(), pieces), max_size=6),
    path=st.text("ab/.\n-", max_size=8),
)
def test_the_compiled_filter_equals_asking_each_pattern_in_turn(patterns: list[Pattern], path: str) -> None:
    expected = not (patterns and patterns[0].include)
    for pattern in patterns:
        if fnmatchcase(path, pattern.text):
            expected = pattern.include
    assert Filter(patterns).accepts(path) is expected
