from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from haulyard.jobs.model import Action
from haulyard.jobs.rules import Rules
from haulyard.models import ObjectInfo

NOW = datetime(2025, 6, 1, tzinfo=UTC)
RULES = Rules.parse("""\
[[rule]]
name = "big"
glob = "raw/*"
larger = "1KB"
smaller = "1MB"
newer = "1d"
older = "2025-01-01"
storage_class_is = ["GLACIER", "SNOW"]
tags_are = { team = "a", kind = "b" }
to = "big/{key}"

[[rule]]
name = "stamped"
match = 'raw/(?P<stamp>[0-9]+)-(?P<rest>.*)'
dates = { stamp = "%Y%m%d" }
to = "{stamp:%Y}/{rest}"

[[rule]]
match = '[.]csv$'
to = "csv/{name}"

[[rule]]
glob = "img/*"
skip = true
""")


def info(key: str, size: int = 1_000_000) -> ObjectInfo:
    return ObjectInfo(key, size, NOW - timedelta(days=2))


def test_the_rule_that_takes_a_key_and_why_the_others_do_not() -> None:
    explained = RULES.explain(info("raw/20250131-a.csv"), NOW.timestamp(), {"team": "z"})
    assert explained.text().splitlines() == [
        "raw/20250131-a.csv -> 2025/a.csv",
        (
            "  rule 'big' (line 1) does not take it: needs smaller than 1,000,000 bytes; it has 1,000,000"
            " bytes; needs older than 2025-01-01; it is of 2025-05-30 00:00:00; needs newer than 1d; it is"
            " of 2025-05-30 00:00:00; needs GLACIER or SNOW; it is STANDARD; needs the tag team=a; it has"
            " team=z; needs the tag kind=b; it has none"
        ),
        "  rule 'stamped' (line 12) takes it",
        "  rule 3 (line 18) would take it: rule 'stamped' comes first",
        "  rule 4 (line 22) does not take it: its glob 'img/*' does not fit the key",
        "  {stamp} is '20250131'",
        "  {rest} is 'a.csv'",
    ]


def test_an_unsafe_key_is_explained() -> None:
    explained = RULES.explain(info("raw/20251331-a"), NOW.timestamp())
    assert (explained.action, explained.destination) == (Action.UNSAFE, "")
    lines = explained.text().splitlines()
    assert lines[0] == "raw/20251331-a (unsafe)"
    assert "needs tags, and the object's tags are not known" in lines[1]
    assert lines[-1] == "  unsafe: {stamp}: '20251331' is no date of the form %Y%m%d"


def test_what_is_not_known_meets_no_condition() -> None:
    bare = ObjectInfo("raw/x", -1, datetime.fromtimestamp(0, UTC))
    first = RULES.explain(bare, NOW.timestamp(), {}).verdicts[0]
    assert "its size is not known" in first.reason
    assert "its time is not known" in first.reason


def test_skipped_and_unmatched_keys_are_explained() -> None:
    assert RULES.explain(info("img/a"), NOW.timestamp()).text().startswith("img/a (skipped)\n")
    lines = RULES.explain(info("none\x1b"), NOW.timestamp()).text().splitlines()
    assert lines[0] == "none\\x1b (unmatched)"
    assert lines[-1] == "  [fallback] takes it: fail"


def test_an_explanation_is_a_message_for_programs_too() -> None:
    explained = RULES.explain(info("a.csv"), NOW.timestamp())
    assert explained.kind == "explanation"
    fields = json.loads(json.dumps(explained.fields()))
    assert (fields["rule"], fields["action"], fields["destination"]) == (2, "act", "csv/a.csv")
    assert [verdict["outcome"] for verdict in fields["rules"]] == ["does not take it"] * 2 + [
        "takes it",
        "does not take it",
    ]
