"""Walks a directory in the order of S3: by the UTF-8 bytes of the whole key.

A directory sorts as its name and a slash, so ``a-b`` comes before ``a/x`` and ``a0`` after it. Code points
compare as their UTF-8 bytes do. Memory holds the names of the directories on the way down, one level each.
"""

from __future__ import annotations

import os
import stat
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from haulyard.errors import NotFound
from haulyard.events import Warned, ignore
from haulyard.models import ObjectInfo
from haulyard.stores._os_errors import translate
from haulyard.stores.names import flaw_of_name, is_part_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from haulyard.events import Emit


# A day from the ends, so that they can be told in seconds and back.
_EARLIEST: Final = datetime(1, 1, 2, tzinfo=UTC)
_LATEST: Final = datetime(9999, 12, 30, tzinfo=UTC)


def etag_of(status: os.stat_result) -> str:
    """Return an opaque tag that changes when the file is replaced or written to."""
    return f"{status.st_ino:x}-{status.st_mtime_ns:x}-{status.st_size:x}"


def modified(status: os.stat_result) -> datetime:
    """Return the modification time, aware, in UTC; of one that no calendar has, the nearest."""
    try:
        return datetime.fromtimestamp(status.st_mtime, UTC)
    except (OverflowError, ValueError):
        return _LATEST if status.st_mtime > 0 else _EARLIEST


class Walk:
    """What lies below ``root``, as keys.

    Special files (FIFO, socket, device), names that are not UTF-8, links that lead nowhere or back up, and
    all links unless ``follow_symlinks``, are skipped, each with a `Warned` event. A directory that
    cannot be read raises AccessDenied: a listing that left something out must not look complete.
    """

    def __init__(self, root: str, emit: Emit, *, follow_symlinks: bool = True) -> None:
        self._root = root
        self._emit = emit
        self._follow = follow_symlinks

    def files(self, prefix: str, start_after: str = "") -> Iterator[ObjectInfo]:
        """Yield the files whose keys start with ``prefix`` and come after ``start_after``, in order.

        Files that vanish under way are left out. NotFound if there is no root.
        """
        base, slash, rest = prefix.rpartition("/")
        base += slash
        stack = [(base, self._names(base, rest))] if self._is_directory(base) else []
        while stack:
            base, names = stack[-1]
            if not names:
                stack.pop()
                continue
            key = base + names.pop()
            if not key.endswith("/"):
                if key > start_after and (info := self._describe(key)):
                    yield info
            elif _reaches(key, start_after):
                stack.append((key, self._names(key)))

    def level(self, prefix: str, start_after: str = "") -> Iterator[ObjectInfo | str]:
        """Yield files as `files` does, but a further directory that holds any as its key with a slash."""
        base, slash, rest = prefix.rpartition("/")
        base += slash
        names = self._names(base, rest) if self._is_directory(base) else []
        quiet = Walk(self._root, ignore, follow_symlinks=self._follow)
        for name in reversed(names):
            key = base + name
            if not key.endswith("/"):
                if key > start_after and (info := self._describe(key)):
                    yield info
            elif _reaches(key, start_after) and any(quiet.files(key, start_after)):
                yield key

    def _is_directory(self, base: str) -> bool:
        """Whether a listing can start at ``base``; NotFound where there is no root at all."""
        if not os.path.isdir(self._root):
            raise NotFound(
                f"{self._root}: no such directory", store="local", operation="list", bucket=self._root
            )
        path = self._root
        for name in base.split("/")[:-1]:
            path += "/" + name
            if flaw_of_name(name) or not (self._follow or not os.path.islink(path)):
                return False
        return os.path.isdir(path)

    def _names(self, base: str, start: str = "") -> list[str]:
        """Return what is in a directory, last first; directories end in a slash."""
        try:
            with os.scandir(self._root + "/" + base) as entries:
                named = (self._name_of(entry, base) for entry in entries if entry.name.startswith(start))
                return sorted(filter(None, named), reverse=True)
        except (FileNotFoundError, NotADirectoryError):
            # It vanished after it was seen.
            return []
        except OSError as error:
            raise translate(error, "list", base, self._root) from error

    def _name_of(self, entry: os.DirEntry[str], base: str) -> str:
        """Return the name that ``entry`` has in keys, ``""`` if it has none."""
        name = entry.name
        try:
            if not name.isascii():
                name.encode()
            if entry.is_symlink():
                return self._name_of_link(entry, base)
            if entry.is_dir():
                return name + "/"
            if entry.is_file():
                return "" if is_part_name(name) else name
        except UnicodeEncodeError:
            return self._skip(os.fsencode(base + name), "its name is not UTF-8")
        except OSError as error:
            return self._skip(base + name, error.strerror or str(error))
        return self._skip(base + name, "it is no regular file")

    def _name_of_link(self, entry: os.DirEntry[str], base: str) -> str:
        key = base + entry.name
        if not self._follow:
            return self._skip(key, "it is a symbolic link")
        if entry.is_file():
            return entry.name
        if not entry.is_dir():
            return self._skip(key, "it is a symbolic link that leads to no file")
        target = entry.stat()
        above = self._root
        for name in ("", *base.split("/")[:-1]):
            above = f"{above}/{name}" if name else above
            if os.path.samestat(os.stat(above), target):
                return self._skip(key, "it is a symbolic link to a directory that it is in")
        return entry.name + "/"

    def _skip(self, key: str | bytes, reason: str) -> str:
        self._emit(Warned(f"{self._root}: {key!r} is skipped: {reason}"))
        return ""

    def _describe(self, key: str) -> ObjectInfo | None:
        try:
            status = os.stat(f"{self._root}/{key}")
        except FileNotFoundError:
            return None
        except OSError as error:
            raise translate(error, "list", key, self._root) from error
        if not stat.S_ISREG(status.st_mode):
            return None
        return ObjectInfo(key, status.st_size, modified(status), etag_of(status))


def _reaches(directory: str, start_after: str) -> bool:
    """Whether ``directory`` (with its slash) can hold keys that come after ``start_after``."""
    return directory > start_after or start_after.startswith(directory)
