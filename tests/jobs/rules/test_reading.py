from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haulyard.errors import ConfigError
from haulyard.jobs.rules import Rules, RulesError
from haulyard.jobs.rules.reading_rule import KEYS
from haulyard.models import ObjectInfo

_FORTY = Path(__file__).with_name("forty_mistakes.toml")


def mistakes(text: str) -> list[str]:
    with pytest.raises(RulesError) as caught:
        Rules.parse(text)
    return caught.value.lines()


def test_every_one_of_forty_mistakes_is_named_with_its_line() -> None:
    with pytest.raises(RulesError) as caught:
        Rules.load(str(_FORTY))
    said = caught.value.lines()
    expected = {
        number: line.partition("#!")[2].strip()
        for number, line in enumerate(_FORTY.read_text().splitlines(), 1)
        if "#!" in line and not line.startswith("#")
    }
    assert len(expected) >= 40
    for number, words in expected.items():
        assert any(line.startswith(f"{_FORTY}:{number}: ") and words in line for line in said), (
            number,
            words,
        )
    assert {mistake.line for mistake in caught.value.mistakes} == set(expected), "and no other line is"
    assert [mistake.line for mistake in caught.value.mistakes] == sorted(
        mistake.line for mistake in caught.value.mistakes
    )


def test_a_mistake_names_file_line_rule_and_what_was_meant() -> None:
    text = '[[rule]]\nname = "x"\nmatch = "(?P<year>a)"\nto = "{yaer}/{name}"\n'
    assert mistakes(text) == [
        "rules.toml:4: rule 'x': to: unknown group or field {yaer}, did you mean {year}?"
    ]


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("[[rule]]\nglob = *\n", 2, "Invalid value"),
        ('[[rule]]\nmatch = "\\d"\n', 2, "single quotes"),
        ('[[rule]]\nglob = "a"\nglob = "b"\n', 3, "overwrite"),
        ("[[rule]]\nglob = '''a", 2, "end of the file"),
        ("", 1, "no rules"),
        ("[rule]\nglob = '*'", 1, "[[rule]]"),
        ("rule = [1]", 1, "[[rule]]"),
        ("fallback = 1", 1, "[fallback]"),
        ("folders = 1", 1, "[folders]"),
        ("[folders]\ncreate = 'raw'", 2, "no list"),
        ("[folders]\ncreate = [1]", 2, "no text"),
        ("[folders]\nmake = []", 2, "unknown key"),
        ("[folders]\ncreate = ['']", 2, "it is empty"),
        ("[folders]\ncreate = ['/a']", 2, "begins with a slash"),
        ("[folders]\ncreate = ['a//']", 2, "two slashes"),
        ('[folders]\ncreate = ["a\\tb"]', 2, "a control character"),
        ("[folders]\ncreate = ['" + "a" * 1024 + "']", 2, "longer than a key"),
        ("[fallback]\nto = 1", 2, "no text"),
        ("[fallback]\nto = 'a/{group}'", 2, "unknown group or field"),
        ("[fallback]\nto = 'a/{key}'\naction = 'skip'", 3, "both"),
        ("[[rule]]\nglob = ''\nto = 'a'", 2, "empty"),
        ("[[rule]]\nglob = 1\nto = 'a'", 2, "no text"),
        ("[[rule]]\nname = ''\nglob = '*'", 2, "name is empty"),
        ("[[rule]]\nmatch = '[[a]'", 2, "set"),
        ("[[rule]]\nmatch = 'a{99999999999}'", 2, "match"),
        ("[[rule]]\nmatch = '*a'", 2, "nothing to repeat at character 1"),
        ("[[rule]]\nglob = '*'\ndates = 1", 3, "no table"),
        ("[[rule]]\nglob = '*'\ndates.x = '%Y'", 3, "no group 'x'"),
        ("[[rule]]\nmatch = '(?P<d>.)'\ndates.d = '%m%d'", 3, "no year"),
        ("[[rule]]\nmatch = '(?P<d>.)'\ndates.d = '%Y%Y'", 3, "no date can be read"),
        ("[[rule]]\nmatch = '(?P<d>.)'\ndates.d = 3", 3, "write d ="),
        ("[[rule]]\nmatch = '(?P<d>.)'\ndates.d = { group = 1, format = '%Y' }", 3, "are texts"),
        ("[[rule]]\nmatch = '(?P<d>.)'\ndates.key = { group = 'd', format = '%Y' }", 3, "cannot be the name"),
        ("[[rule]]\nmatch = '(?P<d>)(?P<e>)'\ndates.e = { group = 'd', format = '%Y' }", 3, "a group has"),
        ("[[rule]]\nmatch = '(?P<d>.)?'\ndates.e = { group = 'd', format = '%Y' }", 3, "takes no part"),
        ("[[rule]]\nmatch = '(?P<d>.)'\nto = '{d:%Y}/{name}'", 3, "declare it"),
        ("[[rule]]\nglob = '*'\nto = '{key:%Y}'", 3, "only dates"),
        ("[[rule]]\nglob = '*'\nto = '{name:08}'", 3, "as 0>8 is"),
        ("[[rule]]\nglob = '*'\nto = '{size:x}'", 3, "no format for a number"),
        ("[[rule]]\nglob = '*'\nto = '{last_modified:%x}/{name}'", 3, "%x means nothing"),
        ("[[rule]]\nglob = '*'\nto = '{}/{name}'", 3, "{} names nothing"),
        ("[[rule]]\nglob = '*'\nto = '{name!r}'", 3, "write {name}"),
        ("[[rule]]\nglob = '*'\nto = '{name[0]}'", 3, "write {name}"),
        ("[[rule]]\nglob = '*'\nto = 'a/./{name}'", 3, "the segment '.'"),
        ("[[rule]]\nglob = '*'\nto = '{dir}/../{name}'", 3, "the segment '..'"),
        ("[[rule]]\nglob = '*'\nto = '{dir}//{name}'", 3, "two slashes"),
        ("[[rule]]\nglob = '*'\nto = '" + "a" * 1025 + "{name}'", 3, "1,025 bytes"),
        ("[[rule]]\nglob = '*'\nstorage_class_is = []", 3, "no list of names"),
        ("[[rule]]\nglob = '*'\ntags_are.a = 1", 3, "no text"),
        ("[[rule]]\nglob = '*'\ntags.a = 1", 3, "in quotes"),
        ("[[rule]]\nglob = '*'\ntags = 'a'", 3, "no table"),
        ("[[rule]]\nglob = '*'\ntags." + "a" * 129 + " = ''", 3, "1 to 128"),
        ("[[rule]]\nglob = '*'\ntags.a = '" + "a" * 257 + "'", 3, "at most 256"),
        ("[[rule]]\nglob = '*'\ntags.a = 'a|b'", 3, "'|'"),
        ("[[rule]]\nglob = '*'\ntags = {" + ",".join(f"t{i}=''" for i in range(11)) + "}", 3, "at most 10"),
        ("[[rule]]\nglob = '*'\nmetadata.a = '" + "a" * 2048 + "'", 3, "2,049 bytes"),
        ("[[rule]]\nglob = '*'\nmetadata = { A = 'x', a = 'y' }", 3, "twice"),
        ("[[rule]]\nglob = '*'\nmetadata.a = 'ä'", 3, "ASCII"),
        ("[[rule]]\nglob = '*'\ntags.a = 'x'\nremove_tags = ['a']", 4, "as well"),
        ("[[rule]]\nglob = '*'\nreplace_tags = true\nremove_tags = ['a']", 4, "already"),
        ("[[rule]]\nglob = '*'\nsse_kms_key_id = 'k'", 3, "needs sse"),
        ("[[rule]]\nglob = '*'\nsse = 'AES256'\nsse_kms_key_id = 'k'", 4, "no such key"),
        ("[[rule]]\nglob = '*'\nolder = '10d'\nnewer = '20d'\nskip = true\nlarger = true", 6, "no size"),
        ("[[rule]]\nglob = '*'\nolder = '20d'\nnewer = '10d'", 4, "can never match"),
        ("[[rule]]\nglob = '*'\nolder = '90'", 3, "30d"),
        ("[[rule]]\nglob = '*'\nolder = '9999999999999d'", 3, "neither an age"),
        ("[[rule]]\nglob = '*'\nsmaller = 0", 3, "can never match"),
        ("a = " + "[" * 2000 + "]" * 2000, 1, "nested too deeply"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_line(text: str, line: int, words: str) -> None:
    said = mistakes(text)
    assert any(each.startswith(f"rules.toml:{line}: ") and words in each for each in said), said


def test_a_file_that_cannot_be_read_is_a_mistake_of_configuration(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        Rules.load(str(tmp_path / "none.toml"))
    (tmp_path / "latin.toml").write_bytes(b"# \xe9\n")
    with pytest.raises(ConfigError, match="not UTF-8"):
        Rules.load(str(tmp_path / "latin.toml"))


def test_what_a_file_says_is_kept_as_it_says_it() -> None:
    rules = Rules.parse(
        "storage_classes = ['TAPE']\n[[rule]]\nname='a'\nglob='a/*'\nto='b/{name}'\nstorage_class='TAPE'\n"
        "[[rule]]\nmatch='x'\nskip=true\n[fallback]\naction='skip'\n[folders]\ncreate=['raw','b/c/']\n"
    )
    first, second = rules.rules
    assert (first.name, first.glob, first.match, first.to, first.line) == ("a", "a/*", None, "b/{name}", 2)
    assert first.properties.storage_class == "TAPE"
    assert (second.match, second.skip, second.label) == ("x", True, "rule 2")
    assert rules.fallback.action == "skip"
    assert rules.folders.keys() == ["raw/placeholder.txt", "b/c/placeholder.txt"]
    assert Rules.parse(rules.text).digest == rules.digest


_WEIRD = [
    *("0", "-1", "1.5", "true", "''", "'{'", "'%'", "'{:}'", "[]", "[1]", "['']", "{}", "{ a = 1 }"),
    *("{ a = '{' }", "{ a = [] }", "1979-05-27", "07:32:00", "inf", "nan", f"'{'9' * 400}d'", "'\U0010ffff'"),
]


def parsed(text: str) -> Rules | RulesError:
    try:
        return Rules.parse(text)
    except RulesError as error:
        return error


@pytest.mark.parametrize("key", KEYS)
def test_no_value_of_any_key_is_more_than_a_mistake(key: str) -> None:
    for pattern in ("glob = 'x'\n", "match = '(?P<a>x)'\n", ""):
        for value in _WEIRD:
            text = f"[[rule]]\n{'' if pattern.startswith(key) else pattern}{key} = {value}\n"
            found = parsed(text)
            assert found.lines() if isinstance(found, RulesError) else found.rules, text


@settings(deadline=None)
@given(st.text("{}:%Ydnkeysz0>.![]/ ", max_size=20))
def test_a_template_is_a_mistake_or_can_be_expanded(template: str) -> None:
    pattern = "match = '(?P<n>.)(?P<d>.*)'\ndates = { d = '%Y' }"
    found = parsed(f"[[rule]]\n{pattern}\nto = '{template}'\n")
    if isinstance(found, RulesError):
        assert {mistake.line for mistake in found.mistakes} == {4}
    else:
        assert found.place([ObjectInfo("keys/2025", 1, datetime.now(UTC))], 0.0).rule == [0]


def test_hundreds_of_rules_are_compared_with_each_other() -> None:
    match = "^dept{n}/(?P<a>[^/]+)/(?P<b>[0-9]+)/.*[.]csv$"
    rule = f"[[rule]]\nmatch = '{match}'\nto = '{{n}}/{{{{a}}}}/{{{{b}}}}'\n"
    text = "".join(rule.replace("{n}", str(n)).replace("{{", "{").replace("}}", "}") for n in range(400))
    assert len(Rules.parse(text).rules) == 400
