"""The file that is written: events, one after another, durable whenever `ActiveFile.sync` has returned."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final

from haulyard.errors import ConfigError
from haulyard.journal.durable import fsync_directory
from haulyard.spool.packing import packer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from haulyard.spool.documents import Form
    from haulyard.spool.room import Room

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")


def check_root(root: str) -> str:
    """Return the name of a root element. Raises ConfigError where it is none."""
    if not _NAME.fullmatch(root):
        raise ConfigError(f"{root!r} is no name of an XML element", hint="write --root events")
    return root


def header_of(form: Form, root: str) -> bytes:
    """Return what a file begins with."""
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<{root}>\n'.encode() if form == "xml" else b""


def footer_of(form: Form, root: str) -> bytes:
    """Return what a file ends with."""
    return f"</{root}>\n".encode() if form == "xml" else b""


class ActiveFile:
    """A new file; ``size`` is its size in bytes, ``events`` how many are in it."""

    def __init__(
        self, path: str, form: Form, room: Room, *, root: str = "events", compress: str = ""
    ) -> None:
        self.path = path
        self.events = 0
        self.size = 0
        self._room = room
        self._packer = packer(compress)
        self._footer = footer_of(form, root)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        self._descriptor = room.patiently(lambda: os.open(path, flags, 0o666))
        self._is_dirty = False
        # A file that is not in its directory after the power failed holds nothing.
        fsync_directory(os.path.dirname(path))
        self._write(self._packer.add(header_of(form, root)))

    def add(self, events: Sequence[bytes]) -> None:
        """Append events; they are readable by others now, and durable after `sync`."""
        data = b"\n".join((*events, b""))
        self._write(self._packer.add(data))
        self.events += len(events)

    def sync(self) -> None:
        """Return once all that was added is on the disk. Raises OSError."""
        if self._is_dirty:
            self._write(self._packer.settle())
            os.fdatasync(self._descriptor)
            self._is_dirty = False

    def finish(self) -> None:
        """End the file; it is on the disk when this returns."""
        self._write(self._packer.add(self._footer))
        self._write(self._packer.end())
        os.fsync(self._descriptor)
        self.abandon()

    def abandon(self) -> None:
        """Close the file as it is."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def _write(self, data: bytes) -> None:
        self._is_dirty = True
        if data:
            self._room.write(self._descriptor, data, self.path)
            self.size += len(data)
