from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from haulyard.errors import ConfigError
from haulyard.jobs.ends import Ends
from haulyard.jobs.model import FALLBACK, NO_RULE, PLAN_COLUMNS, Action, Operation, Verb
from haulyard.jobs.planning.intake import Batch
from haulyard.jobs.planning.rows import RowMaker
from haulyard.jobs.rules import Rules
from haulyard.jobs.specification import Specification
from haulyard.models import ObjectInfo
from haulyard.stores.local import LocalStore
from haulyard.stores.memory import MemoryStore
from haulyard.transfer.mapping import Target
from haulyard.transfer.selection import select

if TYPE_CHECKING:
    from pathlib import Path

    from haulyard.jobs.planning.rows import Page
    from haulyard.stores.base import Store

WHEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SOURCE = MemoryStore("source")
SAME = '[[rule]]\nglob = "*"\nto = "{key}"\n'


def info(key: str, size: int = 5, storage_class: str = "STANDARD") -> ObjectInfo:
    return ObjectInfo(key, size, WHEN, f"etag-{key}", storage_class)


def maker(
    verb: Verb = Verb.COPY,
    rules: str = "",
    *,
    selection: str = "",
    destination: Store = SOURCE,
    target: str = "",
    **options: Any,
) -> RowMaker:
    specification = Specification(verb, "memory://source/", rules=rules, **options)
    ends = Ends(SOURCE, select(selection), destination, Target.parse(target))
    return RowMaker(specification, Rules.parse(rules) if rules else None, ends, WHEN.timestamp())


def operations(page: Page) -> list[Operation]:
    return [Operation._make((number, *row)) for number, row in enumerate(page.rows, 1)]


def actions(page: Page) -> list[Action]:
    return [Action(row.action) for row in operations(page)]


def test_a_row_has_what_the_listing_says_and_where_the_object_goes() -> None:
    rules = '[[rule]]\nglob = "*.gz"\nto = "{name}"\n[fallback]\nto = "rest/{key}"\n'
    page = maker(rules=rules, target="out/").page(Batch([info("a/x.gz", 7, "GLACIER_IR"), info("b")]))
    assert operations(page) == [
        Operation(
            1, Action.ACT, 0, "a/x.gz", "", 7, WHEN.timestamp(), "etag-a/x.gz", "GLACIER_IR", "out/x.gz"
        ),
        Operation(2, Action.ACT, FALLBACK, "b", "", 5, WHEN.timestamp(), "etag-b", "STANDARD", "out/rest/b"),
    ]
    assert len(page.rows[0]) == len(PLAN_COLUMNS) - 1
    assert page.destinations == ["out/x.gz", "out/rest/b"]
    assert list(page.groups) == [(0, Action.ACT, "GLACIER_IR"), (FALLBACK, Action.ACT, "STANDARD")]


def test_versions_are_kept() -> None:
    page = maker(target="out/").page(Batch([info("a"), info("a")], ["v1", ""]))
    assert [row.version for row in operations(page)] == ["v1", ""]


def test_what_no_rule_takes_is_unmatched() -> None:
    page = maker(rules='[[rule]]\nglob = "x*"\nto = "{key}y"\n').page(Batch([info("x"), info("a")]))
    assert actions(page) == [Action.ACT, Action.UNMATCHED]
    assert page.unmatched == ["a"]
    assert page.destinations == ["xy"]


def test_its_own_destination_is_in_place_unless_something_changes() -> None:
    batch = Batch([info("a"), info("b", storage_class="STANDARD_IA")])
    colder = SAME + 'storage_class = "STANDARD_IA"\n'
    assert actions(maker(rules=SAME).page(batch)) == [Action.IN_PLACE, Action.IN_PLACE]
    assert actions(maker(rules=colder).page(batch)) == [Action.ACT, Action.IN_PLACE]
    tagged = maker(rules=SAME, properties={"tags": {"a": "b"}})
    assert actions(tagged.page(batch)) == [Action.ACT, Action.ACT]
    elsewhere = maker(rules=SAME, destination=MemoryStore("other"))
    assert actions(elsewhere.page(batch)) == [Action.ACT, Action.ACT]


def test_a_tree_may_be_copied_onto_itself_with_other_properties() -> None:
    changed = maker(selection="in/", target="in/", properties={"storage_class": "STANDARD_IA"})
    page = changed.page(Batch([info("in/a"), info("in/b", storage_class="STANDARD_IA")]))
    assert actions(page) == [Action.ACT, Action.IN_PLACE]


@pytest.mark.parametrize(("length", "action"), [(1_020, Action.ACT), (1_021, Action.UNSAFE)])
def test_a_destination_of_more_than_1024_bytes_is_unsafe(length: int, action: Action) -> None:
    page = maker(target="out/").page(Batch([info("x" * length)]))
    assert actions(page) == [action]
    page = maker(target="out/").page(Batch([info("\u00e9" * (length // 2) + "x" * (length % 2))]))
    assert actions(page) == [action]


def test_archived_objects_act_for_they_may_be_restored_by_then() -> None:
    batch = Batch([info("a", storage_class="GLACIER"), info("b", storage_class="DEEP_ARCHIVE"), info("c")])
    assert actions(maker(target="out/").page(batch)) == [Action.ACT] * 3
    assert actions(maker(Verb.RESTORE).page(batch)) == [Action.ACT, Action.ACT, Action.IN_PLACE]


def test_markers_of_directories_have_no_place_on_a_disk(tmp_path: Path) -> None:
    batch = Batch([info("a/", 0), info("a/x")])
    assert actions(maker(target="out/").page(batch)) == [Action.ACT, Action.ACT]
    assert actions(maker(destination=LocalStore(tmp_path)).page(batch)) == [Action.MARKER, Action.ACT]
    assert actions(maker(target="out/", flatten=True).page(batch)) == [Action.MARKER, Action.ACT]


def test_the_marker_of_the_source_itself_has_no_name_at_the_top_of_a_bucket() -> None:
    page = maker(selection="in/", destination=MemoryStore("other")).page(Batch([info("in/", 0)]))
    assert actions(page) == [Action.MARKER]


def test_folders_are_rows_of_their_own() -> None:
    rules = SAME + '[folders]\ncreate = ["raw/"]\nplaceholder = "x"\n'
    page = maker(rules=rules, target="out/").folder_rows()
    assert page is not None
    row = operations(page)[0]
    assert (row.action, row.rule, row.key, row.destination) == (Action.FOLDER, NO_RULE, "", "out/raw/x")
    assert page.destinations == ["out/raw/x"]
    assert maker(rules=SAME).folder_rows() is None


def test_verbs_without_a_destination_give_none() -> None:
    for verb in (Verb.DELETE, Verb.RETAG):
        page = maker(verb).page(Batch([info("a")]))
        assert [row.destination for row in operations(page)] == [""]
        assert page.destinations == []


def test_rules_need_a_destination_that_may_hold_many() -> None:
    with pytest.raises(ConfigError, match="rules make many of it"):
        maker(rules=SAME, target="out")


def test_without_rules_one_name_is_no_destination_for_many() -> None:
    with pytest.raises(ConfigError, match="there may be several"):
        maker(selection="in/*", target="out")
