from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from haulyard.errors import ConfigError
from haulyard.stores.memory import MemoryStore
from haulyard.transfer.items import Item, Job
from haulyard.transfer.mapping import CopyRules, Mapping, Placement, Refusal, Target, location, map_jobs
from haulyard.transfer.scratch import Claims
from haulyard.transfer.selection import select, select_manifest
from haulyard.transfer.sources import Found, find

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from haulyard.transfer.selection import Selection

pytestmark = pytest.mark.anyio


async def store_of(*keys: str) -> MemoryStore:
    store = MemoryStore()
    for key in keys:
        await store.put(key, b"" if key.endswith("/") else b"x")
    return store


class Outcome:
    """The jobs and refusals of one or more selections."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []
        self.refusals: list[Refusal] = []

    async def add(
        self,
        source: MemoryStore,
        selection: Selection,
        destination: MemoryStore,
        target: str,
        rules: CopyRules | None = None,
        claims: Claims | None = None,
    ) -> Outcome:
        rules = rules or CopyRules()
        mapping = Mapping(selection, Target.parse(target), flatten=rules.flatten)
        placement = Placement(source, selection, destination, mapping, rules)
        pages = find(source, selection)
        self.jobs += [
            job async for page in map_jobs(pages, placement, self.refusals.append, claims) for job in page
        ]
        return self

    @property
    def moves(self) -> dict[str, str]:
        return {job.item.key: job.destination for job in self.jobs}


@pytest.mark.parametrize(
    ("selection", "target", "destination"),
    [
        (select("in/a/x"), "out/", "out/x"),
        (select("in/a/x"), "out", "out"),
        (select("in/a/x"), "", "x"),
        (select("in/a", recursive=True), "out/", "out/a/x"),
        (select("in/a", recursive=True), "out", "out/x"),
        (select("in/a", recursive=True), "", "a/x"),
        (select("in/a/"), "out/", "out/x"),
        (select("in/a/"), "out", "out/x"),
        (select("in/a/"), "", "x"),
        (select("", name="data", recursive=True), "out/", "out/data/x"),
        (select("in/a/*"), "out/", "out/x"),
        (select("in/a/*"), "", "x"),
        (select_manifest("in/a/"), "out/", "out/x"),
    ],
)
def test_the_destination_of_an_object(selection: Selection, target: str, destination: str) -> None:
    assert Mapping(selection, Target.parse(target)).key_of("x") == destination


@pytest.mark.parametrize("selection", [select("in/*"), select_manifest("in/")])
def test_what_may_be_several_needs_a_destination_that_ends_in_a_slash(selection: Selection) -> None:
    with pytest.raises(ConfigError, match="'out' is one name"):
        Mapping(selection, Target.parse("out"))


def test_several_sources_need_a_destination_that_ends_in_a_slash() -> None:
    with pytest.raises(ConfigError, match="'out' is one name"):
        Mapping(select("in/x"), Target.parse("out"), alone=False)
    assert Mapping(select("in/x"), Target.parse("out/"), alone=False).key_of("x") == "out/x"


def test_a_single_object_goes_into_a_directory_that_exists() -> None:
    assert Mapping(select("in/x"), Target("", into=True)).key_of("x") == "x"
    assert Mapping(select("in/x"), Target("out", into=True)).key_of("x") == "out/x"


def test_flatten_keeps_the_last_component_only() -> None:
    for selection in (select("in/", recursive=True), select("in/*"), select("in", recursive=True)):
        assert Mapping(selection, Target.parse("out/"), flatten=True).key_of("a/b/x") == "out/x"


async def test_a_tree_keeps_its_shape() -> None:
    source = await store_of("in/a/x", "in/a/b/y", "in/ab")
    outcome = await Outcome().add(source, select("in/a", recursive=True), MemoryStore(), "out/")
    assert outcome.moves == {"in/a/x": "out/a/x", "in/a/b/y": "out/a/b/y"}
    assert outcome.refusals == []


async def test_two_objects_that_would_become_one_fail_but_for_the_first() -> None:
    source = await store_of("in/a/x", "in/b/x", "in/c/y")
    with Claims() as claims:
        outcome = await Outcome().add(
            source, select("in/"), MemoryStore(), "out/", CopyRules(flatten=True), claims
        )
    assert outcome.moves == {"in/a/x": "out/x", "in/c/y": "out/y"}
    (refusal,) = outcome.refusals
    assert refusal.job.item.key == "in/b/x"
    assert "in/b/x would overwrite out/x, which memory://memory/in/a/x becomes" in str(refusal.error)


async def test_several_sources_share_their_claims() -> None:
    source = await store_of("a/x", "b/x")
    outcome = Outcome()
    with Claims() as claims:
        for key in ("a/", "b/"):
            await outcome.add(source, select(key), MemoryStore(), "out/", claims=claims)
    assert outcome.moves == {"a/x": "out/x"}
    assert outcome.refusals[0].error is not None


async def test_an_object_that_is_named_twice_is_left_out_the_second_time() -> None:
    source = await store_of("a/x")
    outcome = Outcome()
    with Claims() as claims:
        for _ in range(2):
            await outcome.add(source, select("a/x"), MemoryStore(), "out/", claims=claims)
    assert outcome.moves == {"a/x": "out/x"}
    assert outcome.refusals == [Refusal(Job(Item("a/x"), "out/x"), "was named before")]


async def test_two_versions_of_one_object_are_two_sources() -> None:
    async def versions() -> AsyncIterator[list[Found]]:
        yield [Found(Item("x", version_id=version), "x") for version in ("v1", "v2")]

    refusals: list[Refusal] = []
    source, selection = MemoryStore(), select_manifest("")
    placement = Placement(source, selection, MemoryStore(), Mapping(selection, Target.parse("")), CopyRules())
    with Claims() as claims:
        jobs = [
            job async for page in map_jobs(versions(), placement, refusals.append, claims) for job in page
        ]
    assert [job.item.version_id for job in jobs] == ["v1"]
    assert "x@v2 would overwrite x, which memory://memory/x@v1 becomes" in str(refusals[0].error)


async def test_an_object_is_not_copied_onto_itself() -> None:
    store = await store_of("in/x")
    for target in ("in/x", "in/"):
        outcome = await Outcome().add(store, select("in/x"), store, target)
        assert outcome.jobs == []
        assert "memory://memory/in/x is its own destination" in str(outcome.refusals[0].error)
    other = await Outcome().add(store, select("in/x"), MemoryStore(), "in/x")
    assert other.moves == {"in/x": "in/x"}


async def test_an_old_version_may_become_the_current_one() -> None:
    store, selection, refusals = MemoryStore(), select("x"), list[Refusal]()
    placement = Placement(store, selection, store, Mapping(selection, Target.parse("x")), CopyRules())
    pages = map_jobs(find(store, selection, version_id="v1"), placement, refusals.append)
    assert [job async for page in pages for job in page] == [Job(Item("x", version_id="v1"), "x")]


async def test_in_place_is_for_copies_that_change_properties() -> None:
    store = await store_of("in/x", "in/y")
    rules = CopyRules(in_place=True)
    assert (await Outcome().add(store, select("in/x"), store, "in/x", rules)).moves == {"in/x": "in/x"}
    assert (await Outcome().add(store, select("in/"), store, "in/", rules)).moves == {
        "in/x": "in/x",
        "in/y": "in/y",
    }


@pytest.mark.parametrize("rules", [CopyRules(), CopyRules(flatten=True, in_place=True)])
@pytest.mark.parametrize("key", ["in/", "in/*.gz"])
async def test_a_tree_is_not_copied_onto_itself(key: str, rules: CopyRules) -> None:
    store = await store_of("in/x.gz")
    with pytest.raises(ConfigError, match="memory://memory/in/ is both source and destination"):
        await Outcome().add(store, select(key), store, "in/", rules)


@pytest.mark.parametrize("key", ["in/", "in/*"])
async def test_what_lies_under_the_destination_is_not_its_own_source(key: str) -> None:
    store = await store_of("in/backup/x", "in/x")
    outcome = await Outcome().add(store, select(key), store, "in/backup/")
    assert outcome.moves == {"in/x": "in/backup/x"}
    assert [(each.job.item.key, each.reason, each.error) for each in outcome.refusals] == [
        ("in/backup/x", "lies under the destination already", None)
    ]


async def test_what_would_land_among_the_sources_fails() -> None:
    store = await store_of("top/sub/sub/y", "top/sub/x")
    outcome = await Outcome().add(store, select("top/sub/"), store, "top/")
    assert outcome.moves == {"top/sub/x": "top/x"}
    assert "lies among the sources" in str(outcome.refusals[0].error)
    assert outcome.refusals[0].job.destination == "top/sub/y"


async def test_markers_of_directories_are_copied_where_the_destination_can_hold_them() -> None:
    source = await store_of("in/", "in/a/", "in/a/x")
    outcome = await Outcome().add(source, select("in/"), MemoryStore(), "out/")
    assert outcome.moves == {"in/": "out/", "in/a/": "out/a/", "in/a/x": "out/a/x"}


@pytest.mark.parametrize("rules", [CopyRules(keep_markers=False), CopyRules(flatten=True)])
async def test_markers_of_directories_are_left_out_elsewhere(rules: CopyRules) -> None:
    source = await store_of("in/a/", "in/a/x")
    outcome = await Outcome().add(source, select("in/"), MemoryStore(), "out/", rules)
    assert list(outcome.moves) == ["in/a/x"]
    assert [(each.job.item.key, each.reason) for each in outcome.refusals] == [("in/a/", "marks a directory")]


async def test_the_marker_of_the_source_has_no_name_at_the_top_of_a_store() -> None:
    outcome = await Outcome().add(await store_of("in/", "in/x"), select("in/"), MemoryStore(), "")
    assert outcome.moves == {"in/x": "x"}
    assert outcome.refusals[0].reason == "marks a directory"


async def test_content_under_a_name_that_ends_in_a_slash_is_no_marker() -> None:
    source = MemoryStore()
    await source.put("in/a/", b"content")
    outcome = await Outcome().add(source, select("in/"), MemoryStore(), "out/", CopyRules(keep_markers=False))
    assert outcome.moves == {"in/a/": "out/a/"}


def test_locations_see_through_nested_directories() -> None:
    class Directory(MemoryStore):
        def __init__(self, path: str) -> None:
            super().__init__()
            self.identity = path

    assert location(Directory("/data"), "a/b") == location(Directory("/data/a"), "b")
    assert location(Directory("/data/a"), "x") != location(Directory("/data/ab"), "x")
    assert location(Directory("/"), "a") == "/a"


async def test_a_directory_inside_the_other_end_is_noticed() -> None:
    outer, inner = await store_of("backup/x", "x"), MemoryStore()
    outer.identity, inner.identity = "/data", "/data/backup"
    outcome = await Outcome().add(outer, select(""), inner, "")
    assert outcome.moves == {"x": "x"}
