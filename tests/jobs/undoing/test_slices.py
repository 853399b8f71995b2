"""What a job did taken back: exactly that, and nothing that changed since."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.jobs.applying.lab import Lab, contents, put_now, store_of, thing, things
from tests.jobs.applying.meddling import MeddledStore

from haulyard.errors import S3PermissionError, S3ServerError
from haulyard.jobs import conduct
from haulyard.jobs.model import Verb

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio


async def lab_of(
    path: Path,
    objects: dict[str, Any],
    verb: Verb = Verb.MOVE,
    rules: str = "",
    *,
    buckets: tuple[str, str] = ("b", "b"),
    **how: Any,
) -> tuple[Lab, MeddledStore, MeddledStore]:
    stores = {name: store_of({}, name, kind=MeddledStore, **how) for name in set(buckets)}
    stores[buckets[0]] = store_of(objects, buckets[0], kind=MeddledStore, **how)
    lab = Lab(str(path), stores)
    source, destination = f"s3://{buckets[0]}/in/", f"s3://{buckets[1]}/out/"
    if buckets[0] != buckets[1]:
        # So that keys stay what they are.
        destination = f"s3://{buckets[1]}/in/"
    await lab.planned(verb, source, destination if verb.writes_elsewhere else "", rules)
    first, second = stores[buckets[0]], stores[buckets[1]]
    assert isinstance(first, MeddledStore)
    assert isinstance(second, MeddledStore)
    return lab, first, second


def nothing(_name: str, _key: str) -> None:
    """Let everything pass."""


OBJECTS = {"in/a": b"a", "in/b": b"b"}
WHOLE = {"in/a": thing(b"a", 0), "in/b": thing(b"b", 1)}


@pytest.mark.parametrize("versioned", [False, True])
@pytest.mark.parametrize("verb", [Verb.MOVE, Verb.COPY])
async def test_what_was_there_is_there_again(quick_path: Path, verb: Verb, *, versioned: bool) -> None:
    lab, store, _ = await lab_of(quick_path, OBJECTS, verb, versioned=versioned)
    await lab.apply()
    tally = await lab.undo()
    assert (tally.done, tally.skipped, tally.failed) == (2, 0, 0)
    assert things(store) == WHOLE
    assert set(lab.phases().values()) == {"undone"}
    assert (lab.folder.read("state") or {})["stage"] == "undone"


@pytest.mark.parametrize("versioned", [False, True])
async def test_a_move_between_buckets_under_the_same_keys_comes_back(
    quick_path: Path, *, versioned: bool
) -> None:
    """It is not in place: a copy may go only once its source is back."""
    lab, source, destination = await lab_of(quick_path, OBJECTS, buckets=("b", "c"), versioned=versioned)
    await lab.apply()
    assert (contents(source), things(destination)) == ({}, WHOLE)
    assert conduct.survey_undo(lab.folder).count == 2
    await lab.undo()
    assert (things(source), contents(destination)) == (WHOLE, {})


async def test_versions_come_back_by_removing_the_marker(quick_path: Path) -> None:
    lab, store, _ = await lab_of(quick_path, OBJECTS, versioned=True)
    original = (await store.head("in/a")).version_id
    await lab.apply()
    await lab.undo()
    assert (await store.head("in/a")).version_id == original
    assert "out/a" not in store._versions._history


async def test_a_copy_that_changed_since_is_kept(quick_path: Path) -> None:
    lab, store, _ = await lab_of(quick_path, OBJECTS)
    await lab.apply()
    put_now(store, "out/a", b"worked on")
    tally = await lab.undo()
    assert (tally.done, tally.skipped) == (1, 1)
    assert contents(store) == {"out/a": b"worked on", "in/b": b"b"}
    assert lab.phases() == {"in/a": "kept", "in/b": "undone"}


async def test_a_copy_that_changes_at_the_last_moment_is_kept(quick_path: Path) -> None:
    lab, store, _ = await lab_of(quick_path, OBJECTS, Verb.COPY)
    await lab.apply()

    def meddle(name: str, _key: str) -> None:
        if name in {"delete", "delete_many"}:
            put_now(store, "out/a", b"worked on")

    store.before = meddle
    await lab.undo()
    assert contents(store) == {**OBJECTS, "out/a": b"worked on"}
    assert lab.phases()["in/a"] == "kept"


async def test_a_source_that_somebody_made_since_is_kept_and_so_is_the_copy(quick_path: Path) -> None:
    lab, store, _ = await lab_of(quick_path, OBJECTS)
    await lab.apply()
    put_now(store, "in/a", b"somebody's")
    await lab.undo()
    assert contents(store) == {"in/a": b"somebody's", "out/a": b"a", "in/b": b"b"}
    assert lab.phases()["in/a"] == "kept"


async def test_with_versions_a_source_that_somebody_made_since_is_kept_with_its_marker(
    quick_path: Path,
) -> None:
    lab, store, _ = await lab_of(quick_path, OBJECTS, versioned=True)
    await lab.apply()
    put_now(store, "in/a", b"somebody's")
    before = len(store._versions._history["in/a"])
    await lab.undo()
    assert contents(store) == {"in/a": b"somebody's", "out/a": b"a", "in/b": b"b"}
    assert len(store._versions._history["in/a"]) == before


async def test_what_was_there_before_the_job_stays(quick_path: Path) -> None:
    """The job took it for the copy; it is not the job's."""
    same = thing(b"a", 0)
    lab, store, _ = await lab_of(quick_path, {"in/a": same, "out/a": same})
    await lab.apply()
    assert things(store) == {"out/a": same}
    await lab.undo()
    assert things(store) == {"in/a": same, "out/a": same}


