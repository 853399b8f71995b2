"""What goes into one commit: all of it or nothing, and nothing more once one has failed."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from tests.records.working import csv_of, ids, working

from haulyard.errors import AccessDenied, ApiDenied, ApiUnavailable, JobError
from haulyard.events import RecordsEnded
from haulyard.journal.damage import unwritable
from haulyard.records.ledger import Ledger
from haulyard.records.outbox import Place
from haulyard.records.responses import Responses
from haulyard.records.target import Answer
from haulyard.stores.base import PUT
from haulyard.stores.memory import MemoryStore
from haulyard.testing.api import ApiServer, Rule

if TYPE_CHECKING:
    from pathlib import Path

    from tests.records.working import Work

    from haulyard.models import PutOptions, PutResult
    from haulyard.models.body import Body

pytestmark = pytest.mark.anyio


def full(*_: Any) -> None:
    """Do as a full disk does."""
    raise unwritable("the file", "No space left on device")


async def test_no_room_for_the_ledger_ends_the_run_and_it_goes_on_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with ApiServer() as api:
        work = await working(tmp_path, api.url, {"a.csv": csv_of(3000)})
        commits = _failing_at(monkeypatch, Ledger, "commit", 3)
        with pytest.raises(JobError, match="No space left"):
            await work.run()
        # Nothing was written any more after the first that failed.
        assert (commits[0], 0 < work.marked() < 3000) == (3, True)
        monkeypatch.undo()
        assert (await work.run()).account.delivered == 3000
        assert {number for call in api.calls for number in ids(call)} == set(range(3000))


async def test_no_room_before_the_first_call_means_no_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with ApiServer() as api:
        work = await working(tmp_path, api.url, {"a.csv": csv_of(30)})
        monkeypatch.setattr(Ledger, "commit", full)
        with pytest.raises(JobError, match="No space left"):
            await work.run()
        assert api.calls == ()


async def test_no_room_for_answers_marks_no_record_whose_answer_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with ApiServer(Rule(422, contains='"7"')) as api:
        work, store = await _with_answers(tmp_path, api.url, 3000)
        _failing_at(monkeypatch, Responses, "sync", 2)
        with pytest.raises(JobError, match="No space left"):
            await work.run()
        monkeypatch.undo()
        assert (await work.run()).account.delivered == 2999
        assert await _kept(store) == sorted(set(range(3000)) - {7})
        assert [each.letter.record for each in work.letters()] == [b'{"id":"7","name":"n7"}']


def _failing_at(monkeypatch: pytest.MonkeyPatch, owner: type, name: str, number: int) -> list[int]:
    """Let the n-th call of a method fail as on a full disk; return how many there were."""
    original: Any = getattr(owner, name)
    counted = [0]

    def call(self: object, *arguments: Any) -> None:
        counted[0] += 1
        if counted[0] >= number:
            full()
        original(self, *arguments)

    monkeypatch.setattr(owner, name, call)
    return counted


async def _with_answers(directory: Path, url: str, count: int, **fields: Any) -> tuple[Work, MemoryStore]:
    work = await working(directory, url, {"a.csv": csv_of(count)}, save_responses="s3://answers/", **fields)
    store = MemoryStore()
    work.around = replace(work.around, answers=Place(store, ""))
    return work, store


async def _kept(store: MemoryStore) -> list[int]:
    """Return the ids of the records whose answers were delivered: those of `csv_of`, told by their rows."""
    numbers = []
    async for page in store.list():
        for each in page.objects:
            async with await store.get(each.key) as reader:
                numbers += [orjson.loads(line) for line in (await reader.read()).splitlines()]
    return sorted(_id(each) for each in numbers)


def _id(line: dict[str, Any]) -> int:
    """Return the number of a record from the address of its answer."""
    number, at = 0, len(b"id,name\n")
    while at < line["offset"]:
        at += len(b"%d,n%d\n" % (number, number))
        number += 1
    return number + int(line["row"])


async def test_answers_are_kept_of_each_record_of_a_call(tmp_path: Path) -> None:
    async with ApiServer() as api:
        work, store = await _with_answers(tmp_path, api.url, 500, records_per_call=7)
        await work.run()
        assert await _kept(store) == list(range(500))


class _Echoes:
    """Answers each record of a call by itself, in blocks of records that begin anywhere."""

    name = "echo"

    def __init__(self, fate: Exception | None = None) -> None:
        self.fate = fate
        self.calls = 0
        self.is_closed = False

    async def call(self, body: bytes, key: str) -> Answer:
        self.calls += 1
        if self.fate is not None:
            raise self.fate
        records = orjson.loads(body)
        return Answer(200, {}, b"", [orjson.dumps(int(each["id"])) for each in records])

    async def close(self) -> None:
        self.is_closed = True


async def test_a_target_that_tells_answers_apart_has_each_kept_for_its_record(tmp_path: Path) -> None:
    work, store = await _with_answers(tmp_path, "an echo", 5000, records_per_call=7)
    echo = _Echoes()
    work.around = replace(work.around, target=echo)
    await work.run()
    assert await _kept(store) == list(range(5000))
    async for page in store.list():
        for each in page.objects:
            async with await store.get(each.key) as reader:
                lines = [orjson.loads(line) for line in (await reader.read()).splitlines()]
            assert all(line["answer"] == _id(line) for line in lines)
    assert echo.is_closed


@pytest.mark.parametrize("fate", [ApiDenied("no quota is left"), ApiUnavailable("no such model")])
async def test_a_target_that_knows_that_no_call_can_succeed_ends_the_run(
    tmp_path: Path, fate: Exception
) -> None:
    work, store = await _with_answers(tmp_path, "an echo", 500, records_per_call=7)
    echo = _Echoes(fate)
    work.around = replace(work.around, target=echo)
    with pytest.raises(type(fate), match=str(fate)):
        await work.run()
    assert (echo.calls, work.marked(), work.letters()) == (1, 0, [])
    echo.fate = None
    await work.run()
    assert await _kept(store) == list(range(500))


def three(record: dict[str, Any]) -> list[dict[str, Any]]:
    return [{**record, "part": part} for part in range(3)]


async def test_of_a_record_that_became_several_nothing_counts_before_all_have_ended(tmp_path: Path) -> None:
    poison = Rule(422, contains='"part":1')
    held = Rule(hang=True, where=lambda call: call.json()["part"] == 2 and call.json()["id"] == "5")
    async with ApiServer(poison, held) as api:
        work, store = await _with_answers(tmp_path, api.url, 10)
        work.around = replace(work.around, transform=three)
        work.carried_out(timeout=60.0, grace=0.0)
        running = asyncio.create_task(work.run())
        await api.wait_for_async(count=30)
        work.stop()
        await running
        assert "5" not in {orjson.loads(each.letter.record)["id"] for each in work.letters()}
        assert work.marked() % 3 == 0
        api.script(poison)
        work.around = replace(work.around, stopping=asyncio.Event())
        outcome = await work.run()
        assert (outcome.account.delivered, outcome.account.rejected) == (20, 10)
        assert [each.letter.part for each in work.letters()] == [1] * 10
        assert await _kept(store) == sorted([*range(10)] * 2)


async def test_a_record_that_could_not_be_transformed_makes_room_for_what_it_becomes(tmp_path: Path) -> None:
    async with ApiServer() as api:
        work = await working(tmp_path, api.url, {"a.csv": csv_of(10)})
        work.around = replace(work.around, transform=lambda record: three(record["missing"]))
        outcome = await work.run()
        assert (outcome.account.transform, len(api.calls)) == (10, 0)
        work.around = replace(work.around, transform=three)
        api.script(Rule(422, contains='"part":2'))
        outcome = await work.run(retry_failed=True)
        account = outcome.account
        assert (account.delivered, account.rejected, account.transform) == (20, 10, 0)
        assert [each.letter.part for each in work.letters()] == [2] * 10
        api.script()
        account = (await work.run(retry_failed=True)).account
        assert (account.delivered, account.failures, work.letters()) == (30, 0, [])


async def test_objects_are_counted_once_however_often_they_are_read(tmp_path: Path) -> None:
    async with ApiServer(Rule(hang=True, contains='"0"')) as api:
        objects = {f"{number}.csv": csv_of(5, first=5 * number) for number in range(8)}
        work = await working(tmp_path, api.url, objects)
        api.script(Rule(hang=True, where=lambda call: call.number == 2))
        work.carried_out(timeout=60.0, grace=0.0)
        running = asyncio.create_task(work.run())
        await api.wait_for_async(count=40)
        work.stop()
        await running
        api.script()
        work.around = replace(work.around, stopping=asyncio.Event())
        assert (await work.run()).account.objects == 8


async def test_segments_of_answers_are_delivered_while_the_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Responses, "open", partial(Responses.open, segment=10_000))
    async with ApiServer(Rule(hang=True, contains='"id":"2999"')) as api:
        work, _ = await _with_answers(tmp_path, api.url, 3000)
        store = _Noticing()
        work.around = replace(work.around, answers=Place(store, ""))
        work.carried_out(timeout=60.0)
        running = asyncio.create_task(work.run())
        await api.wait_for_async(count=3000)
        await store.written.wait()
        assert not running.done()
        api.release()
        assert (await running).is_finished
        assert await _kept(store) == list(range(3000))


async def test_no_record_is_told_as_ended_that_is_not_in_the_ledger(tmp_path: Path) -> None:
    async with ApiServer() as api:
        work = await working(tmp_path, api.url, {"a.csv": csv_of(3000)})
        told: list[tuple[int, int]] = []

        def listen(event: Any) -> None:
            if isinstance(event, RecordsEnded):
                told.append((event.done, work.marked()))

        work.around = replace(work.around, emit=listen)
        await work.run()
    assert [done for done, _ in told] == [marked for _, marked in told]
    assert told[-1] == (3000, 3000)


async def test_answers_that_a_store_does_not_take_are_kept_for_the_next_run(tmp_path: Path) -> None:
    async with ApiServer() as api:
        work, store = await _with_answers(tmp_path, api.url, 100)
        place = work.around.answers
        assert place is not None
        refusing = _Refusing()
        work.around = replace(work.around, answers=Place(refusing, ""))
        with pytest.raises(AccessDenied):
            await work.run()
        work.around = replace(work.around, answers=place)
        outcome = await work.run()
        assert (outcome.is_finished, outcome.ended) == (True, 0)
        assert await _kept(store) == list(range(100))
        assert len(api.calls) == 100


class _Noticing(MemoryStore):
    def __init__(self) -> None:
        super().__init__()
        self.written = asyncio.Event()

    async def put(self, key: str, body: Body, options: PutOptions = PUT) -> PutResult:
        result = await super().put(key, body, options)
        self.written.set()
        return result


class _Refusing(MemoryStore):
    async def put(self, key: str, body: Body, options: PutOptions = PUT) -> PutResult:
        raise AccessDenied(f"{key} may not be written", operation="put", key=key)


async def test_the_last_segment_is_delivered_once_and_not_beside_the_run(tmp_path: Path) -> None:
    async with ApiServer() as api:
        work, _ = await _with_answers(tmp_path, api.url, 50)
        store = _Alone()
        work.around = replace(work.around, answers=Place(store, ""))
        assert (await work.run()).is_finished
        assert (store.most, len(store.keys)) == (1, 1)


class _Alone(MemoryStore):
    """Counts how many write at a time, and what."""

    def __init__(self) -> None:
        super().__init__()
        self.most = self.now = 0
        self.keys: list[str] = []

    async def put(self, key: str, body: Body, options: PutOptions = PUT) -> PutResult:
        self.now += 1
        self.most = max(self.most, self.now)
        self.keys.append(key)
        await asyncio.sleep(0.05)
        result = await super().put(key, body, options)
        self.now -= 1
        return result
