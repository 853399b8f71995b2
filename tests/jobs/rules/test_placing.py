from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.jobs.rules.reference import place_one

from haulyard.jobs.model import FALLBACK, NO_RULE, Action
from haulyard.jobs.rules import Placed, Rules, RulesError, placing
from haulyard.models import ObjectInfo

if TYPE_CHECKING:
    from collections.abc import Mapping

NOW = datetime(2025, 6, 1, tzinfo=UTC).timestamp()


def info(key: str, size: int = 1, days: float = 1, **others: Any) -> ObjectInfo:
    return ObjectInfo(key, size, datetime.fromtimestamp(NOW - days * 86400, UTC), **others)


def to(template: str, *keys: str, match: str = "", rule: str = "") -> list[str]:
    rules = Rules.parse(f"[[rule]]\nmatch = '''{match}'''\nto = '''{template}'''\n{rule}")
    return rules.place([info(key, 1234, etag="e1") for key in keys], NOW).destination


def toml(tables: list[dict[str, Any]]) -> str:
    def value(given: Any) -> str:
        if isinstance(given, dict):
            return "{" + ", ".join(f"{key} = {value(inner)}" for key, inner in given.items()) + "}"
        if isinstance(given, list):
            return "[" + ", ".join(map(value, given)) + "]"
        return f"'''{given}'''" if isinstance(given, str) else str(given).lower()

    return "\n".join(
        "[[rule]]\n" + "\n".join(f"{key} = {value(given)}" for key, given in table.items())
        for table in tables
    )


@pytest.mark.parametrize(
    ("template", "key", "made"),
    [
        ("moved/{key}", "a/b.c", "moved/a/b.c"),
        ("{name}|{stem}|{ext}|{suffix}|{dir}", "a/b/c.tar.gz", "c.tar.gz|c.tar|gz|.gz|a/b"),
        ("{stem}|{ext}|{suffix}|", "a/README", "README|||"),
        ("{stem}|{ext}|", "a/.profile", ".profile||"),
        ("{stem}|{ext}|", "a/..x", "..x||"),
        ("{stem}|{ext}|", "a/b.", "b||"),
        ("x/{dir}/{name}", "top.txt", "x/top.txt"),
        ("x/{dir}/{name}", "a/b/top.txt", "x/a/b/top.txt"),
        ("x/{dir}/{name}", "/odd", "x//odd"),
        ("x/{dir}-{name}", "top.txt", "x/-top.txt"),
        ("x/{name}", "a/", "x/"),
        ("{{{name}}}", "a", "{a}"),
        ("%s%%/{name}", "a%d", "%s%%/a%d"),
        ("{size}|{size:08d}|{size:,}|{size:>6}", "a", "1234|00001234|1,234|  1234"),
        ("{etag:.1}-{name:_<4}", "ab", "e-ab__"),
        ("{last_modified:%Y/%m/%d %H:%M %%}", "a", "2025/05/31 00:00 %"),
        ("{last_modified:%j}{{%Y}}", "a", "151{%Y}"),
        ("fixed/text", "a", "fixed/text"),
    ],
)  # fmt: skip
def test_fields_of_a_template(template: str, key: str, made: str) -> None:
    assert to(template, key) == [made]


def test_groups_and_dates_of_a_template() -> None:
    match = r"^(?P<site>\w+)-(?P<n>\d+)-(?P<stamp>\d{8})"
    dates = "dates = { stamp = '%Y%m%d', day = { group = 'stamp', format = '%Y%m%d' } }"
    template = "{site:>6}/{n:0>4}/{stamp}/{stamp:%Y}/{day:%d.%m.%y}"
    assert to(template, "web-7-20250228x", match=match, rule=dates) == ["   web/0007/20250228/2025/28.02.25"]


def test_a_group_hides_a_field_of_its_name() -> None:
    assert to("{name}", "a/b", match="(?P<name>a)/") == ["a"]


def test_a_group_may_match_nothing() -> None:
    assert to("{a}x", "k", match="(?P<a>q|)") == ["x"]


