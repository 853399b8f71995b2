"""Text cut into blocks of whole records, whatever is quoted in it.

A line feed ends a record unless it is in quotes, and a quote opens a field at its very beginning only. Most
blocks have no quotes: their last line feed is the end. In most others the quotes just before some line feed
tell that it is in none. Where all quotes stand where they should, it is a matter of counting, which Arrow
does for the whole block at once; only records with a quote out of place are looked at one by one.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from haulyard.ingest.literals import as_array, integer
from haulyard.ingest.model import KEPT_ROW

if TYPE_CHECKING:
    from collections.abc import Iterator

    from haulyard.records.formats.delimited import Dialect

_ZERO: Final = integer(0, pa.uint64())
_ONE: Final = integer(1, pa.uint64())


#: Quotes that are looked at for a certain end, from the last one of a block on.
_STEPS: Final = 200
#: Bytes of the first block.
_FIRST: Final = 256 * 1024


class Block(NamedTuple):
    """Whole records that follow each other, or one that is none: ``flaw`` says why.

    Of a flawed record, ``data`` is the beginning and ``lines`` how many lines it has.
    """

    data: bytes
    flaw: str = ""
    lines: int = 0


class LineEnds:
    """Records are lines."""

    quote = b""

    def may_hide(self, data: bytes) -> bool:  # noqa: ARG002 -- lines have no quotes
        """Whether a line feed may end no record because of something in ``data``."""
        return False

    def last(self, data: bytes) -> int:
        """Return the end of the last whole record; 0 where there is none."""
        return data.rfind(b"\n") + 1

    def opening(self, data: bytes) -> int:  # noqa: ARG002 -- lines have no quotes
        """Return where the quote is that keeps the first record from ending; -1 where there is none."""
        return -1


class RecordEnds:
    """Finds where records end that may have line feeds in quotes. ``data`` always begins with a record."""

    def __init__(self, dialect: Dialect) -> None:
        self._ends = dialect.ends()
        self._escape = dialect.escape.encode()
        self._delimiter = dialect.delimiter.encode()
        self.quote = dialect.quote.encode()

    def may_hide(self, data: bytes) -> bool:
        """Whether a line feed may end no record because of something in ``data``."""
        return any(each in data for each in (self.quote, self._escape) if each)

    def last(self, data: bytes) -> int:
        """Return the end of the last whole record; 0 where there is none."""
        if self._escape and self._escape in data:
            return self._ends.last(data, 0, len(data))
        if not self.quote or self.quote not in data:
            return data.rfind(b"\n") + 1
        if b"\n" not in data:
            return 0
        if end := self._last_certain(data):
            return end
        quotes = _Quotes(data, self.quote, self._delimiter)
        at = first = 0
        while (odd := quotes.out_of_place(first)) >= 0:
            begin = quotes.last_end(at, odd, first)
            end = self.next(data, begin)
            if end < 0:
                return begin
            at, first = end, quotes.before(end)
        return quotes.last_end(at, len(data), first)

    def _last_certain(self, data: bytes) -> int:
        """Return the end of the last record that a few quotes before it make certain; 0 where none do.

        Quotes in a row, of an even number, leave what follows them in quotes or not, as it was before. An odd
        number of them that nothing which ends a field stands before cannot open one: no quotes are open then.
        """
        stop = len(data)
        end = data.rfind(b"\n", 0, stop) + 1
        for _ in range(_STEPS):
            last = data.rfind(self.quote, 0, min(end, stop))
            if not end or last < 0:
                return end
            begin = last
            while begin and data[begin - 1 : begin] == self.quote:
                begin -= 1
            stop = begin
            if (last - begin) % 2:
                continue
            if data[begin - 1 : begin] not in {b"", b"\n", self._delimiter}:
                return end
            end = data.rfind(b"\n", 0, stop) + 1
        return 0

    def next(self, data: bytes, at: int) -> int:
        """Return the end of the record that begins at ``at``; -1 where it is not there."""
        return self._ends.next(data, at, len(data))

    def opening(self, data: bytes) -> int:
        """Return where the quote is that keeps the first record from ending; -1 where there is none."""
        return self._ends.opening(data, 0, len(data))


class _Quotes:
    """The quotes of a block, by number.

    Counted from one outside of any field's text, quotes open and close in turn: one that opens has a
    delimiter, a line feed or (a doubled quote) a quote before it, one that closes has them behind it. While
    that holds, counting tells what is quoted.
    """

    def __init__(self, data: bytes, quote: bytes, delimiter: bytes) -> None:
        text = as_array(data)
        self._data = data
        self._at = at = pc.indices_nonzero(pc.equal(text, as_array(quote)[0]))
        last = integer(len(data) - 1, pa.uint64())
        around = as_array(delimiter + quote + b"\n\r")
        before = text.take(pc.subtract(pc.max_element_wise(at, _ONE), _ONE))
        behind = text.take(pc.min_element_wise(pc.add(at, _ONE), last))
        opens = pc.or_(pc.is_in(before, around.slice(0, 3)), pc.equal(at, _ZERO))
        closes = pc.or_(pc.is_in(behind, around), pc.equal(at, last))
        is_even = pc.equal(pc.bit_wise_and(pa.arange(0, len(at)).cast(pa.uint64()), _ONE), _ZERO)
        # Out of place where the first to open has an even number, and where it has an odd one.
        self._odd = tuple(
            pc.indices_nonzero(pc.invert(pc.if_else(is_even, one, other)))
            for one, other in ((opens, closes), (closes, opens))
        )

    def out_of_place(self, first: int) -> int:
        """Return where the first quote is that is out of place if number ``first`` opens; -1 for none."""
        odd = self._odd[first % 2]
        found = _bisect(odd, first)
        return int(self._at[odd[found].as_py()].as_py()) if found < len(odd) else -1

    def before(self, at: int) -> int:
        """Return how many quotes there are before ``at``."""
        return _bisect(self._at, at)

    def last_end(self, start: int, stop: int, first: int) -> int:
        """Return the end of the last record within ``start`` and ``stop``, if quote ``first`` opens."""
        while end := self._data.rfind(b"\n", start, stop) + 1:
            count = self.before(end)
            if (count - first) % 2 == 0:
                return end
            stop = int(self._at[count - 1].as_py())
        return start


def _bisect(numbers: pa.Array, number: int) -> int:
    return bisect_left(numbers, number, key=lambda each: each.as_py())


class Cutter:
    """Cuts text into blocks of about ``size`` bytes; a record is at most ``most`` bytes long.

    It holds what is not yet a block, at most one record. The first block is small: all others wait for what
    it tells of the types.
    """

    def __init__(self, ends: LineEnds | RecordEnds, *, size: int, most: int) -> None:
        self._ends = ends
        self._size = size
        self._most = most
        self._pieces: list[bytes] = []
        self._held = 0
        #: What is held is looked at when it is so long.
        self._wanted = min(size, _FIRST)
        #: Within a flawed record, of which its lines are wanted still.
        self._skipped: Block | None = None

    def is_easy(self, data: bytes) -> bool:
        """Whether `feed` has little to do with ``data``: it need not go to a thread."""
        return self._held + len(data) < self._wanted or not self._ends.quote or self._ends.quote not in data

    def feed(self, data: bytes) -> Iterator[Block]:
        """Take what follows, and yield the blocks that are complete."""
        at = 0
        while at < len(data):
            # A piece of a large one at a time, so that blocks are of a size whatever comes in.
            upto = at + max(self._wanted - self._held, 1)
            piece = data[at:upto]
            at += len(piece)
            if self._skipped is not None:
                yield from self._skip(piece)
                continue
            self._pieces.append(piece)
            self._held += len(piece)
            if self._held >= self._wanted:
                yield from self._cut()

    def finish(self) -> Iterator[Block]:
        """Yield the rest; its last record needs no line feed."""
        if self._skipped is not None:
            yield self._skipped
            self._skipped = None
        while self._held:
            yield from self._cut(ended=True)

    def _cut(self, *, ended: bool = False) -> Iterator[Block]:
        if self._held <= self._size and not any(map(self._ends.may_hide, self._pieces)):
            last = self._pieces[-1]
            if end := last.rfind(b"\n") + 1:
                # Most blocks are copied once.
                yield Block(b"".join((*self._pieces[:-1], memoryview(last)[:end])))
                self._keep(last[end:])
                return
        data = b"".join(self._pieces)
        self._pieces.clear()  # a long record is not held twice
        at, span = 0, self._size
        while len(data) - at > span:
            # Behind a flaw, or with a long record, there is more than one block should have.
            end = self._ends.last(data[at : at + span])
            if end:
                yield Block(data[at : at + end])
            at, span = (at + end, self._size) if end else (at, 2 * span)
        data = data[at:]
        end = self._ends.last(data)
        if end:
            yield Block(data[:end])
            self._keep(data[end:])
        elif ended and len(data) <= self._most and self._ends.opening(data) < 0:
            yield Block(data)
            self._keep(b"")
        elif ended or len(data) > self._most:
            yield from self._flawed(data)
        else:
            self._keep(data)
            # Twice as much before it is looked at again: a long record takes linear time.
            self._wanted = min(2 * len(data), self._most + 1)

    def _keep(self, data: bytes) -> None:
        self._pieces = [data] if data else []
        self._held = len(data)
        self._wanted = max(self._size, self._held + 1)

    def _flawed(self, data: bytes) -> Iterator[Block]:
        """Take a record that does not end for what it is, and go on behind the line that is to blame."""
        is_long = len(data) > self._most
        limit = f"{self._most / 1024**2:g} MiB"
        opening = self._ends.opening(data)
        if opening < 0:
            reason, resumed = f"a row of more than {limit} (a larger memory limit allows for it)", len(data)
        else:
            line = data.count(b"\n", 0, opening)
            begun = f"opens {line} line{'s' if line > 1 else ''} further" if line else "opens"
            reason = f"a quote that {begun} is not closed before the end of the file"
            if is_long:
                reason = (
                    f"a row of more than {limit} (a larger memory limit allows for it), "
                    f"or a quote that {begun} is not closed"
                )
            resumed = opening
        end = data.find(b"\n", resumed) + 1
        raw = data[: min(end or len(data), KEPT_ROW)].rstrip(b"\r\n")
        block = Block(raw, reason, data.count(b"\n", 0, end or len(data)))
        if end:
            yield block
            self._keep(data[end:])
        else:
            self._skipped = block
            self._keep(b"")

    def _skip(self, data: bytes) -> Iterator[Block]:
        end = data.find(b"\n") + 1
        if not end or self._skipped is None:
            return
        yield self._skipped._replace(lines=self._skipped.lines + 1)
        self._skipped = None
        self._keep(data[end:])
