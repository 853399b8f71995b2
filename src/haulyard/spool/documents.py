"""Whether an event is well-formed, and what it looks like in a file of many. Pure.

In a file every event is followed by a line break. JSON: one value, on one line. XML: the root element alone,
in UTF-8, for it becomes a child of the file's root: declaration, comments and processing instructions before
it are left out, and what has a DOCTYPE, so that entities could be declared in it, is refused.
"""

from __future__ import annotations

import codecs
import re
from collections import deque
from typing import TYPE_CHECKING, Final, Literal, NamedTuple
from xml.parsers import expat

import orjson

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Form = Literal["json", "xml"]

#: What may be before an XML declaration and what it must not be before anything else.
BOM: Final = codecs.BOM_UTF8
DOCTYPE_REFUSED: Final = "it has a DOCTYPE: entities are refused"
_BREAK: Final = re.compile(rb"[\r\n]")
_UTF16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_ENCODING: Final = re.compile(rb"""<\?xml\s[^>]*?\sencoding\s*=\s*["']([A-Za-z][A-Za-z0-9._-]*)["']""")
#: UTF-8 says so or is plain ASCII.
_PLAIN: Final = {b"", b"utf-8", b"utf8", b"us-ascii", b"ascii"}


class Rejected(NamedTuple):
    """An event that goes into no file, and why; ``is_rest``: it is more of one that was counted before."""

    event: bytes
    reason: str
    is_rest: bool = False


class Batch(NamedTuple):
    """Events in the form in which they are written, without line break, and those that were refused."""

    events: list[bytes]
    rejected: list[Rejected]

    @property
    def taken(self) -> int:
        """How many events these are, those that were refused included."""
        return len(self.events) + sum(not each.is_rest for each in self.rejected)


class Malformed(ValueError):
    """What is wrong with an event."""


def judge(form: Form, events: Iterable[bytes]) -> Batch:
    """Tell well-formed events from others; each is exactly one, and none is skipped."""
    if form == "json":
        return judge_json(list(events))
    return _one_by_one(xml_event, events)


def judge_json(events: list[bytes], *, may_break: bool = True) -> Batch:
    """The same of JSON alone, quickly where all are good; ``may_break`` False: no line break is in them."""
    try:
        deque(map(orjson.loads, events), 0)
    except orjson.JSONDecodeError:
        return _one_by_one(json_event, events)
    if may_break and any(map(_BREAK.search, events)):
        events = [json_event(each) for each in events]
    return Batch(events, [])


def json_event(event: bytes) -> bytes:
    """Return the event on one line. Raises Malformed."""
    event = event.removeprefix(BOM).strip(b" \t\r\n")
    try:
        orjson.loads(event)
    except orjson.JSONDecodeError as error:
        raise Malformed(f"not JSON: {error}" if event else "it is empty") from None
    # Within strings they are escaped: here they are space between values, whose digits stay as they are.
    return event.replace(b"\r", b" ").replace(b"\n", b" ")


def xml_event(event: bytes) -> bytes:
    """Return the root element of the document, in UTF-8. Raises Malformed."""
    event = as_utf8(event.lstrip(b" \t\r\n")).strip(b" \t\r\n")
    if not event:
        raise Malformed("it is empty")
    parser = expat.ParserCreate("UTF-8")
    begin = 0

    def on_root(_name: str, _attributes: object) -> None:
        nonlocal begin
        begin = parser.CurrentByteIndex
        parser.StartElementHandler = None

    parser.StartElementHandler = on_root
    parser.StartDoctypeDeclHandler = refuse_doctype
    try:
        parser.Parse(event, True)  # noqa: FBT003 -- expat's own
    except expat.ExpatError as error:
        raise Malformed(why(error)) from None
    finally:
        let_go(parser)
    return event[begin:]


def let_go(parser: expat.XMLParserType) -> None:
    """Take its handlers from a parser: they know it, and a circle of both stays until it is collected."""
    parser.StartElementHandler = parser.EndElementHandler = parser.DefaultHandler = None


def why(error: expat.ExpatError) -> str:
    """Return what an error of the parser says."""
    text = str(error)
    return text if text.startswith("not well-formed") else f"not well-formed: {text}"


def refuse_doctype(*_: object) -> None:
    """Handle a DOCTYPE. Raises Malformed."""
    raise Malformed(DOCTYPE_REFUSED)


def declared_encoding(event: bytes) -> bytes:
    """Return the encoding that a document declares, if that is not UTF-8, else nothing."""
    found = _ENCODING.match(event) if event.startswith(b"<?xml") else None
    name = found[1].lower() if found else b""
    return b"" if name in _PLAIN else name


def as_utf8(event: bytes) -> bytes:
    """Return the document in UTF-8, whatever its declaration says. Raises Malformed."""
    event = event.removeprefix(BOM)
    name = "utf-16" if event.startswith(_UTF16) else declared_encoding(event.lstrip()).decode()
    if not name:
        return event
    try:
        return event.decode(name).encode()
    except LookupError:
        raise Malformed(f"its encoding {name} is unknown") from None
    except UnicodeError as error:
        raise Malformed(f"it is not in {name}: {error}") from None


def _one_by_one(form: Callable[[bytes], bytes], events: Iterable[bytes]) -> Batch:
    batch = Batch([], [])
    for event in events:
        try:
            batch.events.append(form(event))
        except Malformed as error:
            batch.rejected.append(Rejected(event, str(error)))
    return batch
