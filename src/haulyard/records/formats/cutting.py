"""Where records end that are lines or runs of lines, and the blocks that they make.

The grid: a block ends with the first record that ends at or behind the next multiple of ``grid`` of the
object's own offsets. Blocks, and with them addresses, are thereby the same in every run, wherever reads ended
and wherever a run began.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from haulyard.records.model import KEPT_RECORD, Flaw

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Bytes from one end of a block to the next, if records are short.
GRID: Final = 256 * 1024
#: Bytes of a record; what is longer is a flaw, and passed over without being held. Memory takes two or three
#: times as much while there is one.
MAX_RECORD: Final = 64 * 1024**2
#: Bytes of whole records that are handled without a pause: 0.5 ms of plain CSV, 2 ms of quoted.
_PIECE: Final = 32 * 1024


class Start(NamedTuple):
    """Where reading begins: the offset of a block, and the number of its first line (0 without lines)."""

    offset: int = 0
    line: int = 1


class Text(NamedTuple):
    """Whole records, where they begin, and the number of their first line."""

    offset: int
    line: int
    data: bytes


class Cut(NamedTuple):
    """The records of one block, not yet understood."""

    start: Start
    parts: list[Text | Flaw]
    end: Start


class Ends(Protocol):
    """Finds the ends of records in ``data[start:stop]``, where a record begins at ``start``.

    What it says depends on nothing behind ``stop``.
    """

    def last(self, data: bytes, start: int, stop: int) -> int:
        """Return the end of the last whole record; ``start`` where there is none."""
        ...

    def next(self, data: bytes, start: int, stop: int) -> int:
        """Return the end of the first record; -1 where it is not there."""
        ...

    def opening(self, data: bytes, start: int, stop: int) -> int:
        """Return where the quote is that keeps the record from ending; -1 where there is none."""
        ...


class LineEnds:
    """A record is a line."""

    def last(self, data: bytes, start: int, stop: int) -> int:
        """Return the end of the last whole line."""
        return data.rfind(b"\n", start, stop) + 1 or start

    def next(self, data: bytes, start: int, stop: int) -> int:
        """Return the end of the first line."""
        return data.find(b"\n", start, stop) + 1 or -1

    def opening(self, data: bytes, start: int, stop: int) -> int:  # noqa: ARG002 -- lines have no quotes
        """Nothing keeps a line from ending."""
        return -1


class QuotedEnds:
    """A record may have line feeds in quotes, as the csv module understands them.

    A quote opens a field at its very beginning only, and is an ordinary character in any other field. The
    patterns never go back, so that no input makes them slow.
    """

    def __init__(self, delimiter: bytes, quote: bytes, escape: bytes) -> None:
        d, q, e = (re.escape(each) for each in (delimiter, quote, escape))
        quoted = rb"(?:(?<=[%b\n])|\A)%b(?:[^%b%b]++|%b%b%b)*+%b" % (
            *(d, q, q, e, q, q),
            rb"|%b." % e if e else b"",
            q,
        )
        # Behind an escaped character a field has begun: quotes there are ordinary ones.
        escaped = rb"|%b.%b*+" % (e, q) if e else b""
        tokens = rb"(?:[^%b\n%b]++|%b|(?<=[^%b\n])%b%b)*+" % (q, e, quoted, d, q, escaped)
        if not quote:
            tokens = rb"(?:[^\n%b]++%b)*+" % (e, rb"|%b." % e)
        self._quote = quote
        self._simple = escape or quote
        self._record = re.compile(tokens + rb"\n", re.DOTALL)
        self._records = re.compile(rb"(?:%b\n)*+" % tokens, re.DOTALL)
        self._tokens = re.compile(tokens, re.DOTALL)

    def last(self, data: bytes, start: int, stop: int) -> int:
        """Return the end of the last whole record."""
        if self._is_simple(data, start, stop):
            return data.rfind(b"\n", start, stop) + 1 or start
        found = self._records.match(data, start, stop)
        return found.end() if found else start

    def next(self, data: bytes, start: int, stop: int) -> int:
        """Return the end of the first record."""
        end = data.find(b"\n", start, stop) + 1
        if not end or self._is_simple(data, start, end):
            return end or -1
        found = self._record.match(data, start, stop)
        return found.end() if found else -1

    def opening(self, data: bytes, start: int, stop: int) -> int:
        """Return where the quote is that nothing closes."""
        found = self._tokens.match(data, start, stop)
        end = found.end() if found else start
        return end if self._quote and data[end:stop].startswith(self._quote) else -1

    def _is_simple(self, data: bytes, start: int, stop: int) -> bool:
        """Whether no character here has a meaning of its own."""
        if self._quote and data.find(self._quote, start, stop) >= 0:
            return False
        return self._simple == self._quote or data.find(self._simple, start, stop) < 0


class Cutter:
    """Cuts text into blocks; None in between is a moment to let others run.

    It holds what is not yet a whole piece of records, at most one record of ``max_record`` bytes.
    """

    def __init__(self, ends: Ends, start: Start, *, grid: int = GRID, max_record: int = MAX_RECORD) -> None:
        self._ends = ends
        self._grid = grid
        self._max = max_record
        self._chunks: list[bytes] = []
        self._held = 0
        #: What is held is looked at when it is so long.
        self._wanted = 0
        self._start = self._at = start
        self._target = _behind(start.offset, grid)
        self._parts: list[Text | Flaw] = []
        self._skipping = False

    def feed(self, data: bytes) -> Iterator[Cut | None]:
        """Take what follows, and yield the blocks that are complete."""
        if self._skipping:
            data = self._skip(data)
        if data:
            self._chunks.append(data)
            self._held += len(data)
        if self._held >= self._wanted and not self._skipping:
            yield from self._cut(ended=False)

    def finish(self) -> Iterator[Cut | None]:
        """Yield the rest; its last record needs no line feed."""
        if not self._skipping:
            yield from self._cut(ended=True)
        if self._parts:
            yield self._block()

    def _cut(self, *, ended: bool) -> Iterator[Cut | None]:
        data = b"".join(self._chunks)
        self._chunks = []  # a long record is not held twice
        at = 0
        while True:
            if self._skipping:
                self._wanted = 0
                break
            if self._at.offset >= self._target:
                yield self._block()
            target = at + self._target - self._at.offset
            goal = min(target, at + _PIECE)
            if at == len(data) or (goal > len(data) and not ended):
                self._wanted = goal - at
                break
            end = self._ends.last(data, at, min(goal, len(data)))
            if end < goal and (goal == target or end == at):
                following = self._ends.next(data, end, min(len(data), end + self._max))
                if following < 0:
                    self._take(data, at, end)
                    at = end
                    if len(data) - at <= self._max and not ended:
                        # Twice as much before it is looked at again: a long record takes linear time.
                        self._wanted = min(2 * (len(data) - at), self._max) + 1
                        break
                    if at < len(data):
                        at = self._take_odd(data, at)
                    continue
                end = following
            self._take(data, at, end)
            at = end
            yield None
        if at < len(data):
            self._chunks = [data[at:]]
        self._held = len(data) - at

    def _take_odd(self, data: bytes, at: int) -> int:
        """Take a record that does not end: the object's last one, or a flaw. Return where it ends."""
        is_long = len(data) - at > self._max
        upto = at + self._max if is_long else len(data)
        opening = self._ends.opening(data, at, upto)
        if opening < 0 and not is_long:
            self._take(data, at, upto)
            return upto
        limit = f"{self._max / 1024**2:g} MiB"
        if opening < 0:
            reason, resumed = f"a record of more than {limit}", upto
        else:
            line = self._at.line + data.count(b"\n", at, opening)
            where = limit if is_long else "the end of the object"
            reason, resumed = f"the quote that opens on line {line} is not closed before {where}", opening
        end = data.find(b"\n", resumed) + 1
        self._skipping = not end
        end = end or len(data)
        # Of a long record no more is sure to be here.
        raw = data[at : min(end, at + KEPT_RECORD, at + self._max)]
        self._parts.append(Flaw(self._at.line, self._at.offset, reason, raw))
        self._advance(data, at, end)
        return end

    def _take(self, data: bytes, at: int, end: int) -> None:
        if end > at:
            self._parts.append(Text(*self._at, data[at:end]))
            self._advance(data, at, end)

    def _advance(self, data: bytes, at: int, end: int) -> None:
        offset, line = self._at
        self._at = Start(offset + end - at, line + data.count(b"\n", at, end))

    def _skip(self, data: bytes) -> bytes:
        """Pass over the rest of a line that is a flaw."""
        end = data.find(b"\n") + 1
        self._skipping = not end
        end = end or len(data)
        self._advance(data, 0, end)
        return data[end:]

    def _block(self) -> Cut:
        cut = Cut(self._start, self._parts, self._at)
        self._start = self._at
        self._target = _behind(self._at.offset, self._grid)
        self._parts = []
        return cut


def _behind(offset: int, grid: int) -> int:
    return (offset // grid + 1) * grid