def test_years_have_four_digits() -> None:
    rule = "dates = { d = '%Y' }"
    assert to("{d:%Y}", "0033", match="(?P<d>[0-9]{4})", rule=rule) == ["0033"]


def test_what_is_no_date_is_unsafe_and_not_left_to_the_next_rule() -> None:
    rules = Rules.parse(
        "[[rule]]\nmatch = '(?P<d>[0-9]{8})'\ndates = { d = '%Y%m%d' }\nto = '{d:%Y}/{name}'\n"
        "[[rule]]\nglob = '*'\nto = 'rest/{key}'\n"
    )
    placed = rules.place([info("20250131"), info("20251345"), info("x")], NOW)
    assert placed == ([0, 0, 1], [Action.ACT, Action.UNSAFE, Action.ACT], ["2025/20250131", "", "rest/x"])


@pytest.mark.parametrize("template", ["{size}", "{last_modified:%Y}", "{last_modified:%H}", "{etag}"])
def test_what_the_source_does_not_say_makes_a_key_unsafe(template: str) -> None:
    rules = Rules.parse(f"[[rule]]\nglob = '*'\nto = '{template}'\n")
    bare = ObjectInfo("a", -1, datetime.fromtimestamp(0, UTC))
    known = info("a", etag="e")
    just_then = known._replace(last_modified=datetime.fromtimestamp(1, UTC))
    assert rules.place([bare, known, just_then], NOW).action == [Action.UNSAFE, Action.ACT, Action.ACT]


@pytest.mark.parametrize(
    ("key", "fits"),
    [
        ("a" * 1022, True),
        ("a" * 1023, False),
        ("ä" * 511, True),
        ("ä" * 512, False),
        ("a\nb\x01\x7f", True),
        ("../..//.", True),
        ("\ud800", False),
    ],
)
def test_only_what_cannot_be_a_key_is_unsafe(key: str, fits: bool) -> None:
    rules = Rules.parse("[[rule]]\nglob = '*'\nto = 'm/{key}'\n")
    placed = rules.place([info("plain"), info(key)], NOW)
    assert placed.action == [Action.ACT, Action.ACT if fits else Action.UNSAFE]
    assert placed.destination == ["m/plain", f"m/{key}" if fits else ""]


def test_an_empty_destination_is_unsafe() -> None:
    rules = Rules.parse("[[rule]]\nglob = '*'\nto = '{ext}'\n")
    assert rules.place([info("a.b"), info("a")], NOW).action == [Action.ACT, Action.UNSAFE]


def test_what_destinations_are_appended_to_counts() -> None:
    rules = Rules.parse("[[rule]]\nglob = '*'\nto = '{key}'\n")
    page = [info("a" * 1020)]
    assert rules.place(page, NOW, base="data").action == [Action.ACT]
    assert rules.place(page, NOW, base="datä").action == [Action.UNSAFE]


@pytest.mark.parametrize(
    ("fallback", "expected"),
    [
        ("", (NO_RULE, Action.UNMATCHED, "")),
        ("[fallback]\naction = 'fail'", (NO_RULE, Action.UNMATCHED, "")),
        ("[fallback]\naction = 'skip'", (FALLBACK, Action.SKIPPED, "")),
        ("[fallback]\nto = 'rest/{key}'", (FALLBACK, Action.ACT, "rest/z")),
    ],
)
def test_the_fallback_takes_what_no_rule_takes(fallback: str, expected: tuple[int, Action, str]) -> None:
    rules = Rules.parse(f"[[rule]]\nglob = 'a*'\nskip = true\n{fallback}\n")
    placed = rules.place([info("z"), info("ab")], NOW)
    assert [column[0] for column in placed] == list(expected)
    assert [column[1] for column in placed] == [0, Action.SKIPPED, ""]


def test_without_destination_objects_are_acted_on_where_they_are() -> None:
    rules = Rules.parse("[[rule]]\nglob = 'a*'\n")
    assert rules.place([info("ab")], NOW) == ([0], [Action.ACT], [""])


