"""Where an event ends in a stream of them. Pure: bytes go in, judged events come out.

``lines``: JSON, one value a line. ``documents``: XML, one document after another (`haulyard.spool.markup`).
``length``: either, each after its length in four bytes, big endian. Nothing is passed over: what is no event,
whitespace between events apart, comes out as rejected.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final, Protocol

from haulyard.errors import SpoolError
from haulyard.spool.documents import Batch, Rejected, judge, judge_json
from haulyard.spool.markup import XmlDocuments

if TYPE_CHECKING:
    from haulyard.spool.documents import Form

FRAMINGS: Final = ("lines", "documents", "length")
#: Bytes of an event, unless stated.
MAX_EVENT: Final = 16 * 1024**2
CUT_OFF: Final = "cut off: the stream ended within it"
_LENGTH: Final = struct.Struct(">I")


class Framer(Protocol):
    """Cuts a stream; one of it serves one stream."""

    @property
    def broken(self) -> SpoolError | None:
        """Why nothing further can be found in the stream."""
        ...

    def feed(self, data: bytes) -> Batch:
        """Return the events that end in ``data``."""
        ...

    def finish(self, *, stopped: bool = False) -> Batch:
        """Return what is left at the end of the stream; ``stopped``: it would have gone on.

        Then an event that needs no end to be one, like a number on the last line, is none.
        """
        ...


def framer_of(form: Form, framing: str = "", *, max_event: int = MAX_EVENT) -> Framer:
    """Return the framer for a stream; ``framing`` unless stated is that of the form.

    Raises:
        SpoolError: The framing does not go with the form.
    """
    framing = framing or ("lines" if form == "json" else "documents")
    if framing == "length":
        return LengthPrefixed(form, max_event=max_event)
    if (form, framing) == ("json", "lines"):
        return JsonLines(max_event=max_event)
    if (form, framing) == ("xml", "documents"):
        return XmlDocuments(max_event=max_event)
    raise SpoolError(f"{form} does not come as {framing}", hint="JSON comes as lines, XML as documents")


class JsonLines:
    """JSON, one value a line; empty lines are no events."""

    broken: None = None

    def __init__(self, *, max_event: int = MAX_EVENT) -> None:
        self._max = max_event
        self._rest = b""
        self._is_skipping = False

    def feed(self, data: bytes) -> Batch:
        """Return the events that end in ``data``."""
        if self._is_skipping:
            return self._skip(data)
        may_break = b"\r" in data or b"\r" in self._rest
        lines = (self._rest + data).split(b"\n") if self._rest else data.split(b"\n")
        self._rest = lines.pop()
        batch = self._judge(lines, may_break=may_break)
        if len(self._rest) > self._max:
            batch.rejected.append(Rejected(self._rest, f"longer than {self._max} bytes without a line break"))
            self._rest, self._is_skipping = b"", True
        return batch

    def finish(self, *, stopped: bool = False) -> Batch:
        """Return the last line, where no line break followed it."""
        rest, self._rest = self._rest, b""
        if stopped and rest.strip():
            return Batch([], [Rejected(rest, CUT_OFF)])
        return self._judge([rest], may_break=True)

    def _judge(self, lines: list[bytes], *, may_break: bool) -> Batch:
        batch = judge_json(lines, may_break=may_break)
        if batch.rejected:
            kept = [each for each in batch.rejected if each.event.strip()]
            batch = Batch(batch.events, kept)
        return batch

    def _skip(self, data: bytes) -> Batch:
        rest, found, data = data.partition(b"\n")
        batch = Batch([], [Rejected(rest, "the rest of a line that is too long", is_rest=True)])
        if not rest.strip():
            batch.rejected.clear()
        if not found:
            return batch
        self._is_skipping = False
        following = self.feed(data)
        return Batch(following.events, batch.rejected + following.rejected)


class LengthPrefixed:
    """Events of any form, each after its length in four bytes, big endian; a length of 0 is no event."""

    def __init__(self, form: Form, *, max_event: int = MAX_EVENT) -> None:
        self._form = form
        self._max = max_event
        self._rest = b""
        self.broken: SpoolError | None = None

    def feed(self, data: bytes) -> Batch:
        """Return the events that end in ``data``."""
        data = self._rest + data
        events: list[bytes] = []
        at, end = 0, len(data)
        while self.broken is None and at + 4 <= end:
            (length,) = _LENGTH.unpack_from(data, at)
            if length > self._max:
                self.broken = SpoolError(
                    f"an event of {length} bytes is announced, of {self._max} at most",
                    hint="is the stream length-prefixed? if so, allow longer ones",
                )
            elif at + 4 + length > end:
                break
            else:
                if length:
                    events.append(data[at + 4 : at + 4 + length])
                at += 4 + length
        self._rest = data[at:]
        return judge(self._form, events)

    def finish(self, *, stopped: bool = False) -> Batch:  # noqa: ARG002 -- it is cut off in any case
        """Return an event that was cut off, as rejected."""
        rest, self._rest = self._rest, b""
        return Batch([], [Rejected(rest, CUT_OFF)] if rest else [])
