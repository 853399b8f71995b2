"""The table of `haulyard.jobs.applying.copying`, row by row, and what may happen between two calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.jobs.applying.lab import Lab, Thing, able, contents, put_now, store_of, thing, things
from tests.jobs.applying.meddling import CARELESS, UNPROVED, CarelessStore, MeddledStore

from haulyard.errors import IntegrityError, JobError, PreconditionFailed, S3ServerError
from haulyard.jobs.applying import verification
from haulyard.jobs.applying.copied import suffixed
from haulyard.jobs.applying.copying import Copying
from haulyard.jobs.applying.options import ApplyOptions
from haulyard.jobs.applying.preflight import check_apart
from haulyard.jobs.applying.wanted import Wishes
from haulyard.jobs.ends import Ends
from haulyard.jobs.model import Operation, Verb
from haulyard.jobs.rules import Changes
from haulyard.stores.memory_state import Versions
from haulyard.transfer.mapping import Target
from haulyard.transfer.selection import select

if TYPE_CHECKING:
    from pathlib import Path

    from haulyard.stores.memory import MemoryStore

pytestmark = pytest.mark.anyio

ABILITIES = [
    pytest.param(MeddledStore, {}, id="conditions"),
    pytest.param(CarelessStore, CARELESS, id="ignored"),
    pytest.param(MeddledStore, UNPROVED, id="unproved"),
]


async def moving(
    path: Path, objects: dict[str, Any], kind: type[MeddledStore] = MeddledStore, **capabilities: Any
) -> tuple[Lab, MeddledStore]:
    """Plan to move ``in/`` to ``out/``."""
    store = able(store_of(objects, kind=kind), **capabilities)
    assert isinstance(store, MeddledStore)
    lab = Lab(str(path), {"b": store})
    await lab.planned(Verb.MOVE, "s3://b/in/", "s3://b/out/")
    return lab, store


def lose_metadata(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every store forget what it is told of metadata."""
    add = Versions.add

    def add_without(self: Versions, key: str, *rest: Any) -> Any:
        head = add(self, key, *rest)
        version = self.current(key)
        assert version is not None
        version.head = version.head._replace(metadata={})
        return head

    monkeypatch.setattr(Versions, "add", add_without)


@pytest.mark.parametrize(("kind", "capabilities"), ABILITIES)
async def test_what_appears_after_the_plan_is_kept_and_reported(
    quick_path: Path, kind: type[MeddledStore], capabilities: dict[str, Any]
) -> None:
    lab, store = await moving(quick_path, {"in/a": b"a", "in/b": b"b"}, kind, **capabilities)
    put_now(store, "out/a", b"other")
    tally = await lab.apply()
    assert (tally.done, tally.failed) == (1, 1)
    assert contents(store) == {"in/a": b"a", "out/a": b"other", "out/b": b"b"}
    assert lab.errors() == {"in/a": "Conflict"}


@pytest.mark.parametrize(("kind", "capabilities"), ABILITIES)
async def test_what_appears_after_the_plan_and_is_alike_is_taken_for_the_copy(
    quick_path: Path, kind: type[MeddledStore], capabilities: dict[str, Any]
) -> None:
    lab, store = await moving(quick_path, {"in/a": b"a"}, kind, **capabilities)
    put_now(store, "out/a", thing(b"a"))
    await lab.apply()
    assert things(store) == {"out/a": thing(b"a")}
    assert lab.details("in/a")["made"] is False


@pytest.mark.parametrize(
    "other",
    [
        thing(b"a")._replace(metadata={}),
        thing(b"a")._replace(tags={}),
        thing(b"a")._replace(content_type="text/other"),
    ],
)
async def test_what_has_the_content_but_not_the_properties_is_not_the_copy(
    quick_path: Path, other: Thing
) -> None:
    lab, store = await moving(quick_path, {"in/a": b"a"})
    put_now(store, "out/a", other)
    await lab.apply()
    assert things(store) == {"in/a": thing(b"a"), "out/a": other}
    assert lab.errors() == {"in/a": "Conflict"}


async def test_what_was_there_with_the_content_but_without_the_properties_is_not_the_copy(
    quick_path: Path,
) -> None:
    bare = thing(b"a")._replace(metadata={})
    lab, store = await moving(quick_path, {"in/a": b"a", "out/a": bare})
    await lab.apply()
    assert things(store) == {"in/a": thing(b"a"), "out/a": bare}
    assert lab.errors() == {"in/a": "Conflict"}


