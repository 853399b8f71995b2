from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.jobs.planning.sealed_plans import make_plan, one_store, read_plan, row, spilled, two_stores

from haulyard.jobs.model import Action, Conflict, Operation, Verb
from haulyard.jobs.planning import finishing, ordered
from haulyard.jobs.planning.findings import Findings
from haulyard.jobs.planning.present import Present
from haulyard.journal.amending import amended
from haulyard.journal.building import ShardBuilder
from haulyard.journal.folder import JobFolder
from haulyard.models import ObjectInfo
from haulyard.stores.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from haulyard.jobs.ends import Ends

NOTHING = Present()


async def finish(
    folder: JobFolder, verb: Verb = Verb.MOVE, ends: Ends | None = None, present: Present = NOTHING
) -> Findings:
    with spilled(folder) as spill:
        return await finishing.finish(folder, ends or one_store(), verb, spill, present)


def finished(directory: Path, rows: Sequence[Operation], verb: Verb = Verb.MOVE) -> tuple[Findings, Plan]:
    folder = make_plan(str(directory), rows)
    return asyncio.run(finish(folder, verb)), Plan.of(folder)


class Plan(NamedTuple):
    """A finished plan: the rows of the normal shards, in order, and those of the ordered ones."""

    normal: list[Operation]
    ordered: list[Operation]

    @classmethod
    def of(cls, folder: JobFolder) -> Plan:
        shards = read_plan(folder)
        normal = [each for name, rows in shards.items() if "ordered" not in name for each in rows]
        return cls(normal, [each for name, rows in shards.items() if "ordered" in name for each in rows])

    def waves(self) -> dict[str, int]:
        return {each.key: each.wave for each in self.ordered}

    def of_key(self, key: str) -> Operation:
        (found,) = [each for each in self.normal if each.key == key]
        return found


def test_a_plan_without_clashes_stays_as_it_is(tmp_path: Path) -> None:
    folder = make_plan(str(tmp_path), [row("a", "x/a"), row("b", "x/b"), row("c"), row("d", "x/d")])
    before = read_plan(folder)
    assert asyncio.run(finish(folder)) == Findings()
    assert read_plan(folder) == before
    assert sorted(os.listdir(folder.path)) == ["job.json", "shards"]


def test_two_sources_of_one_destination_collide_over_all_shards(tmp_path: Path) -> None:
    rows = [row("a", "x"), row("b", "y"), row("c", "z"), row("d", "w"), row("e", "x"), row("f", "x")]
    findings, plan = finished(tmp_path, rows)
    assert (findings.collisions, findings.collision_groups, findings.undecided) == (3, 1, 3)
    assert findings.samples == {
        "collisions": [{"destination": "x", "count": 3, "sources": ["a", "e", "f"]}],
    }
    assert [each.key for each in plan.normal if each.action == Action.ORDERED] == ["a", "e", "f"]
    assert [(each.key, each.wave, each.conflict) for each in plan.ordered] == [
        ("a", 0, Conflict.COLLISION),
        ("e", 1, Conflict.COLLISION),
        ("f", 2, Conflict.COLLISION),
    ]
    assert plan.of_key("b") == rows[1]._replace(id=2)
    # The ordered row is the whole row.
    assert plan.ordered[0] == rows[0]._replace(id=1, conflict=Conflict.COLLISION)


def test_an_object_that_was_listed_twice_is_moved_once(tmp_path: Path) -> None:
    findings, plan = finished(tmp_path, [row("a", "x"), row("b", "y"), row("a", "x"), row("a", "x")])
    assert (findings.repeated, findings.collisions) == (2, 0)
    assert [each.action for each in plan.normal] == [
        Action.ACT,
        Action.ACT,
        Action.SKIPPED,
        Action.SKIPPED,
    ]
    assert plan.ordered == []


