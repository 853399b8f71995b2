from __future__ import annotations

import re
from fnmatch import translate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haulyard.jobs.rules import Rules, RulesError
from haulyard.jobs.rules.shapes import ANY, STAR, Shape, holds, study_expression, study_glob

_GLOBS = st.text("ab/*?", max_size=6)
_KEYS = st.text("ab/c", max_size=8)
_ATOMS = st.sampled_from(
    [
        "a",
        "b",
        "/",
        ".",
        "[ab]",
        "[^a]",
        r"\d",
        "(?P<x>a)",
        "(?:a|b)",
        "(?i:a)",
        "ab",
        "^",
        "$",
        r"\b",
        "(?=a)",
        "(?!a)",
        "(?>ab)",
        "(?:ab)++",
        "(b)?(?(1)a|b)",
    ]
)
_EXPRESSIONS = st.lists(
    st.tuples(_ATOMS, st.sampled_from(["", "", "", "*", "+", "?", "{2}", "{1,2}"])), max_size=5
).map(lambda parts: "".join(atom + times for atom, times in parts))


def compiled(text: str) -> re.Pattern[str] | None:
    try:
        return re.compile(text)
    except re.error:
        return None


def matches(shape: Shape, key: str) -> bool:
    written = "".join({ANY: ".", STAR: ".*"}.get(token) or re.escape(chr(token)) for token in shape)
    return re.fullmatch(written, key, re.DOTALL) is not None


def shown(shape: Shape) -> str:
    return "".join({ANY: "?", STAR: "*"}.get(token) or chr(token) for token in shape)


@pytest.mark.parametrize(
    ("expression", "shape", "exact"),
    [
        ("^raw/", "raw/*", True),
        (r"\.csv$", "*.csv", True),
        ("foo", "*foo*", True),
        ("", "*", True),
        ("^", "*", True),
        ("$", "*", True),
        ("^.*$", "*", True),
        ("^.+$", "?*", True),
        (r"^logs/(?P<y>\d{4})/(?P<r>.+)\.csv$", "logs/????/?*.csv", False),
        ("^a|^b", "?*", False),
        ("a|bc", "*", False),
        ("(?i)^Foo7-", "???7-*", False),
        ("(?m)^a", "*a*", False),
        ("(?x) a b # c", "*ab*", True),
    ],
)
def test_the_shape_of_an_expression(expression: str, shape: str, exact: bool) -> None:
    study = study_expression(expression)
    assert (shown(study.upper), study.exact) == (shape, exact)


@settings(deadline=None)
@given(_EXPRESSIONS, _KEYS)
def test_a_shape_takes_all_that_its_expression_takes(expression: str, key: str) -> None:
    if (pattern := compiled(expression)) is None:
        return
    study = study_expression(expression)
    found = pattern.search(key)
    if found:
        assert matches(study.upper, key)
        assert key.startswith(study.prefix)
        assert study.needle in key
        assert {name for name, value in found.groupdict().items() if value is None} <= study.optional
    if study.exact:
        assert matches(study.upper, key) == (found is not None)
    if study.anchored:
        assert (pattern.match(key) is None) == (found is None)


@settings(deadline=None)
@given(_GLOBS, _KEYS)
def test_a_shape_is_its_glob(glob: str, key: str) -> None:
    assert matches(study_glob(glob).upper, key) == (re.match(translate(glob), key) is not None)


@settings(deadline=None)
@given(_GLOBS, _GLOBS, st.lists(_KEYS, max_size=20))
def test_what_a_shape_holds_it_takes(outer: str, inner: str, keys: list[str]) -> None:
    one, other = study_glob(outer).upper, study_glob(inner).upper
    if holds(one, other):
        assert all(matches(one, key) for key in keys if matches(other, key))


