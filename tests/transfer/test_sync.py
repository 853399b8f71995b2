from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haulyard.config import Settings
from haulyard.errors import AccessDenied, ConfigError, NotFound, S3NotFound, StoreError, TransferError
from haulyard.events import Warned
from haulyard.models import ListPage, ObjectInfo
from haulyard.s3.credentials import Credentials
from haulyard.stores.assemble import Connection
from haulyard.stores.base import LIST
from haulyard.stores.local import LocalStore
from haulyard.stores.memory import MemoryStore
from haulyard.transfer.compare import SyncRules
from haulyard.transfer.filters import ACCEPT_ALL, Filter, Pattern
from haulyard.transfer.items import Job, Summary
from haulyard.transfer.merge import Disordered
from haulyard.transfer.sync import SyncPlan

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable

    from haulyard.events import Event
    from haulyard.models import ListOptions
    from haulyard.transfer.items import Item

pytestmark = pytest.mark.anyio

OLD = datetime(2024, 1, 1, tzinfo=UTC)
NEW = OLD + timedelta(hours=1)


class Listed(MemoryStore):
    """Lists given objects, in its own order, and fails if told to.

    ``order`` is ``bytes``; ``tree`` (of SeaweedFS: each directory by its names) or ``reverse``.
    """

    def __init__(
        self,
        objects: dict[str, tuple[int, datetime]] | None = None,
        *,
        ordered: bool | None = True,
        order: str = "bytes",
        fails_after: int = -1,
        page_size: int = 3,
    ) -> None:
        super().__init__()
        self.objects = objects or {}
        self.capabilities = replace(self.capabilities, ordered_listing=ordered)
        self._order = order
        self._fails_after = fails_after
        self._page_size = page_size

    async def list(self, prefix: str = "", options: ListOptions = LIST) -> AsyncIterator[ListPage]:
        keys = sorted(key for key in self.objects if key.startswith(prefix))
        if self._order == "tree":
            keys.sort(key=lambda key: key.split("/"))
        elif self._order == "reverse":
            keys.reverse()
        for number, start in enumerate(range(0, len(keys) + 1, self._page_size)):
            if number == self._fails_after:
                raise AccessDenied("the listing was cut off")
            chosen = keys[start : start + self._page_size]
            yield ListPage([ObjectInfo(key, *self.objects[key]) for key in chosen], [])


def store_of(*keys: str, modified: datetime = OLD, **options: Any) -> Listed:
    return Listed({key: (0 if key.endswith("/") else 1, modified) for key in keys}, **options)


DONE = Summary()


async def planned(plan: SyncPlan, copied: Summary = DONE) -> tuple[dict[str, str], list[str]]:
    """What to copy, and what to delete."""
    async with plan:
        jobs = [job async for page in plan.jobs() for job in page]
        deletions = [item.key for page in plan.deletions(copied) for item in page]
    return {job.item.key: job.destination for job in jobs}, deletions


def ways(source: dict[str, Any], destination: dict[str, Any]) -> list[tuple[Listed, Listed]]:
    """Both trees, so that they are merged and so that they are compared on disk."""
    return [
        (Listed(source), Listed(destination)),
        (Listed(source, ordered=None, order="tree"), Listed(destination)),
        (Listed(source), Listed(destination, ordered=False, order="tree")),
        (Listed(source, ordered=False, order="reverse"), Listed(destination, ordered=None, order="reverse")),
    ]


DELETE = SyncRules(delete=True)


async def test_listings_are_merged_only_where_both_are_proved_to_be_in_order() -> None:
    merges = []
    for ordered in (True, None, False):
        for other in (True, None, False):
            plan = SyncPlan(store_of(ordered=ordered), "", store_of(ordered=other), "")
            merges.append(plan.merges)
            await plan.close()
    assert merges == [True] + [False] * 8


names = st.text("ab/-.0\u00e9\U0001f600", min_size=1, max_size=4).filter(lambda name: not name.endswith("/"))
trees = st.dictionaries(names, st.tuples(st.integers(0, 2), st.sampled_from([OLD, NEW])), max_size=25)


