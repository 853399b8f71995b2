"""What a job would send: everything is read and shaped, nothing is sent and nothing is written down."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Final

from haulyard.errors import NotFound, RecordError
from haulyard.records.calls import why_not
from haulyard.records.model import Address

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from haulyard.records.bodies import Encode
    from haulyard.records.intake import Reader
    from haulyard.records.model import Block, SourceObject
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
            lines += [f"request {number}: {self.target}", f"  {body}"]
        line = f"{self.records:,} records of {self.objects:,} objects would make {self.calls:,} calls"
        if self.passed_over:
            line += f"; {self.passed_over:,} passed over"
        if self.failed:
            line += f"; {self.failed:,} cannot be sent"
        lines.append(line)
        lines += [f"  {flaw}" for flaw in self.flaws]
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
    objects: AsyncIterator[list[SourceObject]],
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
    async for page in objects:
        for source in page:
            made.preview.objects += 1
            made.preview.size += source.size
            try:
                async for block in read(source, 0, 0):
                    made.take(block)
                    if made.is_full or stopped():
                        return made.finished()
            except (RecordError, NotFound) as error:
                made.fail(str(error))
    return made.finished()


class _Making:
    """A preview that grows."""

    def __init__(self, preview: Preview, shaper: Shaper, encode: Encode, size: int, limit: int) -> None:
        self.preview = preview
        self._shaper = shaper
        self._encode = encode
        self._size = size
        self._limit = limit
        self._values: list[bytes] = []
        self._count = 0

    @property
    def is_full(self) -> bool:
        """Whether there are as many records as were wanted."""
        return 0 < self._limit <= self.preview.records

    def take(self, block: Block) -> None:
        """Count the records of a block."""
        address = Address(block.object, block.offset, 0)
        for row, record in enumerate(block.rows):
            if self.is_full:
                return
            self.preview.records += 1
            if row in block.flaws:
                flaw = block.flaws[row]
                self.fail(f"line {flaw.line}, byte {flaw.offset}: {flaw.reason}")
                continue
            try:
                values = self._shaper.values(record, address._replace(row=row))
            except Exception as error:  # noqa: BLE001 -- whatever the user's code raises
                self.fail(why_not(error))
                continue
            self.preview.passed_over += not values
            for value in values:
                self._add(value)

    def fail(self, reason: str) -> None:
        """Count a record that cannot be sent."""
        self.preview.failed += 1
        if len(self.preview.flaws) < _SAMPLES:
            self.preview.flaws.append(reason)

    def finished(self) -> Preview:
        """Return the preview."""
        if self._values:
            self._show()
        self.preview.calls = -(-self._count // self._size)
        return self.preview

    def _add(self, value: bytes) -> None:
        self._count += 1
        if len(self.preview.requests) < _REQUESTS:
            self._values.append(value)
            if len(self._values) == self._size:
                self._show()

    def _show(self) -> None:
        values, self._values = self._values, []
        if len(self.preview.requests) >= _REQUESTS:
            return
        try:
            body = self._encode(values)
        except RecordError as error:
            self.fail(str(error))
            return
        shown = body[:_SHOWN].decode(errors="replace")
        self.preview.requests.append(shown if len(body) <= _SHOWN else f"{shown} … ({len(body):,} bytes)")
