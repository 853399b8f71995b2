"""Which records came to their end: a watermark, and bitmaps of what ended out of order behind it. Pure.

Blocks are begun in the order in which they are read, and their rows end in any order. The *watermark* is
where the first block begins that has a row still open: all before it ended, and reading goes on from there.
Of the blocks behind it a bitmap says which rows ended, so that these are not sent again.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from haulyard.errors import JobError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from haulyard.records.model import Block

#: A row is a digit: ``int(digits, 2)`` packs 10,000 of them in 11 µs, and a mark is a store into a bytearray.
_OPEN: Final = ord("0")
_ENDED: Final = ord("1")


class Watermark(NamedTuple):
    """Where reading goes on: an object's id, and the offset and line of a block of it, as blocks have them.

    ``offset`` 0 is the object's beginning.
    """

    object: int = 1
    offset: int = 0
    line: int = 0


#: Where nothing was read yet.
BEGINNING: Final = Watermark()


class BlockProgress:
    """The rows of one block; those that ended in an earlier run are so from the beginning."""

    __slots__ = ("_digits", "_hex", "_progress", "end", "left", "rows", "start")

    def __init__(
        self, progress: Progress, start: Watermark, end: Watermark, rows: int, ended: int = 0
    ) -> None:
        self.start = start
        self.end = end
        self.rows = rows
        #: How many rows are open.
        self.left = rows - ended.bit_count()
        # Row 0 is the first digit, as one reads; `_bits` has it as the highest bit.
        self._digits = bytearray(f"{ended:0{rows}b}" if rows else "", "ascii")
        self._hex: str | None = None
        self._progress = progress

    def mark(self, row: int) -> None:
        """Say that a row came to its end, delivered or not; twice is harmless."""
        if self._digits[row] == _OPEN:
            self._digits[row] = _ENDED
            self._hex = None
            self.left -= 1
            if not self.left:
                self._progress._advance()  # noqa: SLF001 -- two halves of one thing

    def mark_rows(self, first: int, end: int) -> None:
        """Say so of the rows from ``first`` to before ``end``."""
        left = self._digits.count(_OPEN, first, end)
        if left:
            self._digits[first:end] = bytes((_ENDED,)) * (end - first)
            self._hex = None
            self.left -= left
            if not self.left:
                self._progress._advance()  # noqa: SLF001 -- two halves of one thing

    def is_marked(self, row: int) -> bool:
        """Whether the row came to its end, now or in an earlier run."""
        return self._digits[row] == _ENDED

    def open_rows(self) -> Iterator[int]:
        """Yield the rows that did not come to their end, in order."""
        at = self._digits.find(_OPEN)
        while at >= 0:
            yield at
            at = self._digits.find(_OPEN, at + 1)

    def bitmap(self) -> str:
        """Return the rows as a number in hexadecimal digits, row 0 the highest bit; ``""`` if none ended."""
        if self.left == self.rows:
            return ""
        if self._hex is None:
            self._hex = format(int(self._digits, 2), "x")
        return self._hex


class _Earlier(NamedTuple):
    """What an earlier run told of a block that this one has not met yet."""

    rows: int
    bits: int


class Progress:
    """The blocks that are open, in reading order, and the watermark before them.

    An object is over when all its blocks are and `object_read` said that there are no more.
    """

    def __init__(self, watermark: Watermark = BEGINNING) -> None:
        self.watermark = watermark
        self._blocks: deque[BlockProgress | Watermark] = deque()
        self._earlier: dict[tuple[int, int], _Earlier] = {}

    @classmethod
    def restore(cls, snapshot: Mapping[str, Any]) -> Self:
        """Go on from what `snapshot` returned: reading begins at `watermark`.

        Raises:
            JobError: It is no such thing.
        """
        try:
            progress = cls(Watermark(*map(int, snapshot["watermark"])))
            for number, offset, rows, digits in snapshot["blocks"]:
                bits = int(digits, 16)
                if bits.bit_length() > rows:
                    raise ValueError(digits)  # noqa: TRY301 -- said with the others
                progress._earlier[int(number), int(offset)] = _Earlier(int(rows), bits)
        except (LookupError, TypeError, ValueError) as error:
            raise JobError(f"the job's progress cannot be understood: {error!r}", hint=_ANOTHER) from error
        return progress

    @property
    def open_blocks(self) -> int:
        """How many blocks were begun and are not behind the watermark."""
        return sum(isinstance(each, BlockProgress) for each in self._blocks)

    @property
    def open_rows(self) -> int:
        """How many rows of these did not come to their end."""
        return sum(each.left for each in self._blocks if isinstance(each, BlockProgress))

    def done(self, number: int, offset: int) -> int | None:
        """Return which rows of a block ended in an earlier run, row 0 the highest bit; None for none."""
        found = self._earlier.get((number, offset))
        return found.bits if found else None

    def begin(self, block: Block) -> BlockProgress:
        """Take in the next block in reading order.

        Raises:
            JobError: It is not where the earlier run had it: another release, or the object changed.
        """
        rows, earlier = len(block.rows), self._earlier.pop((block.object, block.offset), None)
        if earlier is not None and earlier.rows != rows:
            raise _moved(block.object, block.offset, f"{earlier.rows} records, now {rows}")
        self._check_met(block.object, block.offset)
        begun = BlockProgress(
            self,
            Watermark(block.object, block.offset, block.line),
            Watermark(block.object, block.end, block.end_line),
            rows,
            earlier.bits if earlier else 0,
        )
        self._blocks.append(begun)
        if not begun.left:
            self._advance()
        return begun

    def object_read(self, number: int, *, is_whole: bool = True) -> None:
        """Say that there are no more blocks of an object; the next one follows.

        Unless it ``is_whole``, what the earlier run knew of the rest is given up: it can be read no more.

        Raises:
            JobError: The earlier run had more of them.
        """
        if not is_whole:
            self._earlier = {at: each for at, each in self._earlier.items() if at[0] != number}
        self._check_met(number + 1, 0)
        self._blocks.append(Watermark(number + 1))
        self._advance()

    def snapshot(self) -> dict[str, Any]:
        """Return all that `restore` needs, as JSON has it: ``[object, offset, rows, hex digits]`` a block."""
        blocks = [
            [each.start.object, each.start.offset, each.rows, bitmap]
            for each in self._blocks
            if isinstance(each, BlockProgress) and (bitmap := each.bitmap())
        ]
        # What this run has not met yet must not be lost with it.
        blocks += [[*at, earlier.rows, format(earlier.bits, "x")] for at, earlier in self._earlier.items()]
        return {"watermark": list(self.watermark), "blocks": blocks}

    def _advance(self) -> None:
        blocks = self._blocks
        while blocks:
            first = blocks[0]
            if isinstance(first, Watermark):
                self.watermark = first
            elif first.left:
                # The next one may begin behind something that holds no record.
                self.watermark = first.start
                return
            else:
                self.watermark = first.end
            blocks.popleft()

    def _check_met(self, number: int, offset: int) -> None:
        """Refuse to pass by a block of which the earlier run knew."""
        if self._earlier and (passed := min(self._earlier)) < (number, offset):
            raise _moved(*passed, f"{self._earlier[passed].rows} records, now none")


_ANOTHER: Final = "use the release of Haulyard that began the job, or start over with --new"


def _moved(number: int, offset: int, what: str) -> JobError:
    return JobError(
        f"records are not where they were: at {offset} of object {number} there were {what}", hint=_ANOTHER
    )