@given(source=trees, destination=trees)
@settings(max_examples=150)
async def test_however_the_sides_list_the_plan_is_the_same(
    source: dict[str, tuple[int, datetime]], destination: dict[str, tuple[int, datetime]]
) -> None:
    expected = {
        key
        for key, (size, modified) in source.items()
        if key not in destination or size != destination[key][0] or modified > destination[key][1]
    }
    extra = sorted(set(destination) - set(source), key=lambda key: key.encode())
    for one, other in ways(source, destination):
        plan = SyncPlan(one, "", other, "", SyncRules(delete=bool(source)))
        copies, deletions = await planned(plan)
        assert copies == {key: key for key in expected}
        assert deletions == (extra if source else [])
        assert plan.counts.copies == len(expected)
        assert plan.counts.skipped == len(source) - len(expected)
        assert plan.counts.deletions == len(deletions)
        assert (plan.counts.source, plan.counts.destination) == (len(source), len(destination))
        assert sum(plan.counts.reasons.values()) == len(source)


async def test_prefixes_are_trees_with_or_without_their_slash() -> None:
    source = store_of("in/a", "in/b/c", "in2/x", "in")
    for prefix in ("in", "in/"):
        for target in ("out", "out/"):
            copies, _ = await planned(SyncPlan(source, prefix, store_of(), target))
            assert copies == {"in/a": "out/a", "in/b/c": "out/b/c"}


async def test_a_page_of_nothing_but_the_unchanged_is_not_told() -> None:
    source, destination = store_of("a", "b", "c", "d"), store_of("a", "b", "c")
    async with SyncPlan(source, "", destination, "") as plan:
        pages = [[job.destination for job in page] async for page in plan.jobs()]
    assert pages == [["d"]]
    assert plan.counts.reasons == {"unchanged": 3, "missing in the destination": 1}
    assert plan.counts.copy_bytes == 1


async def test_without_delete_nothing_is_deleted() -> None:
    for one, other in ways({"a": (1, OLD)}, {"b": (1, OLD)}):
        assert await planned(SyncPlan(one, "", other, "")) == ({"a": "a"}, [])


async def test_the_excluded_is_neither_copied_nor_deleted() -> None:
    filters = Filter([Pattern(False, "*.tmp"), Pattern(False, "keep/*")])
    here = {"in/a": (1, OLD), "in/b.tmp": (1, OLD)}
    there = {"out/c": (1, OLD), "out/d.tmp": (1, OLD), "out/keep/x": (1, OLD)}
    for one, other in ways(here, there):
        plan = SyncPlan(one, "in", other, "out", DELETE, filters)
        assert await planned(plan) == ({"in/a": "out/a"}, ["out/c"])


@pytest.mark.parametrize("ordered", [True, None])
@pytest.mark.parametrize("side", ["source", "destination"])
@pytest.mark.parametrize("fails_after", [0, 1, 2])
async def test_a_listing_that_failed_never_leads_to_deletions(
    side: str, fails_after: int, *, ordered: bool | None
) -> None:
    keys = [f"{number}" for number in range(9)]
    failing: dict[str, Any] = {"fails_after": fails_after}
    source = store_of(*keys[:6], ordered=ordered, **(failing if side == "source" else {}))
    destination = store_of(*keys[3:], ordered=ordered, **(failing if side == "destination" else {}))
    async with SyncPlan(source, "", destination, "", DELETE) as plan:
        with pytest.raises(AccessDenied, match="cut off"):
            [page async for page in plan.jobs()]
        with pytest.raises(TransferError, match="nothing was deleted"):
            plan.deletions()


async def test_a_plan_that_was_not_read_to_its_end_deletes_nothing() -> None:
    async with SyncPlan(store_of(*"abcdef"), "", store_of("x"), "", DELETE) as plan:
        assert await anext(plan.jobs())
        with pytest.raises(TransferError, match="did not get to the end"):
            plan.deletions()


async def test_after_a_failed_copy_nothing_is_deleted() -> None:
    with pytest.raises(TransferError, match="2 objects were not copied: nothing was deleted") as caught:
        await planned(SyncPlan(store_of("a"), "", store_of("b"), "", DELETE), Summary(failed=2))
    assert caught.value.failed == 2


async def test_a_failed_copy_is_no_matter_where_there_is_nothing_to_delete() -> None:
    assert await planned(SyncPlan(store_of("a"), "", store_of(), "", DELETE), Summary(failed=2)) == (
        {"a": "a"},
        [],
    )


async def test_after_an_interruption_nothing_is_deleted() -> None:
    with pytest.raises(TransferError, match="did not get to the end: nothing was deleted"):
        await planned(SyncPlan(store_of("a"), "", store_of("b"), "", DELETE), Summary(interrupted=True))


