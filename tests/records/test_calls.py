"""Which records go into a call, and what is known of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.records.ledgers import letter

from haulyard.errors import RecordError
from haulyard.records.bodies import encoder
from haulyard.records.calls import Call, Grouping, Origin, Ticket, describe_flaw, why_not
from haulyard.records.ledger_rows import Kept
from haulyard.records.model import Address, Block, Flaw, SourceObject
from haulyard.records.progress import BlockProgress, Progress

if TYPE_CHECKING:
    from collections.abc import Sequence


def block(rows: int, *, offset: int = 0) -> BlockProgress:
    values = [b"%d" % row for row in range(rows)]
    return Progress().begin(Block(1, offset, 0, values, offset + rows))


def grouping(size: int) -> Grouping:
    return Grouping(encoder("json", "", size)[0], size, "uid")


def rows(progress: BlockProgress, first: int, end: int) -> tuple[Sequence[bytes], Origin]:
    values = [b"%d" % row for row in range(first, end)]
    return values, Origin(Address(1, 0, first), progress, end - first)


def made(group: Grouping, *pieces: tuple[Sequence[bytes], Origin]) -> list[Call]:
    calls = [call for values, origin in pieces for call in group.add(values, origin)]
    return [*calls, *group.rest()]


def test_a_call_of_one_has_the_address_of_its_record_as_its_key() -> None:
    call = grouping(1).single(b"7", Origin(Address(1, 2, 3), None))
    assert (call.body, call.key, call.attempts) == (b"7", "uid-1-2-3", 0)
    assert grouping(1).single(b"7", Origin(Address(1, 2, 3), None, part=2)).key == "uid-1-2-3.2"


def test_calls_are_full_but_for_the_last_whatever_the_blocks_are() -> None:
    one, other = block(5), block(3)
    calls = made(grouping(4), rows(one, 0, 5), rows(other, 0, 3))
    assert [call.body for call in calls] == [b"[0,1,2,3]", b"[4,0,1,2]"]
    assert [call.body for call in made(grouping(4), rows(one, 0, 5))] == [b"[0,1,2,3]", b"[4]"]
    assert made(grouping(4)) == []


def test_the_key_of_several_says_which_they_are_however_they_came_together() -> None:
    progress = block(6)
    (whole,) = made(grouping(3), rows(progress, 0, 3))
    (again,) = made(grouping(3), rows(progress, 0, 1), rows(progress, 1, 3))
    # Of a call that was refused and cut in two, the second half was delivered before a kill.
    (gap,) = made(grouping(3), rows(progress, 0, 1), rows(progress, 3, 5))
    (other_gap,) = made(grouping(3), rows(progress, 0, 1), rows(progress, 4, 6))
    assert whole.key == again.key == "uid-1-0-0+3"
    assert len({whole.key, gap.key, other_gap.key}) == 3
    assert gap.key == made(grouping(3), rows(progress, 0, 1), rows(progress, 3, 5))[0].key


def test_parts_of_one_record_have_keys_of_their_own() -> None:
    at = Address(1, 0, 0)
    (two,) = made(grouping(2), ([b"1"], Origin(at, None, part=0)), ([b"2"], Origin(at, None, part=1)))
    (same,) = made(grouping(2), ([b"1"], Origin(at, None, part=1)), ([b"2"], Origin(at, None, part=2)))
    assert two.key.startswith("uid-1-0-0+2-")
    assert same.key.startswith("uid-1-0-0.1+2-")


def test_rows_end_together_or_one_by_one() -> None:
    progress = block(5)
    (call,) = made(grouping(5), rows(progress, 0, 5))
    halves = grouping(5).halves(call)
    assert [half.body for half in halves] == [b"[0,1]", b"[2,3,4]"]
    assert [half.key for half in halves] == ["uid-1-0-0+2", "uid-1-0-2+3"]
    for origin in halves[1].origins:
        origin.end()
    assert list(progress.open_rows()) == [0, 1]
    assert [(value, origin.address.row) for value, origin in halves[0].singles()] == [(b"0", 0), (b"1", 1)]
    call.origins[0].end()
    assert progress.left == 0


def test_a_record_of_several_parts_ends_with_the_last_of_them() -> None:
    progress = block(2)
    ticket = Ticket(progress, 1, 2)
    parts = [Origin(Address(1, 0, 1), progress, part=part, ticket=ticket) for part in range(2)]
    parts[1].end()
    assert not progress.is_marked(1)
    parts[0].end()
    assert progress.is_marked(1)


def test_a_dead_letter_is_settled_by_the_last_part_that_is_made_of_it() -> None:
    kept = Kept(1, letter(1), SourceObject(1, "a", 1, "e"))
    at = kept.letter.address
    assert Origin(at, None, letter=kept).letter is kept
    ticket = Ticket(None, at.row, 2, kept)
    parts = [Origin(at, None, part=part, ticket=ticket) for part in range(2)]
    assert [part.letter for part in parts] == [None, None]
    parts[1].end()
    assert parts[0].letter is kept
    parts[0].end()
    Origin(at, None, letter=kept).end()


def test_a_body_that_cannot_be_made_is_the_records_own_failure() -> None:
    group = Grouping(encoder("template", "{{x}}", 1)[0], 1, "uid")
    with pytest.raises(RecordError, match="no field 'x'"):
        group.single(b"{}", Origin(Address(1, 0, 0), None))


def test_what_is_wrong_is_said_in_words() -> None:
    assert why_not(RecordError("no field")) == "no field"
    assert why_not(KeyError("x")) == "KeyError: 'x'"
    assert describe_flaw(Flaw(3, 40, "bad")) == "bad (byte 40)"
    assert describe_flaw(Flaw(0, 4, "bad")) == "bad (row 4)"
