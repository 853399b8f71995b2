from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from haulyard.errors import AccessDenied, ConfigError, JobError, NotFound, StoreError
from haulyard.events import ignore
from haulyard.jobs.ends import Ends
from haulyard.jobs.model import Action, Operation, Stage, Verb
from haulyard.jobs.planning import recording
from haulyard.jobs.planning.planner import make_plan
from haulyard.jobs.rules import Rules
from haulyard.jobs.specification import Specification
from haulyard.journal.building import ShardBuilder
from haulyard.journal.folder import JobFolder
from haulyard.models import ListOptions, ListPage, PutOptions
from haulyard.stores.base import LIST
from haulyard.stores.memory import MemoryStore
from haulyard.transfer import spread
from haulyard.transfer.mapping import Target
from haulyard.transfer.parts import MIB
from haulyard.transfer.selection import select, select_manifest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from haulyard.jobs.planning.summary import PlanSummary

pytestmark = pytest.mark.anyio

AnyStore = TypeVar("AnyStore", bound=MemoryStore)

RULES = r"""
[[rule]]
name = "logs"
match = '^in/log-(?P<day>\d+)\.gz$'
to = "logs/{day}.gz"

[[rule]]
name = "junk"
glob = "in/*.tmp"
skip = true
"""


class Pages(MemoryStore):
    """Pages of four keys; without ``ordered`` nothing promises that they are in order."""

    def __init__(self, *, ordered: bool | None = True) -> None:
        super().__init__("bucket")
        self.capabilities = replace(self.capabilities, ordered_listing=ordered)
        self.on_page: Callable[[], object] = lambda: None
        self.pages = 0

    async def list(self, prefix: str = "", options: ListOptions = LIST) -> AsyncIterator[ListPage]:
        async for page in super().list(prefix, replace(options, page_size=4)):
            self.pages += 1
            self.on_page()
            await asyncio.sleep(0)
            yield page


class Job:
    """A job of a folder, planned as often as is asked."""

    def __init__(self, directory: Path, store: MemoryStore, verb: Verb = Verb.COPY, **options: Any) -> None:
        given = {"source": "memory://bucket/in/", "destination": "memory://bucket/out/", "created": 1e9}
        self.specification = Specification(verb, **{**given, **options})
        self.store = store
        self.rules = Rules.parse(self.specification.rules) if self.specification.rules else None
        self.selection = select_manifest("in/") if self.specification.manifest else select("in/")
        self.target = Target.parse("out/")
        self.destination = store
        self.directory = directory
        self.folder = JobFolder.create(str(directory), "job", self.specification.to_json())

    async def plan(self, **options: Any) -> PlanSummary:
        ends = Ends(self.store, self.selection, self.destination, self.target)
        return await make_plan(
            self.folder, self.specification, self.rules, ends, **{"emit": ignore, "concurrency": 4, **options}
        )

    def rows(self) -> list[Operation]:
        found: list[Operation] = []
        for path in self.folder.shard_paths():
            with closing(sqlite3.connect(path)) as connection:
                found += map(Operation._make, connection.execute("SELECT * FROM op"))
        return found

    def actions(self) -> dict[str, Action]:
        return {row.key: Action(row.action) for row in self.rows()}

    def destinations(self) -> dict[str, str]:
        return {row.key: row.destination for row in self.rows()}

    def plain(self) -> list[tuple[Any, ...]]:
        """Return the rows in the order of their keys, without ids: what a plan says."""
        return sorted(tuple(row)[1:] for row in self.rows())

    def unmatched(self) -> list[str]:
        path = self.directory / "job" / "unmatched.txt"
        return sorted(path.read_text().splitlines()) if path.exists() else []


async def filled(store: AnyStore, count: int = 0, *keys: str) -> AnyStore:
    for key in (*(f"in/log-{number:03}.gz" for number in range(count)), *keys):
        await store.put(key, key.encode())
    return store