def test_a_page_may_be_empty() -> None:
    assert Rules.parse("[[rule]]\nglob = '*'\nto = 'x/{key}'\n").place([], NOW) == Placed([], [], [])


@pytest.mark.parametrize("prefix", ["a", "a\U0010ffff", "\ud7ff"])
@pytest.mark.parametrize("order", [1, -1])
def test_beginnings_are_found_in_pages_of_any_order(prefix: str, order: int) -> None:
    others = "".join(f"[[rule]]\nglob = '{n}/*'\nskip = true\n" for n in range(9))
    rules = Rules.parse(f"{others}[[rule]]\nglob = '{prefix}*'\nto = 'x/{{name}}'\n")
    keys = sorted(["5/", "5/x", prefix, f"{prefix}\U0010ffff", f"{prefix}a", prefix[:-1], "b", "\ue000"])[
        ::order
    ]
    expected = [5 if key.startswith("5/") else 9 if key.startswith(prefix) else NO_RULE for key in keys]
    assert rules.place([info(key) for key in keys], NOW).rule == expected


def test_tags_decide_only_where_everything_else_fits() -> None:
    rules = Rules.parse(
        "[[rule]]\nglob = 'a/*'\nskip = true\n[[rule]]\nglob = '*.csv'\ntags_are.team = 'x'\nto = 'x/{key}'\n"
        "[[rule]]\nglob = '*'\nto = 'y/{key}'\n"
    )
    page = [info("a/1.csv"), info("b/1.csv"), info("b/2.csv"), info("c")]
    assert rules.needs_tags
    assert rules.wanted_tags(page, NOW) == [False, True, True, False]
    tags: list[Mapping[str, str] | None] = [None, {"team": "x", "more": ""}, {}, None]
    assert rules.place(page, NOW, tags).destination == ["", "x/b/1.csv", "y/b/2.csv", "y/c"]
    with pytest.raises(ValueError, match=r"b/1\.csv"):
        rules.place(page, NOW)


def test_what_every_destination_begins_with() -> None:
    def prefixes(*templates: str, end: str = "") -> list[str]:
        rules = "".join(f"[[rule]]\nglob = '{n}*'\nto = '{text}'\n" for n, text in enumerate(templates))
        return Rules.parse(rules + end).literal_prefixes()

    assert prefixes("a/{key}", "a/b/{key}", "c{{/{key}") == ["a/", "c{/"]
    assert prefixes("a/{key}", "{key}") == [""]
    assert prefixes("a/{key}", end="[fallback]\nto = 'b/x'") == ["a/", "b/x"]
    assert Rules.parse("[[rule]]\nglob = '*'\nskip = true").literal_prefixes() == []


_MATCHES = st.sampled_from([
    r"^logs/(?P<app>\w+)/(?P<day>\d{8})(?P<rest>.*)", r"(?P<day>\d{8})(?P<app>)(?P<rest>)", r"[.]csv$",
    r"^(?P<app>a|b)+/", "", r"(?i)LOGS", r"(?P<app>[^/]*)/(?P<rest>.*)$", "^a|b$", r"\Alogs/", "(?m)^b",
    r"a\n",
])  # fmt: skip
_GLOBS = st.sampled_from(
    [
        "*",
        "logs/*",
        "*.csv",
        "logs/*.csv",
        "*a*",
        "a",
        "a*a",
        "?/*",
        "[!l]*",
        "**b",
        "lo?s*.c*v",
        "*/b",
        "a/*/b",
    ]
)
_TEMPLATES = st.sampled_from([
    "m/{key}", "{dir}/{name}", "x/{dir}/{stem}{suffix}", "{ext}", "fixed", "{{{size:05d}}}%s",
    "{etag}/{name:>3}",
    "{last_modified:%Y/%m/%d}/{name}", "{last_modified:%H}-{name}", "{app}", "{app}/{rest}",
    "{rest}/{app:_>4}/%",
    "{day:%Y/%m}/{key}", "{day}-{key}", "p/{key}{key}",
])  # fmt: skip
_CONDITIONS = st.fixed_dictionaries(
    {},
    optional={
        "larger": st.integers(0, 3),
        "smaller": st.integers(2, 6),
        "older": st.sampled_from(["2d", "4d"]),
        "newer": st.sampled_from(["3d", "5d"]),
        "storage_class_is": st.just(["GLACIER"]),
        "tags_are": st.just({"t": "1"}),
    },
)
_KEYS = st.one_of(
    st.text("ab/.\nl", max_size=6),
    st.sampled_from(["logs/app/20250131/x.csv", "logs/app/20251331", "LOGS/a.csv", "a/b", "a\nb", "é/ü.csv"]),
    st.sampled_from(["x", "é"]).map(lambda text: text * 510),
)
_OBJECTS = st.tuples(
    st.builds(
        info,
        _KEYS,
        st.integers(-1, 5),
        st.sampled_from([0.5, 2, 3, 4, 4.5, NOW / 86400]),
        etag=st.sampled_from(["", "e"]),
        storage_class=st.sampled_from(["STANDARD", "GLACIER"]),
    ),
    st.sampled_from([{}, {"t": "1"}, {"t": "2"}]),
)


