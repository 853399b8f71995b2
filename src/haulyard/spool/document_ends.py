"""Where an XML document ends that stands at the beginning of something longer. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple
from xml.parsers import expat

from haulyard.spool.documents import BOM, declared_encoding, let_go, why

if TYPE_CHECKING:
    from collections.abc import Callable

SPACE: Final = b" \t\r\n"
#: Bytes that a parser gets at a time: what follows an error was read in vain.
PIECE: Final = 1 << 16
#: Bytes of a tag that may be half of one.
HALF: Final = 1024
#: Instead of where something ends.
NOT_YET: Final = -1
NEVER: Final = -2
_TAG: Final = re.compile(rb"""<[^"'>]*(?:"[^"]*"[^"'>]*|'[^']*'[^"'>]*)*>""")
#: The same of documents that are broken: quotes that do not match end with the tag.
_TOKEN: Final = re.compile(
    rb"""<!--.*?-->|<!\[CDATA\[.*?\]\]>|<\?.*?\?>
    |<(?P<end>/)?(?P<name>[^\s<>/"'!?]++)(?:[^<>"'/]|"[^"<]*+"|'[^'<]*+'|/(?!>))*+(?P<slash>/)?>""",
    re.DOTALL | re.VERBOSE,
)
_LONG: Final = (b"<!--", b"<![CDATA[", b"<?")


class Located(NamedTuple):
    """A document that stands at the beginning: where it ends, and what is wrong with it.

    ``root`` is where its root element begins, -1 where that was not reached, ``name`` that element's. It goes
    wrong at ``at``.
    """

    end: int = NOT_YET
    wrong: str = ""
    root: int = -1
    name: bytes = b""
    at: int = 0


class _End(Exception):
    pass


def locate(held: bytes) -> Located:
    """Find the document that stands at the beginning, whatever it holds."""
    lead = lead_of(held)
    # Of any encoding only the tags matter here, and they are ASCII; expat knows few of several bytes.
    encoding = "ISO-8859-1" if declared_encoding(held[lead : lead + 200]) else "UTF-8"
    parser = new_parser(encoding)
    depth, root, name, end = 0, -1, "", NOT_YET

    def on_start(tag: str, _attributes: object) -> None:
        nonlocal depth, root, name
        depth += 1
        if depth == 1:
            root, name = lead + parser.CurrentByteIndex, tag

    def on_end(_tag: str) -> None:
        nonlocal depth, end
        depth -= 1
        if not depth:
            end = lead + parser.CurrentByteIndex
            raise _End

    parser.StartElementHandler, parser.EndElementHandler = on_start, on_end
    # With one of these, entities are not expanded: a bomb stays one.
    parser.DefaultHandler = _ignore
    at, wrong = lead, ""
    try:
        for begin in range(lead, len(held), PIECE):
            parser.Parse(held[begin : begin + PIECE], False)  # noqa: FBT003 -- expat's own
    except _End:
        end = end_of(held, root, end)
    except expat.ExpatError as error:
        at = lead + max(0, parser.ErrorByteIndex)
        wrong = why(error)
    finally:
        let_go(parser)
    return Located(end, wrong, root, name.encode(encoding), at)


def end_of(held: bytes, begin: int, end: int) -> int:
    """Return where the element ends that begins at ``begin``: its end was seen at ``end``.

    That is before its last tag, but behind an element that is one tag.
    """
    if held[end - 2 : end] == b"/>":
        tag = _TAG.match(held, begin)
        if tag and tag.end() == end:
            return end
    return held.index(b">", end) + 1


def end_by_tags(held: bytes, root: int) -> int:
    """Return where an element ends that is broken, but not in how its tags are nested."""
    if root < 0:
        return NEVER
    open_tags: list[bytes] = []
    at = root
    while (at := held.find(b"<", at)) >= 0:
        token = _TOKEN.match(held, at)
        if token is None:
            is_half = held.startswith(_LONG, at) or b">" not in held[at : at + HALF]
            return NOT_YET if is_half else NEVER
        at = token.end()
        name = token["name"]
        if name is None or (token["slash"] and not token["end"]):
            continue
        if not token["end"]:
            open_tags.append(name)
        elif not open_tags or open_tags.pop() != name:
            return NEVER
        if not open_tags:
            return at
    return NOT_YET


def new_parser(encoding: str) -> expat.XMLParserType:
    """Return a parser that reads every byte as it comes."""
    parser = expat.ParserCreate(encoding)
    # Releases that wait for more of a long tag would also wait with the last tag of a document.
    defer: Callable[[bool], None] | None = getattr(parser, "SetReparseDeferralEnabled", None)
    if defer is not None:
        defer(False)  # noqa: FBT003 -- expat's own
    return parser


def lead_of(held: bytes) -> int:
    """Return how many bytes are before the first that means something."""
    return len(held) - len(held.lstrip(SPACE).removeprefix(BOM).lstrip(SPACE))


def _ignore(_data: str) -> None:
    pass