async def test_every_listed_object_has_a_row_that_says_what_becomes_of_it(tmp_path: Path) -> None:
    store = await filled(MemoryStore("bucket"), 3, "in/a.tmp", "in/other")
    job = Job(tmp_path, store, rules=RULES)
    summary = await job.plan()
    assert job.actions() == {
        "in/log-000.gz": Action.ACT,
        "in/log-001.gz": Action.ACT,
        "in/log-002.gz": Action.ACT,
        "in/a.tmp": Action.SKIPPED,
        "in/other": Action.UNMATCHED,
    }
    assert job.destinations()["in/log-001.gz"] == "out/logs/001.gz"
    head = await store.head("in/log-000.gz")
    row = next(each for each in job.rows() if each.key == "in/log-000.gz")
    assert head.last_modified is not None
    assert (row.size, row.etag, row.modified) == (13, head.etag, head.last_modified.timestamp())
    assert job.unmatched() == ["in/other"]
    assert summary.finished
    assert summary.objects == 5
    assert summary.unmatched_keys == ("in/other",)
    assert job.folder.read("state") is not None
    assert Stage((job.folder.read("state") or {})["stage"]) is Stage.PLANNED


async def test_without_rules_keys_map_as_in_cp(tmp_path: Path) -> None:
    store = await filled(MemoryStore("bucket"), 1, "in/a/b", "in/", "out/old")
    job = Job(tmp_path, store)
    await job.plan()
    assert job.destinations() == {"in/log-000.gz": "out/log-000.gz", "in/a/b": "out/a/b", "in/": "out/"}


async def test_what_lies_under_the_destination_already_is_left_alone(tmp_path: Path) -> None:
    store = await filled(MemoryStore("bucket"), 1, "in/out/log-000.gz")
    job = Job(tmp_path, store)
    job.target = Target.parse("in/out/")
    await job.plan()
    assert job.actions()["in/out/log-000.gz"] is Action.SKIPPED


async def test_a_tree_is_not_copied_onto_itself(tmp_path: Path) -> None:
    job = Job(tmp_path, await filled(MemoryStore("bucket"), 1))
    job.target = Target.parse("in/")
    with pytest.raises(ConfigError, match="both source and destination"):
        await job.plan()


async def test_filters_and_wildcards_choose(tmp_path: Path) -> None:
    store = await filled(MemoryStore("bucket"), 3, "in/a.tmp")
    job = Job(tmp_path, store, filters=((False, "*1.gz"),))
    job.selection = select("in/*.gz")
    await job.plan()
    assert sorted(job.actions()) == ["in/log-000.gz", "in/log-002.gz"]


async def test_a_single_object_is_described(tmp_path: Path) -> None:
    store = await filled(MemoryStore("bucket"), 2)
    job = Job(tmp_path, store)
    job.selection = select("in/log-001.gz")
    summary = await job.plan()
    assert job.destinations() == {"in/log-001.gz": "out/log-001.gz"}
    assert summary.asked == {"head": 1}


@pytest.mark.parametrize("key", ["in/", "in/*", "in/x"])
async def test_nothing_selected_is_not_found(tmp_path: Path, key: str) -> None:
    job = Job(tmp_path, MemoryStore("bucket"))
    job.selection = select(key)
    with pytest.raises(NotFound):
        await job.plan()
    assert job.rows() == []


class Nowhere(MemoryStore):
    """A bucket that is not there, or that may not be listed."""

    def __init__(self, error: StoreError) -> None:
        super().__init__("nowhere")
        self.error = error

    async def list(self, prefix: str = "", options: ListOptions = LIST) -> AsyncIterator[ListPage]:
        if options.page_size:
            raise self.error
        yield ListPage([], [])