@pytest.mark.parametrize("ordered", [True, None])
async def test_more_than_max_delete_deletes_nothing(*, ordered: bool | None) -> None:
    def plan(limit: int) -> SyncPlan:
        rules = SyncRules(delete=True, max_delete=limit)
        return SyncPlan(store_of("a", ordered=ordered), "", store_of("b", "c"), "", rules)

    assert await planned(plan(2)) == ({"a": "a"}, ["b", "c"])
    with pytest.raises(TransferError, match="2 objects would be deleted, more than --max-delete 1"):
        await planned(plan(1))
    with pytest.raises(TransferError, match="more than --max-delete 0"):
        await planned(plan(0))


@pytest.mark.parametrize("ordered", [True, None])
@pytest.mark.parametrize(
    ("source", "filters"),
    [
        (("elsewhere/a",), ACCEPT_ALL),
        (("in/a.tmp",), Filter([Pattern(False, "*.tmp")])),
        (("in/",), ACCEPT_ALL),
    ],
)
async def test_an_empty_source_with_delete_is_refused(
    source: tuple[str, ...], filters: Filter, *, ordered: bool | None
) -> None:
    plan = SyncPlan(store_of(*source, ordered=ordered), "in", store_of("out/a"), "out", DELETE, filters)
    async with plan:
        with pytest.raises(
            NotFound, match=r"nothing to sync under memory://memory/in/: --delete would empty"
        ):
            [page async for page in plan.jobs()]
        with pytest.raises(TransferError):
            plan.deletions()


async def test_an_empty_source_without_delete_is_told() -> None:
    events: list[Event] = []
    assert await planned(SyncPlan(store_of(), "in", store_of("a"), "", emit=events.append)) == ({}, [])
    assert events == [
        Warned("there is nothing to sync under memory://memory/in/", hint="check the source and the filters")
    ]


async def test_a_missing_source_is_not_found(tmp_path: Path) -> None:
    source = LocalStore(tmp_path / "missing")
    for rules in (SyncRules(), DELETE):
        with pytest.raises(NotFound, match="missing"):
            await planned(SyncPlan(source, "", store_of("a"), "", rules))


async def test_a_local_destination_that_is_missing_is_empty(tmp_path: Path) -> None:
    for ordered in (True, None):
        destination = LocalStore(tmp_path / "missing")
        plan = SyncPlan(store_of("a", ordered=ordered), "", destination, "", DELETE)
        assert await planned(plan) == ({"a": "a"}, [])


async def test_a_bucket_that_is_missing_is_not_found() -> None:
    class Missing(Listed):
        async def list(self, prefix: str = "", options: ListOptions = LIST) -> AsyncIterator[ListPage]:
            if prefix:
                raise S3NotFound("no such bucket", code="NoSuchBucket")
            yield ListPage([], [])

    with pytest.raises(S3NotFound):
        await planned(SyncPlan(store_of("a"), "", Missing(), "out"))


async def test_a_broken_promise_of_order_ends_the_plan_and_deletes_nothing() -> None:
    source = store_of("a/b", "a-b", "a.txt", order="tree")
    async with SyncPlan(source, "", store_of("z"), "", DELETE) as plan:
        with pytest.raises(Disordered):
            [page async for page in plan.jobs()]
        with pytest.raises(TransferError):
            plan.deletions()


async def test_contents_decide_where_they_are_asked_for() -> None:
    source, destination = MemoryStore(), MemoryStore()
    for store, contents in ((source, b"x"), (destination, b"y")):
        await store.put("same", b"same")
        await store.put("other", contents)
    plan = SyncPlan(source, "", destination, "", SyncRules(checksum=True))
    assert await planned(plan) == ({"other": "other"}, [])
    assert plan.counts.reasons == {"contents differ": 1, "unchanged": 1}


async def test_contents_that_cannot_be_compared_are_copied() -> None:
    async def compare(source: Item, destination: Item) -> bool:
        raise StoreError("no")

    plan = SyncPlan(store_of("a"), "", store_of("a"), "", SyncRules(checksum=True), same_content=compare)
    assert await planned(plan) == ({"a": "a"}, [])
    assert plan.counts.reasons == {"contents could not be compared": 1}


async def test_a_tree_is_not_synced_with_itself() -> None:
    store = store_of("in/a")
    with pytest.raises(ConfigError, match="memory://memory/in/ is both source and destination"):
        SyncPlan(store, "in", store, "in/")


