"""From blocks, or dead letters, to calls: what was sent before is skipped, what cannot be sent is buried."""

from __future__ import annotations

import time
from contextlib import aclosing
from itertools import chain
from typing import TYPE_CHECKING

from haulyard.errors import NotFound, RecordError
from haulyard.records.books import letter_of
from haulyard.records.calls import Origin, Ticket, describe_flaw, why_not, why_unread
from haulyard.records.model import Address
from haulyard.records.reading_ahead import opened_ahead

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator, Sequence

    from haulyard.records.account import End
    from haulyard.records.books import Books
    from haulyard.records.calls import Call, Grouping
    from haulyard.records.ledger import Ledger
    from haulyard.records.ledger_rows import Kept
    from haulyard.records.model import Block, Flaw, SourceObject
    from haulyard.records.progress import BlockProgress
    from haulyard.records.shaping import Shaper

    #: Yields the blocks of one object from an offset and a line on.
    Reader = Callable[[SourceObject, int, int], AsyncGenerator[Block]]


class Intake:
    """The records of a job's objects that have not come to their end yet.

    Args:
        ledger: Has the objects.
        books: Know what has come to its end, and keep what cannot be sent.
        read: Reads an object.
        shaper: Makes values of records.
        grouping: Makes calls of values.
        size: Values of a call.
        limit: Records that are taken at most, 0 for all.
    """

    def __init__(
        self,
        ledger: Ledger,
        books: Books,
        read: Reader,
        shaper: Shaper,
        grouping: Grouping,
        *,
        size: int = 1,
        limit: int = 0,
    ) -> None:
        self._ledger = ledger
        self._books = books
        self._read = read
        self._shaper = shaper
        self._grouping = grouping
        self._size = size
        self._left = limit or None
        self.is_at_end = False
        """Whether all of them were given out."""

    async def calls(self) -> AsyncGenerator[Call]:
        """Yield calls of them, in the order of reading."""
        async with aclosing(self._blocks()) as blocks:
            async for block in blocks:
                for call in self._calls_of(block, self._books.progress.begin(block)):
                    yield call
                if self._left == 0:
                    break
            else:
                self.is_at_end = True
        for call in self._grouping.rest():
            yield call

    async def _blocks(self) -> AsyncGenerator[Block]:
        books = self._books
        start = books.progress.watermark

        def read(source: SourceObject) -> AsyncGenerator[Block]:
            is_begun = source.id == start.object
            return self._read(source, *(start.offset, start.line) if is_begun else (0, 0))

        objects = chain.from_iterable(self._ledger.objects(start.object - 1))
        async with aclosing(opened_ahead(objects, read)) as opened:
            async for each in opened:
                number, is_whole = each.source.id, True
                try:
                    async with aclosing(each.blocks()) as blocks:
                        async for block in blocks:
                            yield block
                except (RecordError, NotFound) as error:
                    books.unread(number, why_unread(error))
                    is_whole = False
                books.progress.object_read(number, is_whole=is_whole)
                books.account.objects = max(books.account.objects, number)
                books.touched()

    def _calls_of(self, block: Block, progress: BlockProgress) -> Iterator[Call]:
        number, offset, rows = block.object, block.offset, block.rows
        if self._size > 1 and self._shaper.is_plain and not block.flaws and progress.left == len(rows):
            rows = rows[: self._take(len(rows))]
            if rows:
                yield from self._grouping.add(rows, Origin(Address(number, offset, 0), progress, len(rows)))
            return
        for row in list(progress.open_rows()):
            if not self._take(1):
                return
            origin = Origin(Address(number, offset, row), progress)
            if row in block.flaws and self._shaper.takes(origin.address):
                self._bury_flaw(block.flaws[row], origin)
            else:
                yield from self._calls_with(rows[row], origin)

    def _take(self, count: int) -> int:
        """Return how many of so many records may be taken."""
        if self._left is None:
            return count
        count = min(count, self._left)
        self._left -= count
        return count

    def _calls_with(self, record: bytes, origin: Origin) -> Sequence[Call]:
        try:
            values = self._shaper.values(record, origin.address)
            # All of them before one is sent: what is buried is the record as it was read, and all of it.
            calls = self._grouped(values, origin)
        except Exception as error:  # noqa: BLE001 -- whatever the user's code raises
            self._bury(record, origin, "transform", why_not(error))
            return ()
        if not values:
            self._books.passed_over(origin)
        return calls

    def _grouped(self, values: Sequence[bytes], origin: Origin) -> list[Call]:
        """Return the calls that can be made now; raises RecordError where a value can go into none."""
        if self._size == 1 and len(values) == 1:
            return [self._grouping.single(values[0], origin)]
        origins = (origin,) if len(values) == 1 else _parts(origin, len(values))
        if self._size > 1:
            return [
                call
                for value, each in zip(values, origins, strict=True)
                for call in self._grouping.add((value,), each)
            ]
        return [self._grouping.single(value, each) for value, each in zip(values, origins, strict=True)]

    def _bury_flaw(self, flaw: Flaw, origin: Origin) -> None:
        self._bury(flaw.raw, origin, "malformed", describe_flaw(flaw), line=flaw.line)

    def _bury(self, record: bytes, origin: Origin, kind: End, reason: str, *, line: int = 0) -> None:
        self._books.buried(letter_of(record, origin, kind, reason, at=time.time(), line=line), origin)


class SecondIntake(Intake):
    """The dead letters of a job, to be tried again; those that could not be read are left as they are."""

    async def calls(self) -> AsyncGenerator[Call]:
        """Yield calls of them, in their order."""
        for page in self._ledger.letters(unresolved_only=True):
            for kept in page:
                for call in self._calls_again(kept):
                    yield call
        self.is_at_end = True
        for call in self._grouping.rest():
            yield call

    def _calls_again(self, kept: Kept) -> Iterator[Call]:
        letter = kept.letter
        if letter.kind == "malformed" or not self._take(1):
            return
        origin = Origin(letter.address, None, part=letter.part, letter=kept)
        if letter.kind == "transform":
            yield from self._calls_with(letter.record, origin)
        else:
            yield from self._grouped((letter.record,), origin)


def _parts(origin: Origin, count: int) -> list[Origin]:
    ticket = Ticket(origin.block, origin.address.row, count, origin.letter)
    return [Origin(origin.address, origin.block, part=part, ticket=ticket) for part in range(count)]
