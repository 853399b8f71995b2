"""Events that went into no file: ``rejected/YYYYMMDD.jsonl``, one a line, with the reason.

A line has ``time``, ``reason`` and ``event`` (in UTF-8) or ``event_base64``; ``is_rest`` is true of what is
more of an event on a line before. It is on the disk before the batch counts as written.
"""

from __future__ import annotations

import base64
import os
import re
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import orjson

from haulyard.journal.durable import fsync_directory

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from haulyard.spool.documents import Rejected
    from haulyard.spool.room import Room

DIRECTORY: Final = "rejected"
_PIECE: Final = 1 << 16
_NAME: Final = re.compile(r"[0-9]{8}\.jsonl")


class Rejections:
    """The rejected events of a spool directory; one writer at a time."""

    def __init__(self, directory: str, room: Room, clock: Callable[[], float]) -> None:
        self.path = os.path.join(directory, DIRECTORY)
        self._room = room
        self._clock = clock
        self._sound: set[str] = set()

    def mend(self) -> None:
        """Cut off what a kill left of a line, so that every line can be read. Raises OSError."""
        with suppress(FileNotFoundError):
            for name in os.listdir(self.path):
                if _NAME.fullmatch(name):
                    path = os.path.join(self.path, name)
                    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
                    try:
                        _cut_torn_line(descriptor)
                    finally:
                        os.close(descriptor)

    def add(self, rejected: Sequence[Rejected]) -> None:
        """Append them; they are on the disk when this returns. Raises OSError, SpoolError."""
        if not rejected:
            return
        now = self._clock()
        moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))
        data = b"".join(_line(moment, each) for each in rejected)
        path = os.path.join(self.path, time.strftime("%Y%m%d.jsonl", time.gmtime(now)))
        if not os.path.isdir(self.path):
            os.makedirs(self.path, exist_ok=True)
            fsync_directory(os.path.dirname(self.path))
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
        try:
            if path not in self._sound:
                _cut_torn_line(descriptor)
                fsync_directory(self.path)
                self._sound = {path}
            self._room.write(descriptor, data, path)
            os.fsync(descriptor)
        except BaseException:
            self._sound.clear()
            raise
        finally:
            os.close(descriptor)


def _line(moment: str, rejected: Rejected) -> bytes:
    fields: dict[str, object] = {"time": moment, "reason": rejected.reason}
    try:
        fields["event"] = rejected.event.decode()
    except UnicodeDecodeError:
        fields["event_base64"] = base64.b64encode(rejected.event).decode()
    if rejected.is_rest:
        fields["is_rest"] = True
    return orjson.dumps(fields, option=orjson.OPT_APPEND_NEWLINE)


def _cut_torn_line(descriptor: int) -> None:
    """Remove what was being written when the process was killed: it was not acknowledged."""
    end = os.fstat(descriptor).st_size
    at = end
    while at:
        begin = max(0, at - _PIECE)
        last = os.pread(descriptor, at - begin, begin).rfind(b"\n")
        if last >= 0:
            at = begin + last + 1
            break
        at = begin
    if at < end:
        os.ftruncate(descriptor, at)