def test_a_destination_that_stays_exists(tmp_path: Path) -> None:
    rows = [row("a", "b"), row("b"), row("c", "d"), row("d", action=Action.UNMATCHED, etag="etag of c")]
    findings, plan = finished(tmp_path, rows)
    assert (findings.exists, findings.same) == (1, 1)
    assert findings.samples["exists"] == [{"key": "a", "destination": "b", "present": "etag of b"}]
    assert (plan.of_key("a").conflict, plan.of_key("a").present) == (Conflict.EXISTS, "etag of b")
    assert (plan.of_key("c").conflict, plan.of_key("c").present) == (Conflict.SAME, "etag of c")
    assert {each.action for each in plan.normal if each.destination} == {Action.ACT}


@pytest.mark.parametrize(
    ("there", "conflict"),
    [
        (row("b", size=1, etag="e"), Conflict.SAME),
        (row("b", size=2, etag="e"), Conflict.EXISTS),
        (row("b", size=1, etag="f"), Conflict.EXISTS),
    ],
)
def test_the_same_is_what_has_the_same_size_and_etag(
    tmp_path: Path, there: Operation, conflict: Conflict
) -> None:
    _, plan = finished(tmp_path, [row("a", "b", size=1, etag="e"), there])
    assert plan.of_key("a").conflict == conflict


def test_without_an_etag_nothing_is_the_same(tmp_path: Path) -> None:
    rows = [row("a", "b")._replace(etag=""), row("b")._replace(etag="")]
    assert finished(tmp_path, rows)[0].exists == 1


def test_a_chain_of_moves_is_done_from_its_end(tmp_path: Path) -> None:
    findings, plan = finished(tmp_path, [row("a", "b"), row("b", "c"), row("c", "d"), row("z", "y")])
    assert plan.waves() == {"c": 0, "b": 1, "a": 2}
    assert {each.conflict for each in plan.normal} == {Conflict.NONE}
    assert (findings.chained, findings.undecided) == (3, 0)
    assert findings.samples["chained"][0] == {"key": "a", "destination": "b"}


def test_a_chain_of_copies_overwrites_what_was_copied_before(tmp_path: Path) -> None:
    findings, plan = finished(tmp_path, [row("a", "b"), row("b", "c")], Verb.COPY)
    assert plan.waves() == {"b": 0, "a": 1}
    assert [each.conflict for each in plan.ordered] == [Conflict.NONE, Conflict.EXISTS]
    assert (findings.chained, findings.exists) == (2, 1)


def test_a_swap_and_what_waits_for_it_is_refused(tmp_path: Path) -> None:
    rows = [row("a", "b"), row("b", "a"), row("c", "a"), row("d", "c"), row("e", "d"), row("o", "x")]
    findings, plan = finished(tmp_path, rows)
    assert findings.cycles == 5
    assert findings.chained == 0
    assert [each.action for each in plan.normal] == [Action.CYCLE] * 5 + [Action.ACT]
    assert [each.key for each in plan.normal if each.conflict == Conflict.COLLISION] == ["b", "c"]
    assert plan.ordered == []


def test_an_object_that_changes_in_its_place_is_nobodys_obstacle(tmp_path: Path) -> None:
    findings, plan = finished(tmp_path, [row("a", "a"), row("b", "c")])
    assert findings == Findings()
    assert plan.ordered == []


def test_who_collides_with_an_object_in_its_place_comes_after_it(tmp_path: Path) -> None:
    _, plan = finished(tmp_path, [row("b", "a"), row("a", "a")])
    assert [(each.key, each.wave, each.conflict, each.present) for each in plan.ordered] == [
        ("a", 0, Conflict.COLLISION, "etag of a"),
        ("b", 1, Conflict.COLLISION, "etag of a"),
    ]


def test_a_version_that_is_moved_leaves_its_name_taken(tmp_path: Path) -> None:
    findings, plan = finished(tmp_path, [row("a", "b", version="1"), row("c", "a")])
    assert (findings.exists, findings.chained) == (1, 0)
    assert plan.of_key("c").present == "etag of a"


def test_a_placeholder_that_is_there_is_no_conflict(tmp_path: Path) -> None:
    folder = row("", "raw/placeholder.txt", Action.FOLDER)._replace(etag="", size=0)
    findings, plan = finished(tmp_path, [folder, row("raw/placeholder.txt")])
    assert (findings.undecided, findings.same) == (0, 1)
    assert (plan.normal[0].action, plan.normal[0].conflict) == (Action.FOLDER, Conflict.SAME)


