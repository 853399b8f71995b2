"""What a job would send: everything is read and shaped, nothing is sent and nothing is written down."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Final

from haulyard.errors import NotFound, RecordError
from haulyard.journal.reporting import wording
from haulyard.records.calls import describe_flaw, why_not, why_unread
from haulyard.records.model import Address

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    from haulyard.records.bodies import Encode
    from haulyard.records.intake import Reader
    from haulyard.records.model import Block, Flaw, SourceObject
    from haulyard.records.shaping import Shaper

_REQUESTS: Final = 3
_SAMPLES: Final = 5
#: Of a body, so many bytes are shown.
_SHOWN: Final = 2000


@dataclass(slots=True)
class Preview:
    """What a dry run came to; a message (``kind``, `text`, `fields`).

    ``requests`` are the first three bodies, ``flaws`` the first reasons why records cannot be sent.
    """

    kind: ClassVar[str] = "preview"

    target: str = ""
    objects: int = 0
    size: int = 0
    records: int = 0
    calls: int = 0
    passed_over: int = 0
    failed: int = 0
    requests: list[str] = field(default_factory=list)
    flaws: list[str] = field(default_factory=list)

    def text(self) -> str:
        """Return it for people."""
        lines = []
        for number, body in enumerate(self.requests, 1):
            lines += [f"request {number}: {self.target}", f"  {_shown(body)}"]
        line = (
            f"{wording.things(self.records, 'record')} of {wording.things(self.objects, 'object')} "
            f"would make {wording.things(self.calls, 'call')}"
        )
        if self.passed_over:
            line += f"; {self.passed_over:,} passed over"
        if self.failed:
            line += f"; {self.failed:,} cannot be sent"
        lines.append(line)
        lines += [f"  {_shown(flaw)}" for flaw in self.flaws]
        lines.append("dry run: nothing was sent")
        return "\n".join(lines)

    def fields(self) -> dict[str, object]:
        """Return it for programs."""
        return {
            "target": self.target,
            "objects": self.objects,
            "bytes": self.size,
            "records": self.records,
            "calls": self.calls,
            "passed_over": self.passed_over,
            "failed": self.failed,
            "requests": self.requests,
            "flaws": self.flaws,
        }


async def preview(
    objects: AsyncGenerator[list[SourceObject]],
    read: Reader,
    shaper: Shaper,
    encode: Encode,
    size: int,
    target: str,
    *,
    limit: int = 0,
    stopped: Callable[[], bool] = lambda: False,
) -> Preview:
    """Read what a job would read, and return what it would send; ``size`` records go into a call."""
    made = _Making(Preview(target), shaper, encode, size, limit)
    async with aclosing(objects):
        async for page in objects:
            for source in page:
                if made.is_full or stopped():
                    return made.finished()
                made.preview.objects += 1
                made.preview.size += source.size
                try:
                    await made.read(read(source, 0, 0), stopped)
                except (RecordError, NotFound) as error:
                    made.fail(why_unread(error))
    return made.finished()


def _shown(text: str) -> str:
    """Return what strangers wrote as one line that cannot steer a terminal."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)


class _Making:
    """A preview that grows."""

    def __init__(self, preview: Preview, shaper: Shaper, encode: Encode, size: int, limit: int) -> None:
        self.preview = preview
        self._shaper = shaper
        self._encode = encode
        self._size = size
        self._limit = limit
        self._values: list[bytes] = []

    @property
    def is_full(self) -> bool:
        """Whether there are as many records as were wanted."""
        return 0 < self._limit <= self.preview.records

    async def read(self, blocks: AsyncGenerator[Block], stopped: Callable[[], bool]) -> None:
        """Count the records of an object."""
        async with aclosing(blocks):
            async for block in blocks:
                self.take(block)
                if self.is_full or stopped():
                    return

    def take(self, block: Block) -> None:
        """Count the records of a block."""
        address = Address(block.object, block.offset, 0)
        for row, record in enumerate(block.rows):
            if self.is_full:
                return
            self.preview.records += 1
            self._take(record, block.flaws.get(row), address._replace(row=row))

    def _take(self, record: bytes, flaw: Flaw | None, address: Address) -> None:
        if flaw is not None and self._shaper.takes(address):
            self.fail((f"line {flaw.line}: " if flaw.line else "") + describe_flaw(flaw))
            return
        try:
            values = self._shaper.values(record, address)
            bodies = [self._encode((value,)) for value in values] if self._size == 1 else []
        except Exception as error:  # noqa: BLE001 -- whatever the user's code raises
            self.fail(why_not(error))
            return
        self.preview.passed_over += not values
        for body in bodies:
            self._call(body)
        if self._size > 1:
            self._group(values)

    def fail(self, reason: str) -> None:
        """Count a record that cannot be sent."""
        self.preview.failed += 1
        if len(self.preview.flaws) < _SAMPLES:
            self.preview.flaws.append(reason)

    def finished(self) -> Preview:
        """Return the preview."""
        if self._values:
            self._call(self._encode(self._values))
            self._values = []
        return self.preview

    def _group(self, values: Sequence[bytes]) -> None:
        for value in values:
            self._values.append(value)
            if len(self._values) == self._size:
                self._call(self._encode(self._values))
                self._values = []

    def _call(self, body: bytes) -> None:
        self.preview.calls += 1
        if len(self.preview.requests) < _REQUESTS:
            shown = body[:_SHOWN].decode(errors="replace")
            self.preview.requests.append(shown if len(body) <= _SHOWN else f"{shown} … ({len(body):,} bytes)")