async def test_a_destination_that_is_not_there_is_told_before_the_source_is_listed(tmp_path: Path) -> None:
    store = await filled(Pages(), 1)
    job = Job(tmp_path, store)
    job.destination = Nowhere(NotFound("no such bucket", operation="list", key=""))
    with pytest.raises(NotFound, match="no such bucket"):
        await job.plan()
    assert store.pages == 0
    assert job.rows() == []


async def test_a_destination_that_may_not_be_listed_is_told_when_that_matters(tmp_path: Path) -> None:
    store = await filled(Pages(), 1)
    job = Job(tmp_path, store)
    job.destination = Nowhere(AccessDenied("not allowed", operation="list", key=""))
    with pytest.raises(AccessDenied):
        await job.plan()
    assert len(job.rows()) == 1


async def test_folders_are_planned_once_and_first(tmp_path: Path) -> None:
    rules = RULES + '[folders]\ncreate = ["raw/", "old/2025/"]\nplaceholder = "here.txt"\n'
    job = Job(tmp_path, await filled(Pages(), 20), rules=rules)
    await job.plan()
    folders = [row.destination for row in job.rows() if row.action == Action.FOLDER]
    assert folders == ["out/raw/here.txt", "out/old/2025/here.txt"]
    assert [row.id for row in job.rows()][:2] == [1, 2]


async def test_deleting_takes_all_without_rules_and_what_rules_take_with_them(tmp_path: Path) -> None:
    store = await filled(MemoryStore("bucket"), 2, "in/x")
    for name, rules, acting in (("all", "", 3), ("some", '[[rule]]\nglob = "in/*.gz"\n', 2)):
        (tmp_path / name).mkdir()
        job = Job(tmp_path / name, store, Verb.DELETE, rules=rules, destination="")
        summary = await job.plan()
        assert summary.acting == acting
        assert set(job.destinations().values()) == {""}


async def archive(store: MemoryStore) -> None:
    for name, storage_class in (("cold", "GLACIER"), ("deep", "DEEP_ARCHIVE"), ("warm", "STANDARD_IA")):
        await store.put(f"in/{name}", b"x", PutOptions(storage_class=storage_class))


async def test_archived_objects_are_counted_and_only_they_are_restored(tmp_path: Path) -> None:
    store = MemoryStore("bucket")
    await archive(store)
    for name in ("copy", "restore", "delete"):
        (tmp_path / name).mkdir()
    copying = Job(tmp_path / "copy", store)
    assert (await copying.plan()).archived == 2
    assert set(copying.actions().values()) == {Action.ACT}
    restoring = Job(tmp_path / "restore", store, Verb.RESTORE, destination="")
    summary = await restoring.plan()
    assert restoring.actions() == {
        "in/cold": Action.ACT,
        "in/deep": Action.ACT,
        "in/warm": Action.IN_PLACE,
    }
    assert summary.requests == {"RESTORE": 2}
    deleting = Job(tmp_path / "delete", store, Verb.DELETE, destination="")
    assert (await deleting.plan()).acting == 3


async def test_tags_are_asked_where_a_rule_depends_on_them(tmp_path: Path) -> None:
    store = await filled(MemoryStore("bucket"), 2, "in/x")
    await store.set_tags("in/x", {"team": "a"})
    rules = '[[rule]]\nglob = "in/x*"\ntags_are = {team = "a"}\nto = "{name}"\n'
    job = Job(tmp_path, store, rules=rules + '[fallback]\naction = "skip"\n')
    summary = await job.plan()
    assert job.actions() == {
        "in/log-000.gz": Action.SKIPPED,
        "in/log-001.gz": Action.SKIPPED,
        "in/x": Action.ACT,
    }
    assert summary.asked == {"list": 1, "tagging": 1}