def test_a_placeholder_waits_for_the_object_that_leaves_its_place(tmp_path: Path) -> None:
    rows = [row("", "p", Action.FOLDER), row("p", "q")]
    folder = make_plan(str(tmp_path), rows)
    for _ in range(2):
        asyncio.run(finish(folder))
        plan = Plan.of(folder)
        assert [(each.action, each.wave) for each in plan.ordered] == [(Action.ACT, 0), (Action.FOLDER, 1)]


async def _listed(keys: Sequence[str]) -> tuple[MemoryStore, Present]:
    store = MemoryStore("b")
    for key in keys:
        await store.put(key, b"1")
    return store, await Present.listed(two_stores(store), [""])


@pytest.mark.anyio
async def test_in_two_stores_sources_are_nobodys_destinations(tmp_path: Path) -> None:
    store, present = await _listed(["b", "other"])
    folder = make_plan(str(tmp_path), [row("a", "b"), row("b", "c"), row("c", "a")])
    with present:
        findings = await finish(folder, ends=two_stores(store), present=present)
    assert findings.exists == 1
    assert findings.chained == findings.cycles == 0
    assert Plan.of(folder).of_key("a").present == (await store.head("b")).etag


@pytest.mark.anyio
async def test_in_two_stores_an_object_of_the_same_name_is_at_the_destination(tmp_path: Path) -> None:
    ends = two_stores()
    await ends.destination.put("a", b"another")
    folder = make_plan(str(tmp_path), [row("a", "a"), row("b", "b")])
    present = await Present.listed(ends, [""])
    findings = await finish(folder, Verb.COPY, ends, present)
    assert (findings.exists, findings.same) == (1, 0)
    assert Plan.of(folder).of_key("a").conflict == Conflict.EXISTS


@pytest.mark.anyio
async def test_what_the_listing_says_goes_before_what_is_present(tmp_path: Path) -> None:
    store, present = await _listed(["b", "d"])
    folder = make_plan(str(tmp_path), [row("a", "b"), row("b", "c"), row("e", "d")])
    with present:
        findings = await finish(folder, ends=one_store(store), present=present)
    assert (findings.chained, findings.exists) == (2, 1)
    assert findings.samples["exists"][0]["destination"] == "d"


@pytest.mark.anyio
@pytest.mark.parametrize("verb", [Verb.DELETE, Verb.RESTORE, Verb.RETAG])
async def test_verbs_without_destinations_have_no_clashes(tmp_path: Path, verb: Verb) -> None:
    folder = make_plan(str(tmp_path), [row("a", "b"), row("c", "b")])
    assert await finish(folder, verb) == Findings()


@pytest.mark.anyio
async def test_a_shift_of_many_names_by_one_is_ordered_in_one_pass(tmp_path: Path) -> None:
    count = 20_000
    rows = [row(f"k{n:06}", f"k{n + 1:06}") for n in range(count)]
    folder = make_plan(str(tmp_path), rows, rows_a_shard=5_000)
    assert (await finish(folder)).chained == count
    waves = Plan.of(folder).ordered
    assert [each.key for each in waves[:2]] == [f"k{count - 1:06}", f"k{count - 2:06}"]
    assert [each.wave for each in waves] == list(range(count))


@pytest.mark.anyio
async def test_ordered_shards_are_cut_and_their_waves_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_plan(str(tmp_path), [row(f"k{n}", f"k{n + 1}") for n in range(8)])
    _in_shards_of_three(monkeypatch)
    await finish(folder)
    shards = {name: rows for name, rows in read_plan(folder).items() if "ordered" in name}
    assert [[each.wave for each in rows] for rows in shards.values()] == [[0, 1, 2], [3, 4, 5], [6, 7]]
    assert list(shards) == ["ordered-00000.db", "ordered-00001.db", "ordered-00002.db"]


def test_findings_survive_json() -> None:
    findings = Findings(collisions=2, collision_groups=1, samples={"collisions": [{"destination": "x"}]})
    assert Findings.from_json(findings.to_json() | {"later": 1}) == findings


