"""An active file that was left behind, by a kill or a failing disk, made into one like any other.

Every event that is whole is kept, what is torn goes to ``rejected/``, and the file is ended. It is written
anew beside itself and put in its place in one step: being killed here, too, loses and repeats nothing.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from haulyard.journal.durable import fsync_directory
from haulyard.spool.active import ActiveFile, footer_of
from haulyard.spool.framing import framer_of
from haulyard.spool.naming import ACTIVE, parse
from haulyard.spool.packing import unpacked

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from haulyard.spool.documents import Batch, Form, Rejected
    from haulyard.spool.rejects import Rejections
    from haulyard.spool.room import Room

_HEADER: Final = re.compile(rb"<\?xml version=\"1\.0\" encoding=\"UTF-8\"\?>\n<([A-Za-z_][A-Za-z0-9_.-]*)>\n")
#: A header is shorter than that, whatever the name of the root.
_LONGEST_HEADER: Final = 4096
#: What was written as an event is one, however long it is.
_ANY_LENGTH: Final = 1 << 60
_NOTHING: Final = b"\0 \t\r\n"


def recover(directory: str, name: str, rejections: Rejections, room: Room) -> ActiveFile | None:
    """Repair the active file ``name``; return it, finished, or None where there was no whole event in it.

    Raises:
        OSError: It cannot be read or written.
        SpoolError: Likewise.
        ConfigError: It is compressed in a way that is not installed.
    """
    named = parse(name)
    form: Form = "xml" if named and named.form == "xml" else "json"
    compress = named.compress if named else ""
    path = os.path.join(directory, name)
    beside = os.path.join(directory, f".{name.removesuffix(ACTIVE)}.repair")
    with suppress(FileNotFoundError):
        os.unlink(beside)
    content = unpacked(path, compress)
    root = "events"
    if form == "xml":
        root, content = _body(content)
    repaired: ActiveFile | None = None
    torn: list[Rejected] = []
    for batch in _framed(content, form):
        torn += [each for each in batch.rejected if each.event.strip(_NOTHING)]
        if batch.events:
            repaired = repaired or ActiveFile(beside, form, room, root=root, compress=compress)
            repaired.add(batch.events)
    rejections.add([each._replace(reason=f"torn in {name}: {each.reason}") for each in torn])
    if repaired is None:
        os.unlink(path)
    else:
        repaired.finish()
        os.replace(beside, path)
        repaired.path = path
    fsync_directory(directory)
    return repaired


def _framed(content: Iterable[bytes], form: Form) -> Iterator[Batch]:
    framer = framer_of(form, max_event=_ANY_LENGTH)
    for piece in content:
        yield framer.feed(piece)
    yield framer.finish(stopped=True)


def _body(content: Iterator[bytes]) -> tuple[str, Iterator[bytes]]:
    """Return the name of the root element and what is in it; its end tag may be there already."""
    head = b""
    for piece in content:
        head += piece
        if len(head) > _LONGEST_HEADER:
            break
    match = _HEADER.match(head)
    if match is None:
        # Torn within the header, there was no event yet; a longer one is none of ours, and kept as rejected.
        return "events", iter([head, *content] if len(head) > _LONGEST_HEADER else [])
    root = match[1].decode()
    return root, _without_end(head[match.end() :], content, footer_of("xml", root))


def _without_end(held: bytes, content: Iterator[bytes], footer: bytes) -> Iterator[bytes]:
    for piece in content:
        held += piece
        yield held[: -len(footer)]
        held = held[-len(footer) :]
    # It may also have been killed while it was ended.
    for half in (footer[:length] for length in range(len(footer), 0, -1)):
        if held == half or held.endswith(b"\n" + half):
            held = held.removesuffix(half)
            break
    yield held
