from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from haulyard.errors import JobError
from haulyard.jobs.ends import Ends
from haulyard.jobs.model import FALLBACK, NO_RULE, Action, Verb
from haulyard.jobs.planning.findings import Findings
from haulyard.jobs.planning.prices import load_prices
from haulyard.jobs.planning.recording import UNMATCHED
from haulyard.jobs.planning.summary import Origin, PlanSummary, summarise
from haulyard.jobs.planning.tally import Tally
from haulyard.jobs.rules import Rules
from haulyard.jobs.specification import Specification
from haulyard.journal.folder import JobFolder
from haulyard.stores.local import LocalStore
from haulyard.stores.memory import MemoryStore
from haulyard.transfer.mapping import Target
from haulyard.transfer.selection import select

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from haulyard.stores.base import Store

RULES = """
[[rule]]
name = "logs"
glob = "*.gz"
to = "{name}"
storage_class = "DEEP_ARCHIVE"
[[rule]]
glob = "*.tmp"
skip = true
[fallback]
to = "rest/{key}"
"""
GROUPS: list[list[object]] = [
    [0, int(Action.ACT), 0, "STANDARD", 1_000, 5 * 1024**3, 0, 2, 1_500],
    [1, int(Action.SKIPPED), 0, "STANDARD", 7, 70, 0, 0, 0],
    [FALLBACK, int(Action.ACT), 0, "GLACIER", 3, 300, 0, 0, 0],
    [NO_RULE, int(Action.FOLDER), 0, "", 2, 0, 0, 0, 0],
]
STORE = MemoryStore("bucket")


def summary(
    tmp_path: Path,
    groups: Sequence[Sequence[object]] = GROUPS,
    findings: Findings | None = None,
    *,
    verb: Verb = Verb.COPY,
    rules: str = RULES,
    source: Store = STORE,
    destination: Store = STORE,
    is_finished: bool = True,
) -> PlanSummary:
    specification = Specification(verb, "s3://bucket/in/", "s3://bucket/out/", rules=rules)
    folder = JobFolder.create(str(tmp_path), "a-job", specification.to_json())
    ends = Ends(source, select("in/"), destination, Target.parse("out/"))
    parsed = Rules.parse(rules) if rules else None
    origin = Origin(folder, specification, parsed, ends, {"list": 2}, 0.05, 10)
    return summarise(origin, Tally(groups), (findings or Findings()) if is_finished else None, load_prices())


def test_objects_and_bytes_are_told_by_rule_and_by_action(tmp_path: Path) -> None:
    made = summary(tmp_path)
    assert made.rules == (
        ("rule 'logs'", 1_000, 5 * 1024**3),
        ("rule 2", 7, 70),
        ("fallback", 3, 300),
    )
    assert made.actions == {
        "act": (1_003, 5 * 1024**3 + 300),
        "skipped": (7, 70),
        "folder": (2, 0),
    }
    assert (made.objects, made.acting, made.large, made.archived) == (1_010, 1_005, 2, 3)


def test_requests_are_priced_by_the_class_that_copies_get(tmp_path: Path) -> None:
    made = summary(tmp_path)
    assert made.requests["COPY"] == 1_001
    assert made.requests["COPY part"] == 1_500
    assert made.asked == {"list": 2}
    # 998 copies, 1,500 parts and 4 POSTs into DEEP_ARCHIVE are all but a cent of it.
    assert made.price == pytest.approx(0.05 * (998 + 1_500 + 4) / 1_000, abs=0.01)
    total = sum(made.requests.values())
    assert made.seconds == pytest.approx(total * 0.05 / 10, abs=0.01)


def test_it_survives_json(tmp_path: Path) -> None:
    found = Findings(collisions=2, collision_groups=1, samples={"collisions": [{"destination": "x"}]})
    made = summary(tmp_path, findings=found)
    assert PlanSummary.from_json(json.loads(json.dumps(made.to_json()))) == made
    with pytest.raises(JobError, match="of another release"):
        PlanSummary.from_json({"job": "x"})


def test_people_see_a_table_and_what_to_type_next(tmp_path: Path) -> None:
    lines = summary(tmp_path).lines()
    assert lines[0] == "a-job: copy s3://bucket/in/ -> s3://bucket/out/"
    assert "rule 'logs'    1,000  5.0 GiB" in lines
    assert "rule 2             7     70 B" in lines
    assert "over 5 GiB  2, copied by parts" in lines
    assert lines[-1] == "Nothing has been changed. To do it:  haul apply a-job"


