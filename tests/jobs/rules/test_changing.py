from __future__ import annotations

from datetime import UTC, datetime

import pytest

from haulyard.jobs.model import FALLBACK, Action, Operation
from haulyard.jobs.rules import Changes, Rules
from haulyard.models import Encryption, ObjectInfo

MOMENT = datetime(2025, 3, 1, 12, tzinfo=UTC)


def operation(key: str) -> Operation:
    return Operation(1, Action.ACT, 0, key, "", 42, MOMENT.timestamp(), "e1", "STANDARD", "x")


def rules(text: str) -> Rules:
    return Rules.parse(f"[[rule]]\nmatch = '(?P<team>[^/]+)/(?P<stamp>[0-9]*)'\nto = 'x/{{key}}'\n{text}")


def test_everything_that_a_rule_may_change() -> None:
    made = rules(
        "dates = { stamp = '%Y%m%d' }\nstorage_class = 'GLACIER_IR'\nacl = 'private'\nsse = 'aws:kms'\n"
        "sse_kms_key_id = 'k1'\ncontent_type = 'text/{team}'\ncache_control = 'no-cache'\n"
        "metadata = { Origin = '{key}', bytes = '{size}' }\nreplace_metadata = true\n"
        "tags = { team = '{team}', day = '{stamp:%Y-%m-%d}', seen = '{last_modified:%H:%M}' }\n"
        "remove_tags = ['old']\n"
    )
    assert made.properties(0, operation("data/20250131x")) == Changes(
        storage_class="GLACIER_IR",
        acl="private",
        encryption=Encryption("aws:kms", "k1"),
        content_type="text/data",
        cache_control="no-cache",
        metadata={"origin": "data/20250131x", "bytes": "42"},
        replace_metadata=True,
        tags={"team": "data", "day": "2025-01-31", "seen": "12:00"},
        remove_tags=("old",),
    )


def test_a_rule_that_only_moves_changes_nothing() -> None:
    assert rules("").properties(0, operation("a/1")) is None
    assert rules("[fallback]\nto = 'y'").properties(FALLBACK, operation("a/1")) is None


def test_an_object_that_the_rule_does_not_take_has_no_changes() -> None:
    with pytest.raises(ValueError, match="rule 1 does not take 'none'"):
        rules("acl = 'private'").properties(0, operation("none"))


@pytest.mark.parametrize(
    ("text", "key", "flaw"),
    [
        ("tags = { t = '{team}' }", "a(b/", "tag t: tags hold letters"),
        ("tags = { t = '{key}' }", "a/" + "b" * 255, "at most 256"),
        ("metadata = { t = '{team}' }", "ä/", "ASCII only"),
        ("content_type = '{team}'", "a\nb/", "control characters"),
        ("metadata = { a = '{key}', b = '{key}', c = '{key}' }", "a/" + "b" * 700, "more than 2,048 bytes"),
        ("tags = { t = '{stamp:%Y}' }\ndates = { stamp = '%Y%m%d' }", "a/2025", "is no date of the form"),
    ],
)
def test_values_that_nothing_can_carry_make_an_object_unsafe(text: str, key: str, flaw: str) -> None:
    made = rules(text)
    page = [ObjectInfo("ok/20250101", 1, MOMENT), ObjectInfo(key, 1, MOMENT)]
    assert made.place(page, 0.0).action == [Action.ACT, Action.UNSAFE]
    assert made.place(page, 0.0).destination == ["x/ok/20250101", ""]
    (said,) = made.explain(page[1], 0.0).flaws
    assert flaw in said
    assert made.explain(page[0], 0.0).flaws == ()


def test_changes_are_made_beside_what_an_object_has() -> None:
    old = {"a": "1", "b": "2"}
    assert Changes(tags={"b": "3", "c": "4"}, remove_tags=("a",)).tags_of(old) == {"b": "3", "c": "4"}
    assert Changes(tags={"c": "4"}, replace_tags=True).tags_of(old) == {"c": "4"}
    assert Changes(metadata={"b": "3"}).metadata_of(old) == {"a": "1", "b": "3"}
    assert Changes(replace_metadata=True).metadata_of(old) == {}


def test_changes_say_what_they_touch() -> None:
    assert not Changes(acl="private").touches_metadata
    assert not Changes(acl="private").touches_tags
    assert Changes(content_type="a/b").touches_metadata
    assert Changes(content_type="a/b", cache_control="x").headers() == {
        "content_type": "a/b",
        "cache_control": "x",
    }
    assert Changes(replace_metadata=True).touches_metadata
    assert Changes(remove_tags=("a",)).touches_tags