@pytest.mark.parametrize("versioned", [False, True])
async def test_what_was_overwritten_comes_back_only_with_versions(
    quick_path: Path, *, versioned: bool
) -> None:
    objects = {"in/a": b"a", "out/a": b"old"}
    lab, store, _ = await lab_of(quick_path, objects, Verb.COPY, versioned=versioned)
    await lab.apply("overwrite")
    survey = conduct.survey_undo(lab.folder)
    assert bool(survey.hopeless) is not versioned
    await lab.undo()
    assert contents(store) == (objects if versioned else {"in/a": b"a", "out/a": b"a"})


CHANGED = """
    [[rule]]
    match = '^in/(?P<name>.*)'
    to = "{name}"
    metadata = { new = "yes" }
    replace_metadata = true
    tags = { t = "new" }
    content_type = "text/new"
    storage_class = "STANDARD_IA"
"""


async def test_properties_are_put_back(quick_path: Path) -> None:
    lab, store, _ = await lab_of(quick_path, OBJECTS, rules=CHANGED)
    await lab.apply()
    assert things(store)["out/a"] == thing(b"a")._replace(
        metadata={"new": "yes"}, tags={"t": "new"}, content_type="text/new", storage_class="STANDARD_IA"
    )
    await lab.undo()
    assert things(store) == WHOLE


@pytest.mark.parametrize("versioned", [False, True])
async def test_properties_that_were_changed_in_place_come_back_only_with_versions(
    quick_path: Path, *, versioned: bool
) -> None:
    store = store_of(OBJECTS, versioned=versioned)
    lab = Lab(str(quick_path), {"b": store})
    rules = CHANGED.replace('"{name}"', '"in/{name}"')
    await lab.planned(Verb.MOVE, "s3://b/in/", "s3://b/", rules)
    await lab.apply()
    changed = things(store)
    assert changed["in/a"].metadata == {"new": "yes"}
    await lab.undo()
    assert things(store) == (WHOLE if versioned else changed)
    assert set(lab.phases().values()) == {"undone" if versioned else "kept"}


async def test_deleted_objects_lose_their_marker(quick_path: Path) -> None:
    lab, store, _ = await lab_of(quick_path, OBJECTS, Verb.DELETE, versioned=True)
    await lab.apply()
    put_now(store, "in/b", b"somebody's")
    await lab.undo()
    assert contents(store) == {"in/a": b"a", "in/b": b"somebody's"}
    assert lab.phases() == {"in/a": "undone", "in/b": "kept"}


