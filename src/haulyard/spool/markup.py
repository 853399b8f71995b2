"""XML documents that follow each other in one stream, found exactly. Pure.

One expat parser reads the stream inside a root element of ours, and says where each child of it begins and
ends: 5 µs for an event of 240 bytes with nine elements (benchmarks/spool_events.py). What such a parser
cannot take, or takes too easily, is looked at as a document by itself, at ten times that: a DOCTYPE, another
encoding, an error. An XML declaration may begin any document of the stream but no child, so the parser is
shown blanks instead.

Behind a document that is broken the next one begins at the next XML declaration, or at the next tag with the
name of a root element seen before: what was not closed would otherwise take all that follows with it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from xml.parsers import expat

from haulyard.spool.document_ends import (
    HALF,
    NEVER,
    NOT_YET,
    PIECE,
    SPACE,
    end_by_tags,
    end_of,
    lead_of,
    locate,
    new_parser,
)
from haulyard.spool.documents import Batch, Malformed, Rejected, declared_encoding, let_go, xml_event

if TYPE_CHECKING:
    from haulyard.spool.document_ends import Located

#: A parser counts bytes, and keeps a little of each document.
_RENEWED: Final = 1 << 28
_DECLARATION: Final = re.compile(rb"<\?xml[ \t\r\n][^<>]*\?>")
#: What may stand between two documents; text must not.
_BETWEEN: Final = re.compile(
    rb"""[ \t\r\n]*+(?:\xef\xbb\xbf)?[ \t\r\n]*+
    (?:<\?xml[ \t\r\n]+version[ \t\r\n]*=[ \t\r\n]*(?:"1\.[0-9]+"|'1\.[0-9]+')
    (?:[ \t\r\n]+encoding[ \t\r\n]*=[ \t\r\n]*(?:"[A-Za-z][A-Za-z0-9._-]*"|'[A-Za-z][A-Za-z0-9._-]*'))?
    (?:[ \t\r\n]+standalone[ \t\r\n]*=[ \t\r\n]*(?:"(?:yes|no)"|'(?:yes|no)'))?[ \t\r\n]*\?>)?
    (?:[ \t\r\n]|<!--(?>.*?-->)|<\?(?!xml[ \t\r\n])(?>.*?\?>))*+""",
    re.DOTALL | re.VERBOSE,
)
_ANY_BEGINNING: Final = re.compile(rb"<\?xml[ \t\r\n]|<[A-Za-z_:\x80-\xff]|<!DOCTYPE")
#: Documents in a row that were never closed before all that is held counts as broken.
_PATIENCE: Final = 16
#: Names of root elements that are remembered.
_NAMES: Final = 64


class XmlDocuments:
    """XML, one document after another."""

    broken: None = None

    def __init__(self, *, max_event: int) -> None:
        self._max = max_event
        self._held = b""  # what belongs to no event yet
        self._shown = 0  # how much of that the parser has seen
        self._read: _Reader | None = None  # None: the document that begins here is looked at by itself
        self._is_single = False
        self._skipping: re.Pattern[bytes] | None = None
        self._unclosed = 0
        self._good_gap = b""
        self._names: set[str] = set()

    def feed(self, data: bytes) -> Batch:
        """Return the events that end in ``data``."""
        batch = Batch([], [])
        at = 0
        while at < len(data):
            # What follows an error is copied, and so is what is there of a large document.
            size = PIECE if len(self._held) < PIECE else len(data)
            self._feed(data[at : at + size], batch)
            at += size
        return batch

    def _feed(self, data: bytes, batch: Batch) -> None:
        self._held += data
        if self._skipping is not None and not self._skip(self._skipping, batch, is_end=False):
            return
        self._advance(batch)
        if len(self._held) > self._max:
            self._give_up(f"longer than {self._max} bytes", batch)
            self._advance(batch)

    def finish(self, *, stopped: bool = False) -> Batch:  # noqa: ARG002 -- a document has an end of its own
        """Return what is left: a document that was cut off, and maybe others behind it."""
        batch = Batch([], [])
        if self._skipping is not None:
            self._skip(self._skipping, batch, is_end=True)
        while not _is_between(self._held):
            self._advance(batch)
            if not _is_between(self._held):
                self._give_up("cut off: the stream ended within it", batch)
                if self._skipping is not None:
                    self._skip(self._skipping, batch, is_end=True)
        self._renew(b"")
        return batch

    def _advance(self, batch: Batch) -> None:
        """Take all events that are whole."""
        while self._shown < len(self._held):
            if self._is_single:
                if not self._take_single(batch):
                    return
                continue
            reader = self._read = self._read or _Reader(self._names)
            piece = self._held[self._shown : self._shown + PIECE]
            is_last = self._shown + len(piece) == len(self._held)
            whole = _without_half_declaration(piece)
            if is_last and not whole:
                return
            piece = whole or piece
            self._shown += len(piece)
            is_good = reader.show(piece)
            if not self._take(reader, batch) or not is_good:
                self._look_singly()
            elif reader.total > _RENEWED and not reader.marks:
                self._renew(self._held)

    def _take(self, reader: _Reader, batch: Batch) -> bool:
        """Take the events that the parser has seen whole; False where one has to be looked at by itself."""
        held, events, at = self._held, batch.events, 0
        marks = reader.marks
        is_good = True
        for number in range(0, len(marks) - 1, 2):
            begin, end = marks[number] - reader.origin, marks[number + 1] - reader.origin
            end = end_of(held, begin, end)
            event = held[begin:end]
            gap = held[at:begin]
            if (gap and not gap.isspace() and not self._is_good_gap(gap)) or (
                reader.has_blanked and _DECLARATION.search(event)
            ):
                is_good = False
                break
            events.append(event)
            at = end
        if at:
            self._unclosed = 0
            del marks[: len(marks) // 2 * 2]
            self._held = held[at:]
            self._shown -= at
            reader.origin += at
        return is_good

    def _is_good_gap(self, gap: bytes) -> bool:
        if gap == self._good_gap:
            return True
        if _BETWEEN.fullmatch(gap) is None or declared_encoding(gap[lead_of(gap) :]):
            return False
        self._good_gap = gap
        return True

    def _take_single(self, batch: Batch) -> bool:
        """Take the document that begins here, be it broken; False where it has not ended yet."""
        located = locate(self._held)
        if located.wrong:
            located = located._replace(end=end_by_tags(self._held, located.root))
        if located.end == NEVER:
            self._break(located, located.wrong, batch)
            return self._skipping is None
        if located.end == NOT_YET:
            self._shown = len(self._held)
            return False
        document, rest = self._held[: located.end], self._held[located.end :]
        self._unclosed = 0
        try:
            batch.events.append(xml_event(document))
        except Malformed as error:
            batch.rejected.append(Rejected(document.strip(SPACE), str(error)))
        self._renew(rest)
        return True

    def _give_up(self, reason: str, batch: Batch) -> None:
        """Let the document that begins here be broken: it does not end."""
        located = locate(self._held)
        if located.end != NOT_YET:
            self._look_singly()
            return
        self._unclosed += not located.wrong
        if self._unclosed > _PATIENCE:
            batch.rejected.append(Rejected(self._held, reason))
            self._renew(b"")
            self._skipping = _ANY_BEGINNING
        else:
            self._break(located, located.wrong or reason, batch)

    def _break(self, located: Located, reason: str, batch: Batch) -> None:
        """Reject what begins here, up to where another document may begin."""
        held = self._held
        lead = lead_of(held)
        pattern = self._beginning(located.name)
        start = located.root + 1 if located.name else max(located.at, lead + 1)
        end, is_found = _reach(pattern, held, start)
        batch.rejected.append(Rejected(held[:end].strip(SPACE), reason))
        self._renew(held[end:])
        if not is_found:
            self._skipping = pattern

    def _skip(self, pattern: re.Pattern[bytes], batch: Batch, *, is_end: bool) -> bool:
        """Reject the rest of a broken document; True where another one begins."""
        end, is_found = _reach(pattern, self._held, 0)
        if is_end and not is_found:
            end = len(self._held)
        rest, held = self._held[:end].strip(SPACE), self._held[end:]
        if rest:
            batch.rejected.append(Rejected(rest, "the rest of a document that is broken", is_rest=True))
        self._renew(held)
        if is_found or is_end:
            self._skipping = None
        return is_found

    def _beginning(self, name: bytes) -> re.Pattern[bytes]:
        """Return what finds the beginning of another document behind one of this name, if it got that far."""
        if not name:
            return _ANY_BEGINNING
        names = b"|".join(sorted(map(re.escape, {name, *(each.encode() for each in self._names)})))
        return re.compile(rb"<\?xml[ \t\r\n]|<(?:" + names + rb")[ \t\r\n/>]|<!DOCTYPE")

    def _look_singly(self) -> None:
        """Let the document that begins here be looked at by itself."""
        self._renew(self._held)
        self._is_single = True

    def _renew(self, held: bytes) -> None:
        if self._read is not None:
            self._read.end()
        self._held, self._shown = held, 0
        self._is_single, self._read = False, None


class _Reader:
    """A parser inside a root element: ``marks`` are where its children begin, and were seen to end."""

    def __init__(self, names: set[str]) -> None:
        self.marks: list[int] = []
        self.has_blanked = False
        self._parser = parser = new_parser("UTF-8")
        depth = 0
        mark = self.marks.append

        def on_start(name: str, _attributes: object) -> None:
            nonlocal depth
            depth += 1
            if depth == 2:  # noqa: PLR2004 -- a child of the root
                mark(parser.CurrentByteIndex)
                if name not in names and len(names) < _NAMES:
                    names.add(name)

        def on_end(_name: str) -> None:
            nonlocal depth
            depth -= 1
            if depth == 1:
                mark(parser.CurrentByteIndex)

        parser.StartElementHandler = on_start
        parser.EndElementHandler = on_end
        parser.ordered_attributes = True
        parser.Parse(b"<r>", False)  # noqa: FBT003 -- expat's own
        self.origin = self.total = len(b"<r>")

    def show(self, piece: bytes) -> bool:
        """Read a piece; False where it has an error, up to which marks are set."""
        self.total += len(piece)
        if b"<?xml" in piece:
            piece, count = _DECLARATION.subn(_blank, piece)
            self.has_blanked = self.has_blanked or count > 0
        try:
            self._parser.Parse(piece, False)  # noqa: FBT003 -- expat's own
        except expat.ExpatError:
            return False
        return True

    def end(self) -> None:
        """Read no more."""
        let_go(self._parser)


def _blank(match: re.Match[bytes]) -> bytes:
    return b" " * len(match[0])


def _reach(pattern: re.Pattern[bytes], held: bytes, start: int) -> tuple[int, bool]:
    """Return where the next document begins, or where what certainly is of the broken one ends; and which."""
    found = pattern.search(held, start)
    if found:
        return found.start(), True
    # The last tag may be half of one that begins a document.
    last = held.rfind(b"<", start)
    if last < 0 or len(held) - last > HALF or b">" in held[last:]:
        return len(held), False
    return last, False


def _is_between(held: bytes) -> bool:
    return not held or held.isspace() or _BETWEEN.fullmatch(held) is not None


def _without_half_declaration(piece: bytes) -> bytes:
    """Leave out an XML declaration that is cut off at the end: it is blanked as a whole or not at all."""
    last = piece.rfind(b"<")
    tail = piece[last:]
    if last >= 0 and b">" not in tail and b"<?xml".startswith(tail[:5]):
        return piece[:last]
    return piece