@pytest.mark.parametrize(("kind", "capabilities"), ABILITIES)
@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("fail", {"in/a": b"a", "out/a": b"old"}),
        ("skip", {"in/a": b"a", "out/a": b"old"}),
        ("overwrite", {"out/a": b"a"}),
        ("suffix", {"out/a": b"old", "out/a-1": b"a"}),
    ],
)
async def test_what_was_there_is_dealt_with_as_was_decided(
    quick_path: Path,
    policy: str,
    expected: dict[str, bytes],
    kind: type[MeddledStore],
    capabilities: dict[str, Any],
) -> None:
    lab, store = await moving(quick_path, {"in/a": b"a", "out/a": b"old"}, kind, **capabilities)
    await lab.apply(policy)
    assert contents(store) == expected


@pytest.mark.parametrize(("kind", "capabilities"), ABILITIES)
async def test_nothing_is_overwritten_but_what_was_planned(
    quick_path: Path, kind: type[MeddledStore], capabilities: dict[str, Any]
) -> None:
    lab, store = await moving(quick_path, {"in/a": b"a", "out/a": b"old"}, kind, **capabilities)
    put_now(store, "out/a", b"newer than the plan")
    await lab.apply("overwrite")
    assert contents(store) == {"in/a": b"a", "out/a": b"newer than the plan"}


async def test_nothing_is_overwritten_that_appears_between_the_look_and_the_write(quick_path: Path) -> None:
    lab, store = await moving(quick_path, {"in/a": b"a", "out/a": b"old"})

    def meddle(name: str, key: str) -> None:
        if (name, key) == ("copy", "out/a"):
            put_now(store, "out/a", b"at the last moment")

    store.before = meddle
    await lab.apply("overwrite")
    assert contents(store) == {"in/a": b"a", "out/a": b"at the last moment"}


async def test_suffixes_pass_over_names_that_are_taken(quick_path: Path) -> None:
    lab, store = await moving(
        quick_path, {"in/a.tar.gz": b"a", "out/a.tar.gz": b"old", "out/a-1.tar.gz": b"a"}
    )
    await lab.apply("suffix")
    assert contents(store) == {"out/a.tar.gz": b"old", "out/a-1.tar.gz": b"a", "out/a-2.tar.gz": b"a"}


@pytest.mark.parametrize(
    ("key", "expected"),
    [("d/a.b.c", "d/a-1.b.c"), ("a", "a-1"), ("d.e/.hidden", "d.e/.hidden-1"), ("d/", "d/-1")],
)
def test_a_suffix_comes_before_the_extension(key: str, expected: str) -> None:
    assert suffixed(key, 1) == expected
    assert suffixed(key, 0) == key


@pytest.mark.parametrize(("kind", "capabilities"), ABILITIES)
async def test_a_source_that_changed_since_the_plan_is_kept(
    quick_path: Path, kind: type[MeddledStore], capabilities: dict[str, Any]
) -> None:
    lab, store = await moving(quick_path, {"in/a": b"a", "in/b": b"b"}, kind, **capabilities)
    put_now(store, "in/a", b"A")
    await lab.apply()
    assert contents(store) == {"in/a": b"A", "out/b": b"b"}
    assert lab.errors() == {"in/a": "SourceChanged"}


@pytest.mark.parametrize(("kind", "capabilities"), ABILITIES)
@pytest.mark.parametrize("moment", ["copy", "delete"])
async def test_a_source_that_changes_while_it_is_moved_is_kept(
    quick_path: Path, kind: type[MeddledStore], capabilities: dict[str, Any], moment: str
) -> None:
    lab, store = await moving(quick_path, {"in/a": b"a"}, kind, **capabilities)

    def meddle(name: str, key: str) -> None:
        # Before the copy, or once it is verified.
        if moment == "copy" and name == "copy":
            put_now(store, "in/a", b"A")

    def meddle_after(name: str, key: str) -> None:
        if moment == "delete" and (name, key) == ("head", "out/a") and "out/a" in contents(store):
            put_now(store, "in/a", b"A")

    store.before, store.after = meddle, meddle_after
    tally = await lab.apply()
    assert tally.failed == 1
    assert contents(store)["in/a"] == b"A"
    assert lab.phases() == {"in/a": "failed"}