async def test_without_versions_what_was_deleted_is_gone_and_said_to_be(quick_path: Path) -> None:
    lab, _, _ = await lab_of(quick_path, OBJECTS, Verb.DELETE)
    await lab.apply()
    survey = conduct.survey_undo(lab.folder)
    assert (survey.count, dict(survey.hopeless)) == (0, {"the bucket keeps no versions": 2})
    tally = await lab.undo()
    assert (tally.done, tally.skipped) == (0, 2)


RETAG = """
    [[rule]]
    match = '.'
    tags = { t = "new" }
"""


async def test_old_tags_come_back_unless_somebody_changed_them(quick_path: Path) -> None:
    objects = OBJECTS | {"in/c": b"c", "in/d": b"d"}
    lab, store, _ = await lab_of(quick_path, objects, Verb.RETAG, RETAG)
    await lab.apply()
    await store.set_tags("in/b", {"somebody": "else"})
    put_now(store, "in/c", thing(b"newer")._replace(tags={"t": "new"}))
    store._versions.bury("in/d")
    await lab.undo()
    assert {key: each.tags for key, each in things(store).items()} == {
        "in/a": {"t": "0"},
        "in/b": {"somebody": "else"},
        "in/c": {"t": "new"},
    }
    assert lab.phases() == {"in/a": "undone", "in/b": "kept", "in/c": "kept", "in/d": "kept"}


async def test_folders_go_unless_something_was_put_there(quick_path: Path) -> None:
    rules = """
        [[rule]]
        match = '^in/'
        skip = true
        [folders]
        create = ["raw/", "old/", "worked/"]
    """
    lab, store, _ = await lab_of(quick_path, {"in/a": b"a", "out/old/placeholder.txt": b""}, Verb.COPY, rules)
    await lab.apply()
    put_now(store, "out/worked/placeholder.txt", b"notes")
    await lab.undo()
    assert contents(store) == {
        "in/a": b"a",
        "out/old/placeholder.txt": b"",
        "out/worked/placeholder.txt": b"notes",
    }


COLLISION = """
    [[rule]]
    match = '^in/.$'
    to = "x"
"""


async def test_a_copy_that_another_replaced_is_not_taken_from_under_it(quick_path: Path) -> None:
    """Both were the same: what is at their destination is the second one's only copy."""
    lab, store, _ = await lab_of(
        quick_path, {"in/a": thing(b"same"), "in/b": thing(b"same")}, rules=COLLISION
    )
    await lab.apply("overwrite")
    assert things(store) == {"out/x": thing(b"same")}
    for _ in range(2):
        await lab.undo()
        assert things(store) == {"out/x": thing(b"same")}
    assert lab.phases() == {"in/a": "kept", "in/b": "kept"}


async def test_with_versions_all_that_replaced_one_another_come_back(quick_path: Path) -> None:
    lab, store, _ = await lab_of(quick_path, OBJECTS | {"out/x": b"old"}, rules=COLLISION, versioned=True)
    await lab.apply("overwrite")
    await lab.undo()
    assert contents(store) == OBJECTS | {"out/x": b"old"}


async def test_what_failed_waits_for_the_next_undo_and_so_does_who_waits_for_it(quick_path: Path) -> None:
    rules = """
        [[rule]]
        match = '^in/1$'
        to = "in/2"
        [[rule]]
        match = '^in/2$'
        to = "in/3"
    """
    store = store_of({"in/1": b"first", "in/2": b"second"}, kind=MeddledStore)
    assert isinstance(store, MeddledStore)
    lab = Lab(str(quick_path), {"b": store})
    await lab.planned(Verb.MOVE, "s3://b/", "s3://b/", rules)
    await lab.apply()
    assert contents(store) == {"in/2": b"first", "in/3": b"second"}

    def fail(name: str, key: str) -> None:
        if (name, key) == ("copy", "in/1"):
            raise S3ServerError("for a while", status=500)

    store.before = fail
    tally = await lab.undo()
    assert tally.failed == 2
    assert contents(store) == {"in/2": b"first", "in/3": b"second"}
    assert (lab.folder.read("state") or {})["stage"] == "undoing"
    store.before = nothing
    await lab.undo()
    assert contents(store) == {"in/1": b"first", "in/2": b"second"}


