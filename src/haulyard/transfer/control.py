"""What of a large object has arrived, noted at the end of the very file that holds it.

Behind the ``size`` bytes of the object lies one JSON line that says which object this is, and then one line
for each part that is complete, with its digest. All of it vanishes when the file is cut to its size, right
before it gets its name. Because a power failure may keep a line and lose the bytes it speaks of, the parts
of an earlier run are hashed again before they count.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, Self

from haulyard.checksums import hasher

if TYPE_CHECKING:
    from haulyard.models import ObjectHead
    from haulyard.transfer.parts import PartPlan

_VERSION = 1
_PIECE = 1024 * 1024
#: Bytes; the record of 10,000 parts is shorter. What is longer is the content of some other object.
_LONGEST = 4 * 1024 * 1024


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
    def open(cls, fd: int, head: ObjectHead, plan: PartPlan, algorithm: str) -> Self:
        """Take up the record that is in the file, or begin one where it speaks of another object."""
        control = cls(fd, plan, algorithm)
        subject = {
            "v": _VERSION,
            "etag": head.etag,
            "version": head.version_id,
            "part_size": plan.part_size,
            "algorithm": algorithm,
        }
        lines = control._read() if head.etag else []
        if lines and lines[0] == subject:
            control._take_up(lines[1:])
        else:
            os.ftruncate(fd, 0)
            os.ftruncate(fd, plan.size)
            control._append(subject)
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

    def _append(self, line: dict[str, Any]) -> None:
        self._end += os.pwrite(self._fd, json.dumps(line).encode() + b"\n", self._end)

    def _read(self) -> list[dict[str, Any]]:
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
        os.ftruncate(self._fd, self._end)
        return lines

    def _take_up(self, lines: list[dict[str, Any]]) -> None:
        for line in lines:
            digest = bytes.fromhex(line["digest"])
            if self.algorithm and self._digest(line["part"]) == digest:
                self.digests[line["part"]] = digest

    def _digest(self, number: int) -> bytes:
        state = hasher(self.algorithm)
        at, end = self.plan.range(number).start, self.plan.range(number).start + self.size_of(number)
        while at < end:
            piece = os.pread(self._fd, min(_PIECE, end - at), at)
            state.update(piece)
            at += len(piece)
        return state.digest()