# -- Killed at any moment --


def _in_shards_of_three(monkeypatch: pytest.MonkeyPatch) -> None:
    write = ordered.write_ordered
    monkeypatch.setattr(ordered, "write_ordered", lambda folder, pages: write(folder, pages, shard_rows=3))


CLASHING = [
    *(row(f"k{n}", f"k{n + 1}") for n in range(5)),
    row("a", "x"),
    row("b", "x"),
    row("s", "t"),
    row("t", "s"),
    row("p", "q"),
    row("q"),
    row("p", "q"),
    row("", "placeholder", Action.FOLDER),
    row("placeholder", "elsewhere"),
    row("free", "elsewhere/free"),
]


class Snapshots:
    """Copies of a job's folder, as a process that is killed at that moment leaves it: before each step."""

    def __init__(self, folder: JobFolder, below: Path) -> None:
        self._folder = folder
        self._below = below
        self.taken: list[JobFolder] = []

    def take(self) -> None:
        path = self._below / f"{len(self.taken)}" / "job"
        shutil.copytree(self._folder.path, path)
        self.taken.append(JobFolder(str(path), self._folder.specification))

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: Any, **named: Any) -> Any:
            self.take()
            return function(*arguments, **named)

        return wrapped

    def within(self, block: Callable[..., Any]) -> Callable[..., Any]:
        @contextmanager
        def wrapped(*arguments: Any) -> Iterator[Any]:
            self.take()
            with block(*arguments) as value:
                yield value
                self.take()

        return wrapped


@pytest.mark.anyio
async def test_killed_at_any_moment_it_comes_to_the_same_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_plan(str(tmp_path), CLASHING)
    _in_shards_of_three(monkeypatch)
    snapshots = Snapshots(folder, tmp_path)
    expected: tuple[Findings, Any] | None = None
    with monkeypatch.context() as patch:
        patch.setattr(ShardBuilder, "add", snapshots.around(ShardBuilder.add))
        patch.setattr(ShardBuilder, "seal", snapshots.around(ShardBuilder.seal))
        patch.setattr(JobFolder, "write", snapshots.around(JobFolder.write))
        patch.setattr(ordered, "amended", snapshots.within(amended))
        patch.setattr(os, "unlink", snapshots.around(os.unlink))
        # The second time it begins by taking back what the first did.
        for _ in range(2):
            outcome = (await finish(folder), read_plan(folder))
            assert outcome == (expected or outcome)
            expected = outcome
    assert len(snapshots.taken) > 30
    for snapshot in snapshots.taken:
        assert (await finish(snapshot), read_plan(snapshot)) == expected


# -- Against a model --

NAMES = "abcdefg"


@st.composite
def plans(draw: st.DrawFn) -> list[Operation]:
    """Small plans in which everything happens; a key is listed once, or twice in the same way."""
    keys = draw(st.lists(st.sampled_from(NAMES), unique=True, min_size=1))
    rows = [
        row(key, draw(st.sampled_from(["", *NAMES, "x", "y"])), etag=draw(st.sampled_from(["1", "2"])))
        for key in keys
    ]
    return rows + draw(st.lists(st.sampled_from(rows), max_size=2))