async def test_a_manifest_with_versions_is_described(tmp_path: Path) -> None:
    store = MemoryStore("bucket", versioned=True)
    first = await store.put("in/a", b"one")
    await store.put("in/a", b"other")
    manifest = tmp_path / "m.csv"
    manifest.write_text(f"bucket,in/a,{first.version_id}\nbucket,in/gone\n")
    job = Job(tmp_path, store, manifest=str(manifest))
    summary = await job.plan()
    assert [(row.key, row.version, row.size) for row in job.rows()] == [
        ("in/a", first.version_id, 3),
        ("in/gone", "", -1),
    ]
    assert summary.missing == 1
    assert summary.bytes == 3
    assert summary.asked == {"head": 2}


async def test_collisions_are_found_over_all_shards(tmp_path: Path, small_shards: None) -> None:
    store = await filled(Pages(), 20, "in/z.gz")
    rules = '[[rule]]\nglob = "in/*"\nto = "{stem}"\n'
    await store.put("in/deep/log-000.gz", b"other")
    job = Job(tmp_path, store, rules=rules)
    summary = await job.plan()
    assert len(job.folder.shard_paths()) > 2
    assert summary.findings.collisions == 2
    assert summary.findings.collision_groups == 1
    assert any("--on-conflict" in line for line in summary.lines())


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "SHARD_ROWS", 8)


class Killed(BaseException):
    """What a kill does to the code that runs: nothing is caught."""


def after(number: int) -> Callable[..., None]:
    """Return what raises at its call of that number, from 0."""
    calls: Iterator[int] = iter(range(1_000))

    def count(*_: object) -> None:
        if next(calls) == number:
            raise Killed

    return count


async def survive(job: Job, **options: Any) -> bool:
    """Plan; say whether it was killed."""
    with suppress(Killed):
        await job.plan(**options)
        return False
    return True


async def expected(tmp_path: Path, store: MemoryStore, **options: Any) -> Job:
    (tmp_path / "whole").mkdir(exist_ok=True)
    job = Job(tmp_path / "whole", store, **options)
    await job.plan()
    return job


@pytest.mark.parametrize(("ordered", "full"), [(True, 1_000), (True, 4), (None, 1_000), (None, 4)])
async def test_killed_at_any_page_it_comes_to_the_same_plan(
    tmp_path: Path, small_shards: None, monkeypatch: pytest.MonkeyPatch, ordered: bool | None, full: int
) -> None:
    # With full pages of four keys the listing is spread over several workers.
    monkeypatch.setattr(spread, "PAGE", full)
    store = await filled(Pages(ordered=ordered), 20, *(f"in/x{number}" for number in range(8)))
    whole = await expected(tmp_path, store, rules=RULES)
    assert len(whole.unmatched()) == 8
    number = 0
    while True:
        directory = tmp_path / str(number)
        directory.mkdir()
        job = Job(directory, store, rules=RULES)
        was_killed = await survive(job, expect=after(number))
        if was_killed:
            sealed = len(job.folder.shard_paths())
            store.pages = 0
            await job.plan()
            if sealed >= 2 and ordered and full > 4:
                # What was sealed was not listed again; a page more is what is at the destination.
                assert store.pages <= 7 - 2 * sealed + 1
        assert job.plain() == whole.plain()
        assert job.unmatched() == whole.unmatched()
        if not was_killed:
            break
        number += 1
    assert number >= 7


@pytest.mark.parametrize("ordered", [True, None])
@pytest.mark.parametrize("moment", ["before", "behind"])
async def test_killed_at_any_seal_it_comes_to_the_same_plan(
    tmp_path: Path, small_shards: None, monkeypatch: pytest.MonkeyPatch, ordered: bool | None, moment: str
) -> None:
    store = await filled(Pages(ordered=ordered), 20, *(f"in/x{number}" for number in range(8)))
    whole = await expected(tmp_path, store, rules=RULES)
    seal = ShardBuilder.seal
    number = 0
    while True:
        directory = tmp_path / str(number)
        directory.mkdir()
        job = Job(directory, store, rules=RULES)
        kill = after(number)

        def sealing(builder: ShardBuilder, kill: Callable[..., None] = kill) -> None:
            if moment == "before":
                kill()
            seal(builder)
            if moment == "behind":
                kill()

        monkeypatch.setattr(ShardBuilder, "seal", sealing)
        was_killed = await survive(job)
        monkeypatch.setattr(ShardBuilder, "seal", seal)
        if was_killed:
            await job.plan()
        assert job.plain() == whole.plain()
        assert job.unmatched() == whole.unmatched()
        if not was_killed:
            break
        number += 1
    assert number >= 3