@st.composite
def _tables(draw: st.DrawFn) -> dict[str, Any]:
    table: dict[str, Any] = draw(
        st.one_of(_MATCHES.map(lambda m: {"match": m}), _GLOBS.map(lambda g: {"glob": g}))
    )
    if "day>" in table.get("match", ""):
        table["dates"] = {"day": "%Y%m%d"}
    outcome = draw(st.one_of(st.just({"skip": True}), _TEMPLATES.map(lambda text: {"to": text})))
    return {**table, **(draw(_CONDITIONS) if draw(st.booleans()) else {}), **outcome}


@settings(max_examples=150, deadline=None)
@given(st.lists(_tables(), min_size=1, max_size=6), st.lists(_OBJECTS, max_size=30), st.booleans())
def test_pages_are_placed_as_one_object_after_the_other(
    tables: list[dict[str, Any]], objects: list[tuple[ObjectInfo, Mapping[str, str]]], always_sorted: bool
) -> None:
    try:
        rules = Rules.parse(toml(tables) + "\n[fallback]\nto = 'rest/{key}'\n")
    except RulesError:
        # Groups that the pattern lacks, contradictory conditions, shadows.
        assume(False)
    page = [each for each, _ in objects]
    with mock.patch.object(placing, "_SORTING_PAYS", 0 if always_sorted else 1_000):
        placed = rules.place(page, NOW, [tags for _, tags in objects])
    expected = [place_one(tables, each, NOW, tags) for each, tags in objects]
    assert list(zip(*placed, strict=True)) == expected
    for (each, tags), (rule, action, destination) in zip(objects, expected, strict=True):
        explained = rules.explain(each, NOW, tags)
        assert (explained.rule, explained.action, explained.destination) == (rule, action, destination)
        assert bool(explained.flaws) == (action == Action.UNSAFE)
        takers = [index for index, verdict in enumerate(explained.verdicts) if verdict.outcome == "takes it"]
        assert takers == [len(tables) if rule == FALLBACK else rule]


def test_ages_are_measured_from_the_time_that_is_passed_in() -> None:
    rules = Rules.parse(
        "[[rule]]\nglob = '*'\nolder = '2w'\nto = 'old/{key}'\n"
        "[[rule]]\nglob = '*'\nnewer = 2025-05-25\nto = 'new/{key}'\n"
        "[[rule]]\nglob = '*'\nolder = '2025-05-20T12:00:00+02:00'\nto = 'before/{key}'\n"
    )
    page = [info("a", days=1), info("b", days=12), info("c", days=15), info("d", days=8)]
    assert rules.place(page, NOW).destination == ["new/a", "before/b", "old/c", ""]
    later = NOW + timedelta(days=20).total_seconds()
    assert rules.place(page, later).destination == ["old/a", "old/b", "old/c", "old/d"]
