"""JSON that is no JSON Lines: an array, or values one after another, over as many lines as they like.

Only the element that is being read is held. Reading can begin behind any element.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import orjson

from haulyard.records.formats.cutting import GRID, MAX_RECORD, Start
from haulyard.records.formats.encoding import UTF8_BOM
from haulyard.records.model import KEPT_RECORD, Block, Flaw

if TYPE_CHECKING:
    from collections.abc import Iterator

    from haulyard.records.formats.encoding import Charset

#: What values are cut by.
SPECIALS: Final = b'"\\{}[],\n'

#: Bytes of elements that are understood without a pause.
_PIECE: Final = 32 * 1024
_SPACE: Final = re.compile(rb"[ \t\r\n]*+")
_STRING: Final = rb'"(?:[^"\\]++|\\.)*+"'
_SCALAR: Final = re.compile(rb"%b|[^\s,\[\]{}\"]++" % _STRING, re.DOTALL)
_TOKEN: Final = re.compile(rb'%b|[\[\]{}"]' % _STRING, re.DOTALL)


def _nested(levels: int) -> bytes:
    """Return the pattern of an array or object with others inside it, down to ``levels`` of them."""
    inside = b"|" + _nested(levels - 1) if levels else b""
    return rb'[\[{](?:[^"\[\]{}]++|%b%b)*+[\]}]' % (_STRING, inside)


#: How a text goes on between elements, by what was expected and what came.
_NEXT: Final = {
    ("bracket", b"["): "element",
    ("element", b"]"): "end",
    ("after", b"]"): "end",
    ("after", b","): "comma",
}
_SHALLOW: Final = re.compile(_nested(3), re.DOTALL)


def begins_array(head: bytes) -> bool:
    """Whether a text that begins like this is an array, rather than values one after another."""
    return head.removeprefix(UTF8_BOM).lstrip().startswith(b"[")


class _Broken(Exception):
    """The text cannot be JSON from ``at`` on."""

    def __init__(self, at: int, reason: str) -> None:
        super().__init__(reason)
        self.at = at
        self.reason = reason


class JsonValues:
    """Makes blocks of the elements of an array, or of a series of values.

    Where the text is broken, all that follows is one flaw.
    """

    def __init__(
        self,
        object_id: int,
        charset: Charset,
        start: Start,
        *,
        is_array: bool,
        is_begun: bool,
        grid: int = GRID,
        max_record: int = MAX_RECORD,
    ) -> None:
        """``is_array`` says what `begins_array` says, ``is_begun`` that an element came before ``start``."""
        self._object = object_id
        self._charset = charset
        self._grid = grid
        self._max = max_record
        self._chunks: list[bytes] = []
        self._held = 0
        self._wanted = 1
        self._start = self._at = start
        self._last = start
        #: What may come: another value of a "series"; of an array its "bracket", an "element" or its end, an
        #: element in any case ("comma"), what is "after" an element, or nothing any more ("end").
        self._expected = ("after" if is_begun else "bracket") if is_array else "series"
        self._rows: list[bytes] = []
        self._flaw: Flaw | None = None

    def feed(self, data: bytes) -> Iterator[Block | None]:
        """Take the text that follows, and yield the blocks that are complete."""
        if self._flaw is not None:
            raw = self._flaw.raw + data[: KEPT_RECORD - len(self._flaw.raw)]
            self._flaw = self._flaw._replace(raw=raw)
            self._advance(data, 0, len(data))
            return
        self._chunks.append(data)
        self._held += len(data)
        if self._held >= self._wanted:
            yield from self._read(ended=False)

    def finish(self) -> Iterator[Block | None]:
        """Yield what is left."""
        if self._flaw is None:
            yield from self._read(ended=True)
        if self._flaw is not None:
            self._rows.append(b"")
            self._last = self._at
        if self._rows:
            yield self._block()

    def _read(self, *, ended: bool) -> Iterator[Block | None]:
        data = b"".join(self._chunks)
        self._chunks = []  # a long record is not held twice
        at = paused = 0
        try:
            while (element := self._element(data, at, ended=ended)) is not None:
                begin, end = element
                row = self._row(data, begin, end)
                self._advance(data, at, end)
                at = end
                self._rows.append(row)
                self._last = self._at
                self._expected = "series" if self._expected == "series" else "after"
                if self._at.offset >= (self._start.offset // self._grid + 1) * self._grid:
                    yield self._block()
                if at - paused >= _PIECE:
                    paused = at
                    yield None
        except _Broken as broken:
            self._give_up(data, at, broken)
            return
        # `_element` may have passed separators; what it found of the next element is looked for again.
        self._chunks = [data[at:]]
        self._held = len(data) - at
        self._wanted = min(2 * self._held, self._max) + 1

    def _element(self, data: bytes, at: int, *, ended: bool) -> tuple[int, int] | None:
        """Return where the next element begins and ends; None where that is not yet, or never, known."""
        expected = self._expected
        while True:
            at = _behind_space(data, at)
            if at == len(data):
                if ended and expected in {"element", "comma", "after"}:
                    raise _Broken(at, "the array does not end")
                return None
            following = _NEXT.get((expected, data[at : at + 1]))
            if following is None:
                break
            expected = following
            at += 1
        if expected == "end":
            raise _Broken(at, "something follows the end of the array")
        if expected == "after":
            raise _Broken(at, "a comma is missing")
        return self._value(data, at, ended=ended)

    def _value(self, data: bytes, at: int, *, ended: bool) -> tuple[int, int] | None:
        end = _end_of_value(data, at, ended=ended)
        if end < 0:
            if len(data) - at > self._max:
                raise _Broken(at, f"a value of more than {self._max / 1024**2:g} MiB")
            if ended:
                raise _Broken(at, "the value does not end")
            return None
        if end - at > self._max:
            raise _Broken(at, f"a value of more than {self._max / 1024**2:g} MiB")
        return at, end

    def _row(self, data: bytes, begin: int, end: int) -> bytes:
        value = data[begin:end]
        try:
            value = self._charset.utf8(value)
            orjson.loads(value)
        except UnicodeDecodeError as error:
            raise _Broken(begin, self._charset.complaint(error)) from None
        except ValueError as error:
            raise _Broken(begin, f"not JSON: {error}") from None
        # No string has a line feed in it: what surrounds one is white space.
        return b"".join(map(bytes.strip, value.split(b"\n"))) if b"\n" in value else value

    def _give_up(self, data: bytes, at: int, broken: _Broken) -> None:
        self._advance(data, at, broken.at)
        reason = f"{broken.reason}; the rest of the object cannot be read"
        raw = data[broken.at : broken.at + KEPT_RECORD]
        self._flaw = Flaw(self._at.line, self._at.offset, reason, raw)
        self._advance(data, broken.at, len(data))

    def _advance(self, data: bytes, at: int, end: int) -> None:
        offset, line = self._at
        self._at = Start(offset + end - at, line + data.count(b"\n", at, end))

    def _block(self) -> Block:
        flaws = {} if self._flaw is None else {len(self._rows) - 1: self._flaw}
        block = Block(self._object, *self._start, self._rows, *self._last, flaws)
        self._start = self._last
        self._rows = []
        return block


def _behind_space(data: bytes, at: int) -> int:
    space = _SPACE.match(data, at)
    return space.end() if space else at


def _end_of_value(data: bytes, at: int, *, ended: bool) -> int:
    """Return where the value that begins at ``at`` ends; -1 where that is not to be seen.

    Brackets are counted, not matched: whoever reads the value finds out.
    """
    if data[at] not in b"[{":
        scalar = _SCALAR.match(data, at)
        if scalar is None:
            return -1 if data[at : at + 1] == b'"' else at + 1
        # A number may go on in what is yet to come.
        is_whole = ended or scalar.end() < len(data) or data[at : at + 1] == b'"'
        return scalar.end() if is_whole else -1
    if found := _SHALLOW.match(data, at):
        return found.end()
    depth = 0
    for token in _TOKEN.finditer(data, at):
        text = token[0]
        if text in {b"[", b"{"}:
            depth += 1
        elif text in {b"]", b"}"}:
            depth -= 1
            if not depth:
                return token.end()
        elif text == b'"':
            return -1
    return -1
