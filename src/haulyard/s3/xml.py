"""S3's XML: a small, strict reader and a writer.

The reader takes what S3 answers with and nothing else: a document of at most `MAX_BYTES`, at most
`MAX_DEPTH` deep, without DOCTYPE, so that no entity can be declared, expanded or fetched. Namespaces
are ignored, as stores disagree on them. Anything else is a `BadXml`.

Signatures::

    parse(document, *roots) -> Element                      raises BadXml
    Element.tag .text .children .attributes
    Element.find(tag) .all(tag) .value(tag, default="") .integer(tag, default) .time(tag)
    is_document(body, *roots) -> bool
    succeeded_as(*roots) -> Classify
    escape(text) -> str · leaf(tag, text) -> str · document(root, inner) -> bytes   raise BadXml
    expressible(text) -> bool
"""

from __future__ import annotations

# pyexpat is what `xml.parsers.expat` re-exports; `xml.etree` would take 8 ms to import.
import pyexpat
import re
from typing import TYPE_CHECKING

from haulyard.s3.dates import parse_iso_date

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from haulyard.s3.request import Classify

#: No answer of S3 comes near: a page of 1,000 keys of 1,024 bytes, each byte as ``%XX``, is 4 MB.
MAX_BYTES = 32 * 1024 * 1024

#: The deepest answer (an access control policy) has five levels.
MAX_DEPTH = 32

#: Every document that we send is in this namespace.
NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"

# XML 1.0, section 2.2: these characters cannot stand in a document, not even as references.
_FORBIDDEN = "[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]"
_REFERENCES = str.maketrans(
    {
        "&": "&amp;",
        "<": "&lt;",
        ">": "&gt;",
        '"': "&quot;",
        "'": "&apos;",
        # A reader would turn these into a line feed or a space if they stood there bare.
        "\t": "&#x9;",
        "\r": "&#xD;",
        "\n": "&#xA;",
    }
)


class BadXml(ValueError):
    """A document that is not well-formed, too large, too deep, or declares a document type."""


class Element:
    """An element: its local name, its text without the children's, its children and attributes."""

    __slots__ = ("attributes", "children", "tag", "text")

    def __init__(self, tag: str, attributes: dict[str, str]) -> None:
        self.tag = tag
        self.attributes = attributes
        self.text = ""
        self.children: list[Element] = []

    def find(self, tag: str) -> Element | None:
        """Return the first child of that name."""
        for child in self.children:
            if child.tag == tag:
                return child
        return None

    def all(self, tag: str) -> list[Element]:
        """Return the children of that name, in their order."""
        return [child for child in self.children if child.tag == tag]

    def value(self, tag: str, default: str = "") -> str:
        """Return the text of the first child of that name."""
        child = self.find(tag)
        return default if child is None else child.text

    def integer(self, tag: str, default: int | None = None) -> int:
        """Return the number in the first child of that name.

        Raises:
            BadXml: it is no number, or is missing and has no default.
        """
        text = self.value(tag)
        if text.isascii() and text.isdigit():
            return int(text)
        if default is None or text:
            raise BadXml(f"<{self.tag}> with {text[:40]!r} as {tag}")
        return default

    def time(self, tag: str) -> datetime | None:
        """Return the time in the first child of that name, None where it is missing or empty.

        Raises:
            BadXml: it is no time.
        """
        text = self.value(tag)
        try:
            return parse_iso_date(text) if text else None
        except ValueError:
            raise BadXml(f"<{self.tag}> with {text[:40]!r} as {tag}") from None


#: Bytes; a longer document is not worth the memory.
_MAX_REMEMBERED = 64 * 1024
_recognised: tuple[bytes, Element] = (b"", Element("", {}))


class _TreeBuilder:
    """Collects expat's events into a tree."""

    def __init__(self) -> None:
        self.root: Element | None = None
        self._open: list[Element] = []

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if len(self._open) == MAX_DEPTH:
            raise BadXml(f"nested deeper than {MAX_DEPTH} levels")
        if attributes:
            attributes = {key.rpartition(":")[2]: value for key, value in attributes.items()}
        element = Element(name.rpartition(":")[2] if ":" in name else name, attributes)
        if self._open:
            self._open[-1].children.append(element)
        else:
            self.root = element
        self._open.append(element)

    def end(self, _name: str) -> None:
        self._open.pop()

    def text(self, data: str) -> None:
        # buffer_text joins neighbouring runs, so this is one call for a leaf.
        self._open[-1].text += data


def _refuse_doctype(*_: object) -> None:
    raise BadXml("holds a DOCTYPE, which S3 never sends")


def parse(document: bytes, *roots: str) -> Element:
    """Parse a document and return its root, which must have one of the names given.

    White space before the document is skipped: S3 sends it to keep the connection alive while it
    completes a multipart upload.

    Raises:
        BadXml: not well-formed, larger than `MAX_BYTES`, deeper than `MAX_DEPTH`, with a DOCTYPE, or
            with another root.
    """
    # What `is_document` has just accepted is read next: of 5,000 copies, a tenth of the CPU.
    if document is _recognised[0] and _recognised[1].tag in roots:
        return _recognised[1]
    if len(document) > MAX_BYTES:
        raise BadXml(f"a document of {len(document)} bytes, more than {MAX_BYTES}")
    builder = _TreeBuilder()
    parser = pyexpat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.text
    parser.StartDoctypeDeclHandler = _refuse_doctype
    try:
        parser.Parse(document.lstrip(), True)  # noqa: FBT003 -- expat's own signature: the last piece
    except pyexpat.ExpatError as error:
        raise BadXml(f"not well-formed: {error}") from None
    except (ValueError, LookupError) as error:
        # An encoding that Python does not know, or cannot use a byte at a time.
        raise error if isinstance(error, BadXml) else BadXml(f"cannot be decoded: {error}") from None
    root = builder.root
    if root is None:  # pragma: no cover -- expat refuses a document without a root
        raise BadXml("empty")
    if roots and root.tag not in roots:
        raise BadXml(f"a <{root.tag[:64]}> where <{roots[0]}> was expected")
    return root


def is_document(body: bytes, *roots: str) -> bool:
    """Return whether the body is a whole document with one of those roots."""
    global _recognised  # noqa: PLW0603 -- one remembered document; see `parse`
    try:
        root = parse(body, *roots)
    except BadXml:
        return False
    if len(body) <= _MAX_REMEMBERED:
        _recognised = (body, root)
    return True


def succeeded_as(*roots: str) -> Classify:
    """Return a `Classify` for calls whose 200 may hold an ``<Error>`` or nothing useful."""

    def classify(_status: int, _headers: Mapping[str, str], body: bytes) -> bool:
        return is_document(body, *roots)

    return classify


def expressible(text: str) -> bool:
    """Return whether XML 1.0 can carry the text (control characters cannot stand in it)."""
    return text.isprintable() or re.search(_FORBIDDEN, text) is None


def escape(text: str) -> str:
    """Return the text as it stands between tags or in an attribute.

    Raises:
        BadXml: it holds a character that XML 1.0 cannot carry.
    """
    if not expressible(text):
        raise BadXml("holds a character that XML cannot carry")
    return text.translate(_REFERENCES)


def leaf(tag: str, text: str) -> str:
    """Return ``<tag>text</tag>`` with the text escaped."""
    return f"<{tag}>{escape(text)}</{tag}>"


def document(root: str, inner: str) -> bytes:
    """Return the document that holds ``inner``, which is XML already."""
    return f'<{root} xmlns="{NAMESPACE}">{inner}</{root}>'.encode()