def test_conflicts_are_shown_and_have_to_be_decided(tmp_path: Path) -> None:
    sources = {"destination": "out/x", "sources": ["in/a", "in/b"], "count": 3}
    there = {"key": "in/c", "destination": "out/c\n", "present": "etag"}
    found = Findings(
        collisions=3, collision_groups=1, exists=1, samples={"collisions": [sources], "exists": [there]}
    )
    lines = summary(tmp_path, findings=found).lines()
    assert "3 objects with a destination that others have too (1 destination):" in lines
    assert "  out/x <- in/a, in/b and 1 more" in lines
    assert "  in/c -> out/c\\x0a" in lines
    assert "--on-conflict skip|overwrite|suffix" in lines[-1]


def test_unmatched_keys_are_shown_first_and_counted(tmp_path: Path) -> None:
    rules = '[[rule]]\nglob = "*.gz"\nto = "{name}"\n'
    groups = [[NO_RULE, int(Action.UNMATCHED), 0, "STANDARD", 25, 25, 0, 0, 0]]
    (tmp_path / "a-job").mkdir()
    (tmp_path / "a-job" / UNMATCHED).write_text("".join(f"key{number}\n" for number in range(25)))
    made = summary(tmp_path, groups, rules=rules)
    assert made.unmatched == 25
    assert made.unmatched_keys == tuple(f"key{number}" for number in range(20))
    lines = made.lines()
    assert "No rule takes 25 objects (all in unmatched.txt):" in lines
    assert "  … and 5 more" in lines
    assert "add a rule" in " ".join(lines[-3:]).lower()


def test_a_plan_that_was_stopped_says_how_to_go_on(tmp_path: Path) -> None:
    made = summary(tmp_path, is_finished=False)
    assert not made.finished
    assert "the same command goes on" in made.lines()[-1]


def test_ways_through_this_machine_ask_for_other_requests(tmp_path: Path) -> None:
    ways: list[tuple[Store, Store, str]] = [
        (LocalStore(tmp_path), STORE, "PUT"),
        (STORE, LocalStore(tmp_path), "GET"),
        (MemoryStore("other"), STORE, "GET"),
    ]
    for number, (source, destination, kind) in enumerate(ways):
        (tmp_path / str(number)).mkdir()
        groups = [[NO_RULE, int(Action.ACT), 0, "STANDARD", 10, 10, 0, 0, 0]]
        made = summary(tmp_path / str(number), groups, rules="", source=source, destination=destination)
        assert made.requests[kind] == 10
        assert "COPY" not in made.requests


def test_moves_without_proved_conditions_ask_before_each_delete(tmp_path: Path) -> None:
    plain = MemoryStore("plain")
    plain.capabilities = replace(plain.capabilities, conditional_batch_delete=None)
    groups = [[NO_RULE, int(Action.ACT), 0, "STANDARD", 10, 10, 0, 0, 0]]
    made = summary(tmp_path, groups, verb=Verb.MOVE, rules="", source=plain, destination=plain)
    assert (made.requests["DELETE"], made.requests["HEAD"]) == (10, 30)


def test_missing_objects_of_a_manifest_are_counted(tmp_path: Path) -> None:
    groups = [[NO_RULE, int(Action.ACT), 0, "STANDARD", 10, 10, 4, 0, 0]]
    made = summary(tmp_path, groups, rules="")
    assert made.missing == 4
    assert any(line.startswith("missing") and "4, named by" in line for line in made.lines())
    assert made.fields()["missing"] == 4
    assert made.text() == "\n".join(made.lines())


def test_objects_without_a_proper_key_are_named_and_how_to_ask_why(tmp_path: Path) -> None:
    made = summary(tmp_path, [[0, int(Action.UNSAFE), 0, "STANDARD", 25, 25, 0, 0, 0]])
    lines = replace(made, unsafe_keys=("a", "b")).lines()
    at = lines.index("25 objects would get no proper key, or an unreadable date, and stay:")
    assert lines[at + 1 : at + 5] == [
        "  a",
        "  b",
        "  … and 23 more",
        "  (haul plan --explain KEY --rules FILE says why)",
    ]


def test_a_price_below_a_cent_is_not_shown_as_nothing(tmp_path: Path) -> None:
    made = summary(tmp_path)
    assert any("  less than 0.01 USD for" in line for line in replace(made, price=0.004).lines())
    assert any("  0.00 USD for" in line for line in replace(made, price=0.0).lines())


def test_an_object_of_each_rule_is_shown_with_what_it_gets(tmp_path: Path) -> None:
    made = replace(summary(tmp_path), samples=(("in/a.gz", "out/a.gz", "DEEP_ARCHIVE"), ("in/b", "", "")))
    lines = made.lines()
    at = lines.index("For example:")
    assert lines[at + 1 : at + 3] == ["  in/a.gz -> out/a.gz  (DEEP_ARCHIVE)", "  in/b"]
    assert PlanSummary.from_json(json.loads(json.dumps(made.to_json()))) == made
