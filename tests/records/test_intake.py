"""From blocks, or dead letters, to calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import pytest
from tests.records.ledgers import all_letters, letter, make_job, make_ledger

from haulyard.errors import NotFound, RecordError
from haulyard.events import RecordFailed
from haulyard.records.account import Account
from haulyard.records.bodies import encoder
from haulyard.records.books import Books
from haulyard.records.calls import Grouping
from haulyard.records.intake import Intake, SecondIntake
from haulyard.records.model import Block, Flaw
from haulyard.records.pacer import Pacer
from haulyard.records.progress import Progress, Watermark
from haulyard.records.shaping import Shaper
from haulyard.records.target import Answer

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator
    from pathlib import Path

    from haulyard.records.bodies import Shape
    from haulyard.records.calls import Call
    from haulyard.records.ledger import Ledger
    from haulyard.records.model import SourceObject

pytestmark = pytest.mark.anyio
FINE = Answer(200, {}, b"")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """The ledger of a job with two objects."""
    with make_ledger(make_job(str(tmp_path)), 2) as found:
        yield found


class World:
    """Objects of numbered records, two to a block, and the books."""

    def __init__(self, ledger: Ledger, progress: Progress | None = None) -> None:
        self.events: list[Any] = []
        self.ledger = ledger
        self.books = Books(
            ledger, progress or Progress(), Account(), Pacer(()), None, emit=self.events.append
        )
        self.rows = [b'{"n":%d}' % at for at in range(6)]
        self.flaws: dict[int, Flaw] = {}
        self.fails: dict[int, Exception] = {}
        self.starts: list[tuple[int, int, int]] = []
        self.closed = 0

    async def read(self, source: SourceObject, offset: int, line: int) -> AsyncGenerator[Block]:
        self.starts.append((source.id, offset, line))
        try:
            for at in range(offset // 10 * 2, len(self.rows), 2):
                flaws = {row: self.flaws[at + row] for row in range(2) if at + row in self.flaws}
                yield Block(
                    source.id, at * 5, at + 1, self.rows[at : at + 2], at * 5 + 10, at + 3, flaws=flaws
                )
                if source.id in self.fails:
                    raise self.fails[source.id]
        finally:
            self.closed += 1

    def intake(
        self,
        shaper: Shaper | None = None,
        *,
        size: int = 1,
        limit: int = 0,
        again: bool = False,
        shape: Shape = "json",
        template: str = "",
    ) -> Intake:
        grouping = Grouping(encoder(shape, template, size)[0], size, "u")
        return (SecondIntake if again else Intake)(
            self.ledger, self.books, self.read, shaper or Shaper(), grouping, size=size, limit=limit
        )

    async def all(self, intake: Intake) -> list[Call]:
        return [call async for call in intake.calls()]

    def deliver(self, *calls: Call) -> None:
        for call in calls:
            self.books.delivered(call, FINE, 0.01)


def numbers(calls: list[Call]) -> list[Any]:
    return [orjson.loads(call.body) for call in calls]


async def test_every_record_of_every_object_is_given_out_once_in_order(ledger: Ledger) -> None:
    world = World(ledger)
    intake = world.intake()
    calls = await world.all(intake)
    assert [call.body for call in calls] == world.rows * 2
    assert [call.key for call in calls[:3]] == ["u-1-0-0", "u-1-0-1", "u-1-10-0"]
    assert intake.is_at_end
    world.deliver(*calls)
    assert world.books.progress.watermark.object == 3
    assert (world.books.account.delivered, world.books.account.objects) == (12, 2)


@pytest.mark.parametrize("size", [1, 4])
async def test_what_came_to_its_end_is_not_given_out_again(ledger: Ledger, size: int) -> None:
    world = World(ledger)
    calls = await world.all(world.intake())
    world.deliver(*calls[:3], calls[4], *calls[6:8])
    again = World(ledger, Progress.restore(world.books.progress.snapshot()))
    rest = await again.all(again.intake(size=size))
    bodies = [call.body for call in (calls[3], calls[5], *calls[8:])]
    assert [value for call in rest for value in call.values] == bodies
    assert again.starts == [(1, 10, 3), (2, 0, 0)]
    again.deliver(*rest)
    assert again.books.progress.watermark == Watermark(3)


async def test_calls_of_several_reach_over_blocks_and_objects(ledger: Ledger) -> None:
    world = World(ledger)
    calls = await world.all(world.intake(size=5))
    assert [len(call.values) for call in calls] == [5, 5, 2]
    world.deliver(*calls)
    assert world.books.progress.watermark.object == 3


@pytest.mark.parametrize("size", [1, 4])
async def test_a_limit_is_for_one_run_and_the_next_goes_on_behind_it(ledger: Ledger, size: int) -> None:
    progress, seen = Progress(), []
    for limit in (3, 1, 7, 5):
        world = World(ledger, Progress.restore(progress.snapshot()))
        intake = world.intake(size=size, limit=limit)
        calls = await world.all(intake)
        seen += [value for call in calls for value in call.values]
        world.deliver(*calls)
        progress = world.books.progress
        assert world.closed == len(world.starts)
        assert intake.is_at_end == (limit == 5)
    assert seen == [b'{"n":%d}' % at for at in range(6)] * 2


async def test_what_cannot_be_read_is_buried_with_its_place(ledger: Ledger) -> None:
    world = World(ledger)
    world.flaws = {1: Flaw(2, 7, "no JSON", b"{nope"), 2: Flaw(0, 9, "no date")}
    world.rows[1] = world.rows[2] = b""
    calls = await world.all(world.intake(size=2))
    assert [len(call.values) for call in calls] == [2, 2, 2, 2]
    await world.books.commit()
    kept = [each.letter for each in all_letters(ledger)]
    assert [(each.kind, each.reason, each.record, each.line) for each in kept[:2]] == [
        ("malformed", "no JSON (byte 7)", b"{nope", 2),
        ("malformed", "no date (row 9)", b"", 0),
    ]
    assert [event.record for event in world.events if isinstance(event, RecordFailed)][:2] == [
        "1-0-1",
        "1-10-0",
    ]


async def test_a_sample_is_one_of_what_cannot_be_read_too(ledger: Ledger) -> None:
    world = World(ledger)
    world.flaws = {at: Flaw(at, 0, "bad") for at in range(6)}
    await world.all(world.intake(Shaper(sample=1e-9)))
    assert (world.books.account.malformed, world.books.account.passed_over) == (0, 12)


async def test_what_a_transform_makes_nothing_of_is_passed_over_and_what_it_raises_is_kept(
    ledger: Ledger,
) -> None:
    def choose(record: Any) -> Any:
        if record["n"] == 1:
            raise KeyError("city")
        return record if record["n"] > 2 else None

    world = World(ledger)
    assert numbers(await world.all(world.intake(Shaper(transform=choose))))[:3] == [
        {"n": 3},
        {"n": 4},
        {"n": 5},
    ]
    await world.books.commit()
    first = all_letters(ledger)[0].letter
    assert (first.kind, first.reason, first.record) == ("transform", "KeyError: 'city'", b'{"n":1}')
    assert (world.books.account.passed_over, world.books.account.transform) == (4, 2)


async def test_a_record_of_several_values_ends_once_all_of_them_have(ledger: Ledger) -> None:
    world = World(ledger)
    twice = Shaper(transform=lambda record: [record, {"again": record["n"]}])
    calls = await world.all(world.intake(twice))
    assert [call.key for call in calls[:3]] == ["u-1-0-0", "u-1-0-0.1", "u-1-0-1"]
    world.deliver(*calls[1:])
    assert world.books.progress.watermark == Watermark(1, 0, 1)
    world.deliver(calls[0])
    assert world.books.progress.watermark.object == 3
    grouped = await World(ledger).all(World(ledger).intake(twice, size=3))
    assert len(grouped) == 8


async def test_a_record_of_which_one_part_goes_into_no_call_is_kept_whole_and_not_sent(
    ledger: Ledger,
) -> None:
    def split(record: Any) -> Any:
        return [{"x": record["n"]}, {"y": record["n"]}] if record["n"] == 1 else {"x": record["n"]}

    world = World(ledger)
    calls = await world.all(world.intake(Shaper(transform=split), shape="template", template="{{x}}"))
    assert numbers(calls)[:4] == [0, 2, 3, 4]
    await world.books.commit()
    first = all_letters(ledger)[0].letter
    assert (first.kind, first.record, first.part) == ("transform", b'{"n":1}', 0)
    assert first.reason == "the record has no field 'x', which the template wants"
    # Sent again it goes through the transform, once.
    again = await world.all(world.intake(Shaper(transform=lambda r: {"x": r["n"] * 10}), again=True))
    assert numbers(again) == [{"x": 10}, {"x": 10}]


@pytest.mark.parametrize("error", [RecordError("no gzip"), NotFound("gone")])
async def test_an_object_that_cannot_be_read_to_its_end_is_noted_and_the_next_is_read(
    ledger: Ledger, error: Exception
) -> None:
    world = World(ledger)
    world.fails = {1: error}
    calls = await world.all(world.intake())
    assert len(calls) == 8
    world.deliver(*calls)
    await world.books.commit()
    assert ledger.state().unread == 1
    assert world.books.progress.watermark.object == 3


async def test_other_errors_of_the_source_end_the_run(ledger: Ledger) -> None:
    world = World(ledger)
    world.fails = {1: OSError("cable")}
    with pytest.raises(OSError, match="cable"):
        await world.all(world.intake())
    assert world.closed == len(world.starts)


async def kept(ledger: Ledger, *letters: Any) -> World:
    world = World(ledger)
    for each in letters:
        world.books._letters.append(each)
        setattr(world.books.account, each.kind, getattr(world.books.account, each.kind) + 1)
    await world.books.commit()
    return world


async def test_dead_letters_are_given_out_again_but_for_those_that_could_not_be_read(ledger: Ledger) -> None:
    world = await kept(
        ledger,
        letter(0, record=b'{"n":0}'),
        letter(1, kind="malformed"),
        letter(2, kind="failed", record=b'{"n":2}'),
        letter(3, kind="transform", record=b'{"n":3}'),
    )
    shaper = Shaper(transform=lambda record: {"new": record["n"]})
    intake = world.intake(shaper, again=True)
    calls = await world.all(intake)
    # What was shaped before goes as it was kept.
    assert numbers(calls) == [{"n": 0}, {"n": 2}, {"new": 3}]
    assert [call.key for call in calls] == ["u-1-0-0", "u-1-0-2", "u-1-0-3"]
    assert intake.is_at_end
    world.deliver(*calls)
    await world.books.commit()
    assert [each.letter.kind for each in all_letters(ledger, unresolved_only=True)] == ["malformed"]
    account = world.books.account
    assert (account.delivered, account.failures, account.records) == (3, 1, 4)
    assert await world.all(world.intake(shaper, again=True)) == []


async def test_so_many_dead_letters_again_as_the_limit_says(ledger: Ledger) -> None:
    world = await kept(ledger, letter(0, kind="malformed"), *(letter(row) for row in range(1, 5)))
    calls = await world.all(world.intake(again=True, limit=2))
    assert [call.origins[0].address.row for call in calls] == [1, 2]
    several = await world.all(world.intake(again=True, size=3))
    assert [len(call.values) for call in several] == [3, 1]


async def test_a_letter_of_which_several_values_are_made_is_settled_with_the_last(ledger: Ledger) -> None:
    world = await kept(ledger, letter(0, kind="transform", record=b'{"n":0}'))
    calls = await world.all(world.intake(Shaper(transform=lambda record: [record, record]), again=True))
    assert [call.key for call in calls] == ["u-1-0-0", "u-1-0-0.1"]
    world.deliver(calls[1])
    await world.books.commit()
    assert len(all_letters(ledger, unresolved_only=True)) == 1
    world.deliver(calls[0])
    await world.books.commit()
    assert all_letters(ledger, unresolved_only=True) == []
    assert world.books.account.transform == 0


async def test_a_letter_that_a_transform_now_makes_nothing_of_is_settled(ledger: Ledger) -> None:
    world = await kept(ledger, letter(0, kind="transform", record=b'{"n":0}'))
    assert await world.all(world.intake(Shaper(transform=lambda _: None), again=True)) == []
    await world.books.commit()
    assert all_letters(ledger, unresolved_only=True) == []
    assert world.books.account.passed_over == 1