@pytest.mark.parametrize(
    ("outer", "inner", "held"),
    [
        ("a?*", "a*?", True),
        ("*a*b*", "*ab*", True),
        ("*?a", "?*a", True),
        ("a*", "*a", False),
        ("?*.csv", "*.csv", False),
        ("*ab*", "*a?b*", False),
        ("", "*", False),
        ("", "", True),
    ],
)
def test_one_glob_holds_another(outer: str, inner: str, held: bool) -> None:
    assert holds(study_glob(outer).upper, study_glob(inner).upper) is held


def test_what_is_too_hard_to_compare_is_not_held() -> None:
    hard = study_glob("*a" + "?" * 20 + "*").upper
    assert not holds(hard, study_glob("*a" + "*?" * 40).upper)


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("glob = '*'", "match = '^raw/'"),
        ("match = ''", "glob = 'x'"),
        ("match = '^.*$'", "glob = 'x'"),
        ("glob = 'raw/*'", "glob = 'raw/2025/*.csv'"),
        ("match = '^raw/'", "match = '^raw/(?P<y>[0-9]+)/'"),
        ("glob = '*.csv'", "match = '^logs/.*[.]csv$'"),
        ("match = 'foo'", "match = 'a(?P<x>.)foobar'"),
        ("match = '(?i)a|b'", "match = '(?i)a|b'"),
        ("glob = '[ab]*'", "glob = '[ab]*'"),
        ("glob = 'a*'\nlarger = 5", "glob = 'a*'\nlarger = 6"),
        ("glob = 'a*'\nolder = '1d'", "glob = 'ab*'\nolder = '2d'\nsmaller = 3"),
        ("glob = 'a*'\nnewer = 2025-01-01", "glob = 'ab*'\nnewer = 2025-02-01"),
        ("glob = 'a*'\nstorage_class_is = ['GLACIER', 'SNOW']", "glob = 'a*'\nstorage_class_is = ['SNOW']"),
        ("glob = 'a*'\ntags_are.x = '1'", "glob = 'a*'\ntags_are = { x = '1', y = '2' }"),
    ],
)  # fmt: skip
def test_a_rule_that_can_never_match_is_a_mistake(earlier: str, later: str) -> None:
    with pytest.raises(RulesError) as caught:
        Rules.parse(f"[[rule]]\n{earlier}\nto = 'x/{{key}}'\n[[rule]] # later\n{later}\nto = 'y/{{key}}'\n")
    (mistake,) = caught.value.mistakes
    assert (mistake.rule, mistake.line) == ("rule 2", earlier.count("\n") + 4)
    assert "it can never match: rule 1 (line 1)" in mistake.text


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("glob = 'raw/?'", "glob = 'raw/*'"),
        ("glob = '*.csv'", "match = '[.]csv'"),
        ("match = '^raw/$'", "match = '^raw/'"),
        ("match = '(?i)RAW'", "match = 'raw'"),
        ("match = '^raw/(?!x)'", "match = '^raw/y'"),
        ("match = '^.*$'", r"match = '^a\n'"),
        ("glob = '*'\nlarger = 5", "glob = 'a*'"),
        ("glob = '*'\nlarger = 5", "glob = 'a*'\nlarger = 4"),
        ("glob = '*'\nolder = '1d'", "glob = 'a*'\nolder = 2020-01-01"),
        ("glob = '*'\nnewer = '1d'", "glob = 'a*'\nnewer = '2d'"),
        ("glob = '*'\nsmaller = 5", "glob = 'a*'\nsmaller = 6"),
        ("glob = '*'\nstorage_class_is = ['SNOW']", "glob = 'a*'\nstorage_class_is = ['SNOW', 'GLACIER']"),
        ("glob = '*'\ntags_are.x = '1'", "glob = 'a*'\ntags_are.x = '2'"),
    ],
)  # fmt: skip
def test_a_rule_that_may_match_is_none(earlier: str, later: str) -> None:
    Rules.parse(f"[[rule]]\n{earlier}\nto = 'x/{{key}}'\n[[rule]]\n{later}\nto = 'y/{{key}}'\n")
