"""Files that are there whole or not at all, also after the power failed."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def replace(path: str, content: bytes) -> None:
    """Give ``path`` this content in one step. Raises OSError; what was there before is then untouched."""
    _put(path, content, os.replace)


def create(path: str, content: bytes) -> None:
    """Make ``path`` with this content in one step; of two processes that try, one succeeds.

    Raises:
        FileExistsError: It is there already.
        OSError: It cannot be written.
    """
    _put(path, content, os.link)


def fsync_file(path: str) -> None:
    """Return once the file's content is on the disk."""
    _fsync(path, os.O_RDONLY)


def fsync_directory(path: str) -> None:
    """Return once the names in the directory are on the disk."""
    _fsync(path, os.O_RDONLY | os.O_DIRECTORY)


def _put(path: str, content: bytes, publish: Callable[[str, str], None]) -> None:
    directory, name = os.path.split(path)
    # The process id keeps two writers apart; what a killed one left is overwritten, not collected.
    temporary = os.path.join(directory, f".{name}.{os.getpid()}")
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        publish(temporary, path)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(temporary)
    fsync_directory(directory or ".")


def _fsync(path: str, flags: int) -> None:
    descriptor = os.open(path, flags | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