async def test_a_right_that_is_withdrawn_stops_undoing(quick_path: Path) -> None:
    objects = {f"in/{number:02}": str(number).encode() for number in range(40)}
    lab, store, _ = await lab_of(quick_path, objects)
    await lab.apply()

    def withdraw(name: str, key: str) -> None:
        if name == "copy" and key >= "in/10":
            raise S3PermissionError("denied", status=403)

    store.before = withdraw
    with pytest.raises(S3PermissionError):
        await lab.undo()
    assert (lab.folder.read("state") or {})["stage"] == "undoing"
    store.before = nothing
    await lab.undo()
    assert contents(store) == objects


async def test_a_job_that_was_half_done_is_undone(quick_path: Path) -> None:
    objects = {f"in/{number:02}": str(number).encode() for number in range(40)}
    lab, store, _ = await lab_of(quick_path, objects)
    lab.stopped = lambda: len(lab.entries()) > 5
    await lab.apply()
    assert 0 < len(contents(store, "out/")) < 40
    lab.stopped = lambda: False
    await lab.undo()
    assert contents(store) == objects


async def test_what_failed_behind_its_copy_is_undone(quick_path: Path) -> None:
    lab, store, _ = await lab_of(quick_path, OBJECTS)

    def fail(name: str, _key: str) -> None:
        if name in {"delete", "delete_many"}:
            raise S3ServerError("for a while", status=500)

    store.before = fail
    await lab.apply()
    assert contents(store) == {**OBJECTS, "out/a": b"a", "out/b": b"b"}
    store.before = nothing
    await lab.undo()
    assert things(store) == WHOLE


async def test_names_that_a_directory_cannot_hold_do_not_keep_a_job_from_being_undone(
    quick_path: Path,
) -> None:
    store = store_of({"in/a": b"a", "in/../b": b"b"})
    lab = Lab(str(quick_path), {"b": store})
    await lab.planned(Verb.MOVE, "s3://b/in/", f"{quick_path}/target/")
    tally = await lab.apply()
    assert (tally.done, tally.failed) == (1, 1)
    tally = await lab.undo()
    assert (tally.done, tally.failed) == (1, 0)
    assert contents(store) == {"in/a": b"a", "in/../b": b"b"}


async def test_the_survey_tells_kinds_and_the_first_of_each_reason(quick_path: Path) -> None:
    objects = {f"in/{number:02}": b"x" for number in range(25)}
    lab, _, _ = await lab_of(quick_path, objects, Verb.DELETE)
    await lab.apply()
    survey = conduct.survey_undo(lab.folder)
    assert len(survey.samples["the bucket keeps no versions"]) == 20
    assert survey.lines()[-1].endswith("and 5 more")


async def test_the_survey_tells_what_is_not_the_jobs(quick_path: Path) -> None:
    same = thing(b"a", 0)
    lab, store, _ = await lab_of(quick_path, {"in/a": same, "in/b": b"b"}, Verb.COPY)
    put_now(store, "out/a", same)
    await lab.apply()
    survey = conduct.survey_undo(lab.folder)
    assert survey.kinds["left as they are: they were there before the job"] == 1
    assert survey.kinds["copies to delete"] == 1
    await lab.undo()
    assert things(store)["out/a"] == same


async def test_nothing_to_undo_is_said(quick_path: Path) -> None:
    lab, _, _ = await lab_of(quick_path, OBJECTS)
    lab.stopped = lambda: True
    await lab.apply()
    assert conduct.survey_undo(lab.folder).lines() == ["nothing to undo"]