@pytest.mark.parametrize("ordered", [True, None])
async def test_a_tree_under_the_other_takes_no_part(*, ordered: bool | None) -> None:
    store = store_of("a", "backup/b", "backup/old", "b", modified=NEW, ordered=ordered)
    assert await planned(SyncPlan(store, "", store, "backup", DELETE)) == ({"a": "backup/a"}, ["backup/old"])
    # The other way round: what is synced from must not be deleted as unknown.
    assert await planned(SyncPlan(store, "backup", store, "", DELETE)) == ({"backup/old": "old"}, ["a"])


async def test_markers_of_directories_are_objects_where_both_sides_can_hold_them() -> None:
    source, destination = store_of("in/", "in/a/", "in/a/x"), store_of("out/", "out/b/")
    assert await planned(SyncPlan(source, "in", destination, "out", DELETE)) == (
        {"in/a/": "out/a/", "in/a/x": "out/a/x"},
        ["out/b/"],
    )


async def test_markers_of_directories_take_no_part_elsewhere() -> None:
    source, destination = store_of("in/", "in/a/", "in/a/x"), store_of("out/", "out/b/")
    rules = SyncRules(delete=True, keep_markers=False)
    assert await planned(SyncPlan(source, "in", destination, "out", rules)) == ({"in/a/x": "out/a/x"}, [])


async def test_other_pages_take_the_place_of_the_source_s_listing() -> None:
    async def pages() -> AsyncGenerator[list[ObjectInfo]]:
        yield [ObjectInfo("in/b", 1, OLD), ObjectInfo("in/a", 2, OLD), ObjectInfo("in/c", 1, OLD)]

    destination = store_of("out/a", "out/b", "out/z")
    plan = SyncPlan(store_of("in/unlisted"), "in", destination, "out", source_pages=pages())
    assert not plan.merges
    assert await planned(plan) == ({"in/a": "out/a", "in/c": "out/c"}, [])
    with pytest.raises(ConfigError, match="--delete with --manifest"):
        SyncPlan(store_of(), "in", destination, "out", DELETE, source_pages=pages())


async def test_jobs_carry_what_the_listing_said() -> None:
    async with SyncPlan(store_of("in/a"), "in", store_of(), "out") as plan:
        ((job,),) = [page async for page in plan.jobs()]
    assert job == Job(job.item, "out/a")
    assert (job.item.key, job.item.size, job.item.modified) == ("in/a", 1, OLD.timestamp())


async def test_closing_twice_and_before_the_start_is_harmless() -> None:
    plan = SyncPlan(store_of("a"), "", store_of(ordered=None), "")
    await plan.close()
    await plan.close()
    assert [page async for page in plan.jobs()] == []


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
@pytest.mark.parametrize("way", ["merged", "on-disk"])
def test_memory_does_not_grow_with_the_number_of_keys(way: str) -> None:
    # As many copies as deletions, 200,000 each; the cache of the table on disk is 16 MiB, the keys alone
    # would be 80. Not traced for coverage, which would take minutes.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    script = str(Path(__file__).with_name("many_keys.py"))
    run = subprocess.run(
        [sys.executable, script, way],
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert int(run.stdout) < 40


async def test_a_store_that_sorts_its_own_way_is_in_sync_after_a_sync(
    seaweedfs: Any, bucket_name: Callable[[], str], tmp_path: Path
) -> None:
    names = ["a/b", "a-b", "a.txt", "a0", "z/y/x", "caf\u00e9/\U0001f600"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    source, bucket = LocalStore(tmp_path), bucket_name()
    settings = Settings(endpoint_url=seaweedfs.endpoint_url, region=seaweedfs.region)
    credentials = Credentials(seaweedfs.access_key, seaweedfs.secret_key)
    async with Connection(settings, credentials=credentials) as connection:
        await connection.client.create_bucket(bucket)
        unproved, proved = connection.bucket(bucket), await connection.proved(bucket)
        for store, prefix in ((unproved, "one/"), (proved, "two/")):
            copies, _ = await planned(SyncPlan(source, "", store, prefix, DELETE))
            assert copies == {name: prefix + name for name in names}
            for key in (*copies.values(), prefix + "a/extra"):
                await store.put(key, key.removeprefix(prefix).encode())
            for rules in (DELETE, replace(DELETE, checksum=True)):
                plan = SyncPlan(source, "", store, prefix, rules)
                assert await planned(plan) == ({}, [prefix + "a/extra"])
            for rules in (SyncRules(size_only=True), SyncRules(checksum=True)):
                plan = SyncPlan(store, prefix, source, "", rules)
                assert await planned(plan) == ({prefix + "a/extra": "a/extra"}, [])
        assert proved.capabilities.ordered_listing is False