@pytest.mark.parametrize("document", ["state", "summary"])
async def test_killed_between_the_stages_it_comes_to_the_same_plan(
    tmp_path: Path, small_shards: None, monkeypatch: pytest.MonkeyPatch, document: str
) -> None:
    store = await filled(Pages(ordered=None), 24, "in/deep/log-000.gz")
    rules = '[[rule]]\nglob = "in/*"\nto = "{stem}"\n'
    whole = await expected(tmp_path, store, rules=rules)
    write = JobFolder.write
    for number in range(3 if document == "state" else 1):
        directory = tmp_path / str(number)
        directory.mkdir()
        job = Job(directory, store, rules=rules)
        kill = after(number)

        def writing(folder: JobFolder, name: str, content: Any, kill: Callable[..., None] = kill) -> None:
            if name == document:
                kill()
            write(folder, name, content)

        monkeypatch.setattr(JobFolder, "write", writing)
        assert await survive(job)
        monkeypatch.setattr(JobFolder, "write", write)
        store.pages = 0
        again = await job.plan()
        # Once all shards are there, nothing is listed again but what is at the destination.
        assert (store.pages < 6) == (number > 0 or document == "summary")
        assert job.plain() == whole.plain()
        assert again.findings == (await whole.plan()).findings
        assert again.asked == (await whole.plan()).asked