class Model:
    """What `finish` has to come to, found the slow way."""

    def __init__(self, rows: Sequence[Operation], verb: Verb, present: dict[str, str]) -> None:
        unique = dict.fromkeys(rows)
        self.acting = [each for each in unique if each.action == Action.ACT]
        self.repeated = sum(each.action == Action.ACT for each in rows) - len(self.acting)
        self.verb = verb
        self.listed = {each.key: each for each in rows}
        self.present = present
        self.cycles, self.waves = self._waves()

    def group(self, op: Operation) -> list[Operation]:
        group = [each for each in self.acting if each.destination == op.destination]
        return sorted(group, key=lambda each: each.key != each.destination)

    def conflict(self, op: Operation) -> Conflict:
        if len(self.group(op)) > 1:
            return Conflict.COLLISION
        if op.key == op.destination:
            return Conflict.NONE
        there = self.listed.get(op.destination)
        if there is None:
            etag = self.present.get(op.destination)
        elif self.verb is Verb.MOVE and there in self.acting and there.key != there.destination:
            etag = None
        else:
            etag = there.etag
        if etag is None:
            return Conflict.NONE
        return Conflict.SAME if etag == op.etag else Conflict.EXISTS

    def waits_for(self, op: Operation) -> list[Operation]:
        group = self.group(op)
        before = group[: group.index(op)][-1:]
        return before + [
            each for each in self.acting if each.key == op.destination and each.destination != op.destination
        ]

    def _waves(self) -> tuple[set[Operation], dict[Operation, int]]:
        waves: dict[Operation, int] = {}
        waiting = set(self.acting)
        while free := [op for op in waiting if all(each in waves for each in self.waits_for(op))]:
            for op in free:
                waves[op] = 1 + max([waves[each] for each in self.waits_for(op)], default=-1)
            waiting.difference_update(free)
        waited = {each for op in self.acting for each in self.waits_for(op)}
        involved = {op for op in waves if op in waited or self.waits_for(op) or len(self.group(op)) > 1}
        return waiting, {op: waves[op] for op in involved}


@settings(max_examples=100, deadline=None)
@given(rows=plans(), verb=st.sampled_from([Verb.MOVE, Verb.COPY]))
@example(rows=[row("a", "b"), row("b", "c"), row("c", "b")], verb=Verb.MOVE)
@example(rows=[row("a", "a"), row("b", "a"), row("c", "b")], verb=Verb.MOVE)
def test_it_agrees_with_a_model_and_its_order_destroys_nothing(rows: list[Operation], verb: Verb) -> None:
    there = {"x": "1"}
    model = Model(rows, verb, there)
    with tempfile.TemporaryDirectory() as directory:
        folder = make_plan(directory, rows)
        findings = asyncio.run(_finish_with(folder, verb, there))
        plan = Plan.of(folder)
    conflicts = {op: model.conflict(op) for op in model.acting}
    assert {each.key: each.wave for each in plan.ordered} == {
        op.key: wave for op, wave in model.waves.items()
    }
    assert [each.wave for each in plan.ordered] == sorted(each.wave for each in plan.ordered)
    assert {each.key for each in plan.normal if each.action == Action.CYCLE} == {
        op.key for op in model.cycles
    }
    assert {
        each.key: each.conflict
        for each in plan.normal
        if each.action in {Action.ACT, Action.CYCLE, Action.ORDERED}
    } == {op.key: conflict for op, conflict in conflicts.items()}
    assert findings.repeated == model.repeated
    assert findings.cycles == len(model.cycles)
    assert findings.collisions == list(conflicts.values()).count(Conflict.COLLISION)
    assert findings.exists == list(conflicts.values()).count(Conflict.EXISTS)
    assert findings.same == list(conflicts.values()).count(Conflict.SAME)
    normal = [each for each in plan.normal if each.action == Action.ACT]
    for order in (normal, normal[::-1]):
        execute([*order, *plan.ordered], model, verb)


def execute(operations: Sequence[Operation], model: Model, verb: Verb) -> None:
    """Do them as if the user had said ``overwrite``; each must find its source as it was listed."""
    store = {key: f"content of {key}" for key in (*model.listed, *model.present)}
    for op in operations:
        assert store.get(op.key) == f"content of {op.key}"
        if op.conflict == Conflict.NONE:
            assert op.destination not in store or op.destination == op.key
        store[op.destination] = store[op.key]
        # What is written where the object of another operation was must not be taken for it.
        if op.destination != op.key:
            store[op.destination] = f"copy of {op.key}"
            if verb is Verb.MOVE:
                del store[op.key]


async def _finish_with(folder: JobFolder, verb: Verb, there: dict[str, str]) -> Findings:
    with Present() as present:
        present._add(
            [ObjectInfo(key, 1, datetime.fromtimestamp(0, UTC), etag) for key, etag in there.items()]
        )
        return await finish(folder, verb, present=present)
