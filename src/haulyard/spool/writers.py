"""Does anybody have a file open for writing? Asked of the kernel.

A read lease is granted only on a file that nobody has open for writing (fcntl(2), F_SETLEASE), maps of it
included. Only its owner or root may take one, and not every filesystem has them; there the descriptors of all
processes are looked at that /proc shows us, which are at least our own user's.
"""

from __future__ import annotations

import errno
import fcntl
import os
import signal
from contextlib import suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection

_PROCESSES: Final = "/proc"


def has_writer(descriptor: int) -> bool | None:
    """Whether the file, open for reading only, is open for writing as well; None where leases do not say."""
    try:
        # Who opens the file for writing in the microsecond of the lease makes the kernel send a signal.
        # SIGIO, its own choice, would end the process; this one is ignored unless somebody asked for it.
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except (OSError, AttributeError) as error:
        return True if getattr(error, "errno", 0) == errno.EAGAIN else None
    fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return False


def written(files: Collection[tuple[int, int]]) -> set[tuple[int, int]]:
    """Return those of ``files`` (device, inode) that are open for writing, as far as /proc shows."""
    found: set[tuple[int, int]] = set()
    if not files:
        return found
    with suppress(OSError):
        for process in os.listdir(_PROCESSES):
            if process.isdecimal():
                with suppress(OSError):
                    found |= _written_by(f"{_PROCESSES}/{process}", files)
    return found


def _written_by(process: str, files: Collection[tuple[int, int]]) -> set[tuple[int, int]]:
    found = set()
    for descriptor in os.listdir(f"{process}/fd"):
        with suppress(OSError, ValueError):
            status = os.stat(f"{process}/fd/{descriptor}")
            file = (status.st_dev, status.st_ino)
            if file in files and _is_writable(f"{process}/fdinfo/{descriptor}"):
                found.add(file)
    return found


def _is_writable(path: str) -> bool:
    with open(path, "rb") as file:
        for line in file:
            if line.startswith(b"flags:"):
                return int(line.split()[1], 8) & os.O_ACCMODE != os.O_RDONLY
    return False
