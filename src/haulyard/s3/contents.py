"""The objects in a page of ListObjectsV2: the one answer that is parsed by the million.

Measured on a page of 1,000 objects in AWS's form, 330 kB, keys with two escapes (Python 3.11, one core):
this regular expression 1.6 ms; cutting at tags with ``str.partition`` 3.1 ms; expat callbacks 6.9 ms;
a tree built by expat 11.4 ms. The expression only takes pages that consist of ``Contents`` elements in
exactly one of the two orders below; all others go through the tree. A property test holds both equal.

Signatures::

    read_contents(body) -> (root, objects, prefixes)         raises BadXml
"""

from __future__ import annotations

import re
from datetime import datetime
from functools import cache, partial
from itertools import repeat
from typing import NamedTuple

from haulyard.models.objects import ObjectInfo
from haulyard.s3.encoding_type import decode_page
from haulyard.s3.headers import unquote_etag
from haulyard.s3.xml import MAX_BYTES, BadXml, Element, parse

ROOT = "ListBucketResult"

_OPEN, _CLOSE = "<Contents>", "</Contents>"
# Stands for all objects while the rest of the document is parsed.
_HOLDER = "ObjectsWereHere"

# Printable ASCII without markup: in this, the text of an element is what stands between its tags.
_TEXT = "[ -%'-;=?-~]*"
_KEY = f"<Key>({_TEXT[:-1]}+)</Key>"
_DATE = r"<LastModified>(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?Z)</LastModified>"
_ETAG = '<ETag>(?:&quot;|&#34;|")?([0-9A-Za-z-]*)(?:&quot;|&#34;|")?</ETag>'
_CHECKSUM = "(?:<ChecksumAlgorithm>([A-Z0-9]+)</ChecksumAlgorithm>)?(?:<ChecksumType>[A-Z_]+</ChecksumType>)?"
_SIZE = r"<Size>(\d{1,19})</Size>"
_OWNER = f"(?:<Owner><ID>({_TEXT})</ID>(?:<DisplayName>{_TEXT}</DisplayName>)?</Owner>)?"
_CLASS = "<StorageClass>([A-Z_]+)</StorageClass>"


class _Form(NamedTuple):
    """An order of elements, and which group of the expression holds which."""

    expression: re.Pattern[str]
    key: int
    modified: int
    etag: int
    algorithm: int
    size: int
    owner: int
    storage_class: int


# AWS, MinIO and moto; SeaweedFS.
_ORDERS = (
    (_KEY, _DATE, _ETAG, _CHECKSUM, _SIZE, _OWNER, _CLASS),
    (_KEY, _ETAG, _CHECKSUM, _SIZE, _OWNER, _CLASS, _DATE),
)


@cache
def _form(elements: tuple[str, ...]) -> _Form:
    # Compiled by the first page: most commands list nothing, and it takes a millisecond.
    expression = re.compile(_OPEN + "".join(elements) + _CLOSE, re.ASCII)
    order = (_KEY, _DATE, _ETAG, _CHECKSUM, _SIZE, _OWNER, _CLASS)
    return _Form(expression, *(elements.index(element) + 1 for element in order))


class _Columns(NamedTuple):
    """The document without its objects, and the objects by columns; keys as they were written."""

    root: Element
    keys: list[str]
    sizes: list[int]
    times: list[datetime]
    etags: list[str]
    storage_classes: list[str]
    algorithms: list[tuple[str, ...]]
    owners: list[str]


def read_contents(body: bytes) -> tuple[Element, list[ObjectInfo], list[str]]:
    """Return the root of the document (maybe without its objects), the objects and the common prefixes.

    Raises:
        BadXml: it is no ``ListBucketResult``, an object in it lacks key, size or time, or a name is not in
            UTF-8.
    """
    columns = _match(body) or _walk(parse(body, ROOT))
    root, keys = columns.root, columns.keys
    prefixes = [prefix.value("Prefix") for prefix in root.all("CommonPrefixes")]
    if root.value("EncodingType") == "url":
        names = decode_page(keys + prefixes)
        keys, prefixes = names[: len(keys)], names[len(keys) :]
    # tuple.__new__ takes a row of the named tuple without a call of Python.
    rows = zip(
        keys,
        columns.sizes,
        columns.times,
        columns.etags,
        columns.storage_classes,
        columns.algorithms,
        columns.owners,
        repeat(""),
        strict=False,
    )
    return root, list(map(partial(tuple.__new__, ObjectInfo), rows)), prefixes


def _match(body: bytes) -> _Columns | None:
    """Read a document of an exactly known form; None for all others."""
    if len(body) > MAX_BYTES or not body.isascii():
        return None
    text = body.decode("ascii")
    start, end = text.find(_OPEN), text.rfind(_CLOSE) + len(_CLOSE)
    if start < 0 or end < start or _HOLDER in text:
        return None
    time_is_second = text.startswith("<LastModified>", text.find("</Key>", start) + len("</Key>"))
    form = _form(_ORDERS[0 if time_is_second else 1])
    # Between two matches split gives what did not match, which must be nothing.
    width = form.expression.groups + 1
    cells: list[str] = form.expression.split(text[start:end])
    if any(cells[::width]):
        return None
    root = _envelope(text[:start], text[end:])
    if root is None:
        return None
    try:
        times = list(map(datetime.fromisoformat, cells[form.modified :: width]))
    except ValueError:
        return None
    # Few different values: one copy of each is kept.
    shared: dict[str, str] = {}
    classes = cells[form.storage_class :: width]
    stated = cells[form.algorithm :: width]
    named = {algorithm: (algorithm,) if algorithm else () for algorithm in set(stated)}
    return _Columns(
        root,
        cells[form.key :: width],
        list(map(int, cells[form.size :: width])),
        times,
        cells[form.etag :: width],
        list(map(shared.setdefault, classes, classes)),
        list(map(named.__getitem__, stated)),
        [owner or "" for owner in cells[form.owner :: width]],
    )


def _envelope(head: str, tail: str) -> Element | None:
    """Parse what surrounds the objects; None unless they stood where objects stand.

    A run of whole elements can stand wherever one can, so one takes their place. Had they stood in a
    comment, in a CDATA section or deeper, it would not come out as a child of the root.
    """
    try:
        root = parse(f"{head}<{_HOLDER}/>{tail}".encode(), ROOT)
    except BadXml:
        return None
    whole = root.find(_HOLDER) is not None and root.find("Contents") is None
    return root if whole else None


def _walk(root: Element) -> _Columns:
    """Read the objects from a tree."""
    columns = _Columns(root, [], [], [], [], [], [], [])
    for element in root.children:
        if element.tag == "Contents":
            key, time, owner = element.value("Key"), element.time("LastModified"), element.find("Owner")
            if not key or time is None:
                raise BadXml("lists an object without its key or its time")
            columns.keys.append(key)
            columns.sizes.append(element.integer("Size"))
            columns.times.append(time)
            columns.etags.append(unquote_etag(element.value("ETag")))
            columns.storage_classes.append(element.value("StorageClass") or "STANDARD")
            columns.algorithms.append(tuple(child.text for child in element.all("ChecksumAlgorithm")))
            columns.owners.append("" if owner is None else owner.value("ID"))
    return columns
