from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haulyard.jobs.rules.lines import locate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from haulyard.jobs.rules.lines import Path

_ODD = '''\
# a comment with [brackets] and "quotes" = 1
"top level" = "x" # [[rule]]
when = 1979-05-27 07:32:00
[[rule]] # the first
name = """
match = "not a key"
[[rule]]
""""
match = \'\'\'
a # no comment
\'\'\'\'\'
tags."a.b" = 'x'
tags . c = "\\"]#"
dates = { day = { group = "g", format = "%Y" }, "o dd" = "%Y" }
storage_class_is = [ # why
  "GLACIER", # one

  "DEEP_ARCHIVE",
]

  [[ rule ]]
  metadata = {}
  [rule.tags]
  x = "1"
[rule.metadata2.deep]
y = [ [1, 2], { z = 3 } ]
[fallback]
to = ""
'''


def paths(value: Any, at: Path = ()) -> Iterator[Path]:
    entries = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for key, inner in entries:
        yield (*at, key)
        yield from paths(inner, (*at, key))


def test_keys_are_found_in_odd_layouts() -> None:
    lines = locate(_ODD)
    assert set(lines) == set(paths(tomllib.loads(_ODD)))
    expected: dict[Path, int] = {
        ("top level",): 2,
        ("when",): 3,
        ("rule", 0): 4,
        ("rule", 0, "name"): 5,
        ("rule", 0, "match"): 9,
        ("rule", 0, "tags", "a.b"): 12,
        ("rule", 0, "tags", "c"): 13,
        ("rule", 0, "dates", "day", "format"): 14,
        ("rule", 0, "dates", "o dd"): 14,
        ("rule", 0, "storage_class_is", 1): 18,
        ("rule", 1): 21,
        ("rule", 1, "tags", "x"): 24,
        ("rule", 1, "metadata2", "deep"): 25,
        ("rule", 1, "metadata2", "deep", "y", 1, "z"): 26,
        ("fallback", "to"): 28,
    }
    assert {path: lines[path] for path in expected} == expected


def test_rules_may_be_an_array_of_inline_tables() -> None:
    lines = locate("rule = [\n  { glob = 'a' },\n  { glob = 'b', to = 'c' },\n]\n")
    assert (lines["rule", 0, "glob"], lines["rule", 1, "to"]) == (2, 3)


_TEXTS = st.sampled_from(
    ["'a'", '"b"', '"\\""', "'''\nc\n'''", '"""\nd\\""""', "[1,\n2]", "{ x = 1 }", "1979-05-27", "true", "[]"]
)
_NAMES = st.sampled_from(["a", "b-c", '"d e"', "'f.g'", "h . i"])


@settings(deadline=None)
@given(
    st.lists(
        st.one_of(
            st.tuples(_NAMES, _TEXTS).map(lambda pair: f"{pair[0]} = {pair[1]} # x"),
            _NAMES.map(lambda name: f"[{name}]"),
            _NAMES.map(lambda name: f"[[{name}]]"),
            st.sampled_from(["", "# [no] = 'x'", "   "]),
        ),
        max_size=12,
    )
)
def test_every_key_of_valid_toml_has_a_line(parts: list[str]) -> None:
    text = "\n".join(parts)
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    lines = locate(text)
    assert set(lines) == set(paths(content))
    written = text.split("\n")
    for path, line in lines.items():
        last = [name for name in path if isinstance(name, str)][-1]
        assert isinstance(path[-1], int) or last in written[line - 1]


@pytest.mark.parametrize("text", ["a = 1\r\nb = 2\r\n", "a = 1\nb = 2"])
def test_line_ends_do_not_matter(text: str) -> None:
    assert locate(text.replace("\r\n", "\n"))["b",] == 2