async def test_a_manifest_goes_on_behind_what_was_read(
    tmp_path: Path, small_shards: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("haulyard.jobs.planning.intake._PAGE", 4)
    store = await filled(MemoryStore("bucket"), 30)
    manifest = tmp_path / "keys.txt"
    manifest.write_text("".join(f"in/log-{number:03}.gz\n" for number in range(30)))
    whole = await expected(tmp_path, store, manifest=str(manifest))
    for number in range(7):
        directory = tmp_path / str(number)
        directory.mkdir()
        job = Job(directory, store, manifest=str(manifest))
        assert await survive(job, expect=after(number))
        await job.plan()
        assert job.plain() == whole.plain()


async def test_another_manifest_is_refused_when_the_plan_goes_on(
    tmp_path: Path, small_shards: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("haulyard.jobs.planning.intake._PAGE", 4)
    store = await filled(MemoryStore("bucket"), 30)
    manifest = tmp_path / "keys.txt"
    manifest.write_text("".join(f"in/log-{number:03}.gz\n" for number in range(30)))
    job = Job(tmp_path, store, manifest=str(manifest))
    assert await survive(job, expect=after(5))
    for changed in ("in/log-000.gz\n", "in/log-001.gz\n" * 30):
        manifest.write_text(changed)
        with pytest.raises(JobError, match="the manifest is not the one"):
            await job.plan()


async def test_stopped_it_goes_on_where_it_stopped(tmp_path: Path, small_shards: None) -> None:
    store = await filled(Pages(), 30)
    whole = await expected(tmp_path, store)
    job = Job(tmp_path, store)
    answers = iter([False, False, True])
    summary = await job.plan(stopped=lambda: next(answers))
    assert not summary.finished
    assert summary.objects == len(job.rows()) == 12
    assert summary.lines()[-1].startswith("Stopped before the end")
    store.pages = 0
    summary = await job.plan()
    assert summary.finished
    assert summary.objects == 30
    assert job.plain() == whole.plain()


async def test_a_finished_plan_is_shown_without_a_request(tmp_path: Path) -> None:
    store = Pages()
    job = Job(tmp_path, await filled(store, 5))
    first = await job.plan()
    store.pages = 0
    assert await job.plan() == first
    assert store.pages == 0


async def test_a_full_disk_ends_planning_and_room_lets_it_go_on(
    tmp_path: Path, small_shards: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await filled(Pages(), 30)
    job = Job(tmp_path, store)

    def full(_builder: ShardBuilder) -> None:
        raise JobError("no room")

    with monkeypatch.context() as patched:
        patched.setattr(ShardBuilder, "seal", full)
        with pytest.raises(JobError, match="no room"):
            await job.plan()
    assert (await job.plan()).objects == 30


async def test_keys_with_line_feeds_stay_on_one_line_of_the_unmatched(tmp_path: Path) -> None:
    job = Job(tmp_path, await filled(MemoryStore("bucket"), 0, "in/a\nb\rc", "in/d"), rules=RULES)
    summary = await job.plan()
    assert job.unmatched() == ["in/a%0Ab%0Dc", "in/d"]
    assert sorted(summary.unmatched_keys) == job.unmatched()


async def test_progress_is_told_page_by_page(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    job = Job(tmp_path, await filled(Pages(), 9))
    await job.plan(expect=lambda objects, size: told.append((objects, size)))
    assert sum(objects for objects, _ in told) == 9
    assert sum(size for _, size in told) == 9 * 13


async def test_a_plan_whose_summary_is_gone_is_not_made_again_over_what_was_done(tmp_path: Path) -> None:
    job = Job(tmp_path, await filled(Pages(), 5))
    await job.plan()
    (tmp_path / "job" / "summary.json").unlink()
    with pytest.raises(JobError, match=r"its summary\.json is gone"):
        await job.plan()


async def test_names_of_two_stores_are_not_held_against_each_other(tmp_path: Path) -> None:
    store = await filled(MemoryStore("bucket"), 2)
    other = MemoryStore("other")
    await other.put("in/log-000.gz.old", b"in/log-000.gz")
    rules = '[[rule]]\nglob = "in/*"\nto = "{key}.old"\n'
    job = Job(tmp_path, store, rules=rules)
    ends = Ends(store, job.selection, other, Target("", into=True))
    summary = await make_plan(job.folder, job.specification, job.rules, ends, emit=ignore)
    assert set(job.actions().values()) == {Action.ACT}
    # What is there already is the same object as far as size and ETag tell.
    assert summary.findings.same == 1
    assert summary.findings.chained == 0


@pytest.mark.parametrize("verb", [Verb.DELETE, Verb.RETAG])
async def test_what_a_manifest_names_twice_is_done_once(tmp_path: Path, verb: Verb) -> None:
    store = await filled(MemoryStore("bucket"), 3)
    manifest = tmp_path / "keys.txt"
    names = [f"in/log-{number:03}.gz" for number in (0, 1, 0, 2, 0)]
    manifest.write_text("\n".join(names))
    job = Job(tmp_path, store, verb, destination="", manifest=str(manifest))
    summary = await job.plan()
    assert [(row.key, Action(row.action)) for row in job.rows()] == [
        (key, Action.SKIPPED if at in {2, 4} else Action.ACT) for at, key in enumerate(names)
    ]
    assert summary.findings.repeated == 2
    assert summary.findings.undecided == 0
    assert summary.actions["act"][0] == 3
    assert "  in/log-000.gz" in list(summary.lines())


async def test_what_goes_through_this_machine_is_counted_in_parts(tmp_path: Path) -> None:
    store = await filled(MemoryStore("bucket"), 1)
    await store.put("in/large", bytes(20 * MIB))
    job = Job(tmp_path, store)
    job.destination = MemoryStore("elsewhere")
    summary = await job.plan()
    assert summary.large == 0
    parts = {"GET": 4, "PUT": 1, "PUT part": 3, "POST": 2}
    assert {kind: count for kind, count in summary.requests.items() if kind != "HEAD"} == parts