async def test_what_is_no_copy_is_removed_again_and_the_source_stays(
    quick_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab, store = await moving(quick_path, {"in/a": b"a"})
    lose_metadata(monkeypatch)
    await lab.apply()
    assert contents(store) == {"in/a": b"a"}
    assert lab.errors() == {"in/a": "IntegrityError"}


@pytest.mark.parametrize("other", [b"X", b"of another size"])
async def test_what_replaces_a_copy_before_it_is_verified_is_not_removed_as_a_bad_copy(
    quick_path: Path, other: bytes
) -> None:
    lab, store = await moving(quick_path, {"in/a": b"a"})

    def replace_copy(name: str, key: str) -> None:
        if name == "copy" and key == "out/a":
            put_now(store, "out/a", other)

    store.after = replace_copy
    tally = await lab.apply()
    assert (tally.done, tally.failed) == (0, 1)
    assert contents(store) == {"in/a": b"a", "out/a": other}


async def test_what_replaces_a_copy_is_read_where_its_etag_tells_nothing(
    quick_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A source in parts: equal sizes alone would take the other object for the copy."""
    lab, store = await moving(quick_path, {"in/a": b"a"})
    monkeypatch.setattr(verification, "compare", lambda *_: None)
    monkeypatch.setattr(verification, "etags_differ", lambda *_: False)

    def replace_copy(name: str, key: str) -> None:
        if name == "copy" and key == "out/a":
            put_now(store, "out/a", b"X")

    store.after = replace_copy
    await lab.apply()
    assert contents(store) == {"in/a": b"a", "out/a": b"X"}


async def test_properties_that_a_store_loses_keep_the_source_however_often_it_is_tried(
    quick_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The copy that the first try left must not be taken for one by the second."""
    lab, store = await moving(quick_path, {"in/a": b"a"}, CarelessStore, **CARELESS)
    lose_metadata(monkeypatch)
    for _ in range(3):
        await lab.apply()
        assert contents(store)["in/a"] == b"a"
    assert lab.phases() == {"in/a": "failed"}


async def test_properties_changed_in_place_are_never_taken_back_by_deleting_the_object(
    quick_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = store_of({"in/a": b"a"}, kind=MeddledStore)
    lab = Lab(str(quick_path), {"b": store})
    rules = """
        [[rule]]
        match = '^(?P<key>in/.*)'
        to = "{key}"
        metadata = { new = "yes" }
    """
    await lab.planned(Verb.MOVE, "s3://b/", "s3://b/", rules)
    lose_metadata(monkeypatch)
    await lab.apply()
    assert contents(store) == {"in/a": b"a"}
    assert lab.errors() == {"in/a": "IntegrityError"}


async def test_objects_over_the_limit_are_copied_by_parts_with_all_they_have(quick_path: Path) -> None:
    large = thing(bytes(range(100)), 3)
    store = able(
        store_of({"in/a": large, "in/b": b"small"}, kind=MeddledStore, min_part_size=8),
        max_put_size=16,
        max_part_size=16,
    )
    await store.set_acl("in/a", "public-read")
    acl = await store.get_acl("in/a")
    assert isinstance(store, MeddledStore)
    lab = Lab(str(quick_path), {"b": store})
    await lab.planned(Verb.MOVE, "s3://b/in/", "s3://b/out/", properties={"acl": "keep"})
    await lab.apply()
    assert things(store) == {"out/a": large, "out/b": thing(b"small", 1)}
    assert await store.get_acl("out/a") == acl
    assert [name for name, _ in store.calls].count("copy_part") == 7
    assert store._uploads == {}


async def test_an_acl_that_is_kept_is_set_although_the_run_ended_before_it(quick_path: Path) -> None:
    store = store_of({"in/a": b"a"}, kind=MeddledStore)
    await store.set_acl("in/a", "public-read")
    acl = await store.get_acl("in/a")
    assert isinstance(store, MeddledStore)
    lab = Lab(str(quick_path), {"b": store})
    await lab.planned(Verb.MOVE, "s3://b/in/", "s3://b/out/", properties={"acl": "keep"})

    def fail(name: str, key: str) -> None:
        if name == "set_acl":
            raise S3ServerError("once", status=500)

    store.before = fail
    await lab.apply()
    assert contents(store) == {"in/a": b"a", "out/a": b"a"}
    store.before = lambda _name, _key: None
    await lab.apply()
    assert contents(store) == {"out/a": b"a"}
    assert await store.get_acl("out/a") == acl


class Other(MeddledStore):
    """A second way to the same objects."""

    def __init__(self, first: MemoryStore) -> None:
        super().__init__(first.bucket)
        self._versions = first._versions
        self.name = first.name
        self.service = first.service


async def test_one_bucket_reached_in_two_ways_is_refused_before_anything_is_done(quick_path: Path) -> None:

    first = store_of({"in/a": b"a"}, kind=MeddledStore)
    second = Other(first)
    with pytest.raises(JobError, match="one bucket"):
        await check_apart(Ends(first, select(""), second, Target.parse("out/")), lambda _event: None)
    assert contents(first) == {"in/a": b"a"}
    namesake = store_of({})
    await check_apart(Ends(first, select(""), namesake, Target.parse("out/")), lambda _event: None)
    assert contents(namesake) == {}


@pytest.mark.parametrize("capabilities", [{}, CARELESS], ids=["conditions", "ignored"])
async def test_a_move_onto_itself_in_two_ways_does_nothing(
    quick_path: Path, capabilities: dict[str, Any]
) -> None:
    """Also where the plan was made before anybody saw that it is one bucket."""
    kind = CarelessStore if capabilities else MeddledStore
    first = able(store_of({"a": b"a"}, kind=kind), **capabilities)
    second = able(Other(first), **capabilities)
    ends = Ends(first, select(""), second, Target("", into=True))
    copying = Copying(ends, Wishes(ends, None, Changes()), ApplyOptions(), lambda _event: None, begun=0.0)
    etag = (await first.head("a")).etag
    operation = Operation(1, 0, 0, "a", "", 1, 0.0, etag, "STANDARD", "a")
    for in_doubt in (False, True):
        with pytest.raises(IntegrityError, match="its own destination"):
            await copying(operation, in_doubt=in_doubt)
    assert contents(first) == {"a": b"a"}


async def test_names_with_suffixes_that_are_planned_are_never_taken_for_ours(quick_path: Path) -> None:
    """Undoing would delete them, as the copies of two objects."""
    rules = """
        [[rule]]
        match = '^in/(?P<name>[ab])$'
        to = "out/x"
        [[rule]]
        match = '^in/c$'
        to = "out/x-1"
        [fallback]
        action = "skip"
    """
    same = thing(b"same")
    store = store_of({"in/a": b"a", "in/b": same, "in/c": same}, kind=MeddledStore)
    assert isinstance(store, MeddledStore)
    lab = Lab(str(quick_path), {"b": store})
    await lab.planned(Verb.MOVE, "s3://b/", "s3://b/", rules)

    def fail(name: str, key: str) -> None:
        if (name, key) == ("copy", "out/x-2"):
            raise S3ServerError("once", status=500)

    store.before = fail
    await lab.apply("suffix")
    store.before = lambda _name, _key: None
    await lab.apply("suffix")
    assert things(store) == {"out/x": thing(b"a"), "out/x-1": same, "out/x-2": same}
    await lab.undo()
    assert things(store) == {"in/a": thing(b"a"), "in/b": same, "in/c": same}


async def test_what_failed_does_not_replace_those_that_came_after_it(quick_path: Path) -> None:
    rules = """
        [[rule]]
        match = '^in/(?P<name>.)$'
        to = "out/x"
    """
    store = store_of({"in/a": b"a", "in/b": b"b"}, kind=MeddledStore)
    assert isinstance(store, MeddledStore)
    lab = Lab(str(quick_path), {"b": store})
    await lab.planned(Verb.MOVE, "s3://b/", "s3://b/", rules)

    def fail(name: str, key: str) -> None:
        if (name, key) == ("head", "in/a"):
            raise S3ServerError("for a while", status=500)

    store.before = fail
    await lab.apply("overwrite")
    store.before = lambda _name, _key: None
    await lab.apply("overwrite")
    assert contents(store) == {"in/a": b"a", "out/x": b"b"}
    assert lab.phases() == {"in/a": "skipped", "in/b": "done"}


async def test_a_lost_condition_of_the_destination_is_not_the_sources(quick_path: Path) -> None:
    """Large objects: which condition did not hold has to be found out."""
    store = able(
        store_of({"in/a": bytes(100)}, kind=MeddledStore, min_part_size=8), max_put_size=16, max_part_size=16
    )
    assert isinstance(store, MeddledStore)
    lab = Lab(str(quick_path), {"b": store})
    await lab.planned(Verb.MOVE, "s3://b/in/", "s3://b/out/")

    def meddle(name: str, key: str) -> None:
        if name == "complete_multipart":
            put_now(store, "out/a", b"at the last moment")

    store.before = meddle
    await lab.apply()
    assert contents(store) == {"in/a": bytes(100), "out/a": b"at the last moment"}
    assert lab.errors() == {"in/a": "Conflict"}


async def test_a_condition_that_does_not_hold_for_no_reason_is_reported(quick_path: Path) -> None:
    lab, store = await moving(quick_path, {"in/a": b"a"})

    def refuse(name: str, key: str) -> None:
        if name == "copy":
            raise PreconditionFailed("no")

    store.before = refuse
    await lab.apply()
    assert contents(store) == {"in/a": b"a"}
    assert lab.errors() == {"in/a": "Conflict"}
