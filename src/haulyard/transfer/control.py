"""What of a large object has arrived, noted at the end of the very file that holds it.

Behind the ``size`` bytes of the object lies one JSON line that says which object this is, and then one line
for each part that is complete, with its digest. All of it vanishes when the file is cut to its size, right
before it gets its name. Because a power failure may keep a line and lose the bytes it speaks of, the parts
of an earlier run are hashed again before they count.
"""

from __future__ import annotations

import asyncio
import json
import os
from typing import TYPE_CHECKING, Any, Final, Self

from haulyard.checksums import hasher

if TYPE_CHECKING:
    from haulyard.models import ObjectHead
    from haulyard.models.body import Buffer
    from haulyard.transfer.parts import PartPlan

_VERSION: Final = 1
_PIECE: Final = 1024 * 1024
#: Bytes; the record of 10,000 parts is shorter. What is longer is the content of some other object.
_LONGEST: Final = 4 * 1024 * 1024


class Control:
    """The record of one ranged download."""

    def __init__(self, fd: int, plan: PartPlan, algorithm: str) -> None:
        self._fd = fd
        self._end = plan.size
        self.plan = plan
        self.algorithm = algorithm
        #: The digests of the parts that are complete, by number.
        self.digests: dict[int, bytes] = {}

    @classmethod
    async def open(cls, fd: int, head: ObjectHead, plan: PartPlan, algorithm: str) -> Self:
        """Take up the record that is in the file, or begin one where it speaks of another object."""
        control = cls(fd, plan, algorithm)
        subject = {
            "v": _VERSION,
            "etag": head.etag,
            "version": head.version_id,
            "part_size": plan.part_size,
            "algorithm": algorithm,
        }
        # Without an ETag nothing tells that it is still the same object.
        lines = control._read() if head.etag else []
        if lines and lines[0] == subject:
            await control._take_up(lines[1:])
        else:
            control._begin(subject)
        return control

    def finished(self, number: int, digest: bytes) -> None:
        """Note that a part is complete."""
        self.digests[number] = digest
        self._append({"part": number, "digest": digest.hex()})

    def size_of(self, number: int) -> int:
        """Return the bytes of a part."""
        part = self.plan.range(number)
        return (part.end or 0) - part.start

    def close(self) -> None:
        """Cut the record off: what remains is the object."""
        os.ftruncate(self._fd, self.plan.size)

    def _begin(self, subject: dict[str, Any]) -> None:
        self._end = self.plan.size
        os.ftruncate(self._fd, 0)
        os.ftruncate(self._fd, self._end)
        self._append(subject)

    def _append(self, line: dict[str, Any]) -> None:
        self._end += write_at(self._fd, json.dumps(line).encode() + b"\n", self._end)

    def _read(self) -> list[dict[str, Any]]:
        """Return the whole lines; none where what lies there is no record."""
        length = os.fstat(self._fd).st_size - self.plan.size
        if not 0 < length < _LONGEST:
            return []
        text = os.pread(self._fd, length, self.plan.size)
        # A last line without its end was cut by a kill.
        whole = text[: text.rfind(b"\n") + 1]
        try:
            lines = [json.loads(line) for line in whole.splitlines()]
        except ValueError:
            return []
        self._end += len(whole)
        return lines

    async def _take_up(self, lines: list[dict[str, Any]]) -> None:
        """Believe the lines whose parts are still what they say."""
        os.ftruncate(self._fd, self._end)
        for line in lines:
            number, digest = line["part"], bytes.fromhex(line["digest"])
            if await self._digest(number) == digest:
                self.digests[number] = digest

    async def _digest(self, number: int) -> bytes:
        state = hasher(self.algorithm)
        at, end = self.plan.range(number).start, self.plan.range(number).start + self.size_of(number)
        while at < end:
            piece = os.pread(self._fd, min(_PIECE, end - at), at)
            state.update(piece)
            at += len(piece)
            # A gigabyte takes a second, in which Ctrl-C and the other downloads want their turn.
            await asyncio.sleep(0)
        return state.digest()


def write_at(fd: int, data: Buffer, at: int) -> int:
    """Write all of ``data`` at offset ``at`` and return its length in bytes.

    One call may take less than that, as on a disk that is nearly full.
    """
    view = memoryview(data).cast("B")
    size = len(view)
    while view:
        count = os.pwrite(fd, view, at)
        view = view[count:]
        at += count
    return size
