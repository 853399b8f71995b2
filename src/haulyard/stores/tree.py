"""Files below one directory: created, opened and removed beneath its descriptor, never outside it.

Checking a path as text has failed others: between the check and the use a directory can become a symbolic
link. So every directory on the way is opened from the descriptor of the one above it, without following
links, and what is written goes to a hidden file beside its target, which takes the target's name only when
it is complete. Blocking calls, all of them short.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import time
from collections import OrderedDict
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from haulyard.errors import Conflict, NotFound, StoreError, UnsafeName
from haulyard.stores._os_errors import translate
from haulyard.stores.names import MAX_KEY, flaw_of_name, part_name
from haulyard.stores.part_file import Directory, PartFile

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

_MAX_HELD: Final = 128
"""Directory descriptors kept open; the usual limit of a process is 1,024 (macOS: 256)."""

_BENEATH: Final = os.O_NOFOLLOW | os.O_CLOEXEC
_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | _BENEATH
# O_NONBLOCK: opening a FIFO that somebody put there must not wait for its other end.
_WRITE: Final = os.O_RDWR | os.O_NONBLOCK | _BENEATH
_READ: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC

_TRUSTED: Final = 1.0
"""Seconds for which a directory is taken to be where it was."""


def _exists(name: str, parent: int) -> bool:
    try:
        os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


class Tree:
    """The files below ``root``, by key.

    Reading follows symbolic links if ``follow_symlinks``, out of the root too: they are the user's own.
    Writing and removing never do. Directories are created as needed, the root as well, and kept open (the
    128 used last) as long as their paths lead to them.
    Not for use by several threads at once.

    Errors are those of `haulyard.errors`: UnsafeName for a key that cannot be a file here, Conflict where
    another process writes the same key, AccessDenied, NotFound, StoreError.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        *,
        follow_symlinks: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self.root: Final = os.path.abspath(os.fspath(root))
        self._follow = follow_symlinks
        self._held: OrderedDict[str, Directory] = OrderedDict()

    def create(self, key: str, *, keep: bool = False) -> PartFile:
        """Begin to write the file of ``key``.

        The hidden file of an earlier attempt is emptied, or with ``keep`` left as it is.
        """
        path, name = self._split(key)
        part = part_name(name)
        try:
            for _ in range(3):
                try:
                    directory = self._directory(path, key, create=True)
                    return self._begin(directory, key, name, part, keep=keep)
                except FileNotFoundError:
                    # The directory was removed after it was opened, and those above it may have been, too.
                    self._held.clear()
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        except OSError as error:
            raise self.translated(error, "put", key) from error

    def open(self, key: str) -> int:
        """Open the regular file of ``key`` for reading and return the descriptor, which is the caller's."""
        self.check(key)
        try:
            if self._follow:
                fd = os.open(f"{self.root}/{key}", _READ)
            else:
                path, _, name = key.rpartition("/")
                directory = self._directory(path, key, create=False)
                fd = os.open(name, _READ | os.O_NOFOLLOW, dir_fd=directory.fd)
        except OSError as error:
            raise self._absent_or(error, "get", key) from error
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise self._not_found("get", key)
        return fd

    def stat(self, key: str) -> os.stat_result:
        """Describe the regular file of ``key``; NotFound if there is none."""
        self.check(key)
        try:
            if self._follow:
                status = os.stat(f"{self.root}/{key}")
            else:
                path, _, name = key.rpartition("/")
                directory = self._directory(path, key, create=False)
                status = os.stat(name, dir_fd=directory.fd, follow_symlinks=False)
        except OSError as error:
            raise self._absent_or(error, "head", key) from error
        if not stat.S_ISREG(status.st_mode):
            raise self._not_found("head", key)
        return status

    def remove(self, key: str) -> bool:
        """Remove the file of ``key``; False if there was none. Directories stay."""
        path, name = self._split(key)
        try:
            directory = self._directory(path, key, create=False)
            if stat.S_ISDIR(os.stat(name, dir_fd=directory.fd, follow_symlinks=False).st_mode):
                return False
            os.unlink(name, dir_fd=directory.fd)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise self.translated(error, "delete", key) from error
        return True

    def refuse_writer(self, key: str) -> None:
        """Raise Conflict while another task or process writes the file of ``key``."""
        path, name = self._split(key)
        try:
            fd = os.open(part_name(name), _WRITE, dir_fd=self._directory(path, key, create=False).fd)
        except OSError:
            return
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise self._being_written(key) from None
        finally:
            os.close(fd)

    def check(self, key: str) -> None:
        """Raise UnsafeName unless ``key`` can be a file below the root."""
        path, _ = self._split(key)
        if path:
            for name in path.split("/"):
                if flaw := flaw_of_name(name):
                    self._refuse(key, flaw)

    def close(self) -> None:
        """Close the directories that were kept open; files under way keep theirs."""
        self._held.clear()

    def translated(self, error: OSError, operation: str, key: str) -> StoreError:
        """Return the error of the tree for one of the operating system."""
        return translate(error, operation, key, self.root)

    def refuse_other_spelling(self, parent: int, name: str, key: str) -> None:
        """Raise UnsafeName if ``name`` would reach a file in ``parent`` that is spelled in another case.

        Only a directory that ignores case finds one file under both; only then its names are read.
        """
        other = name.swapcase()
        if other == name:
            return
        try:
            found = os.stat(name, dir_fd=parent, follow_symlinks=False)
            again = os.stat(other, dir_fd=parent, follow_symlinks=False)
        except FileNotFoundError:
            return
        if not os.path.samestat(found, again):
            return
        names = os.listdir(parent)
        if name in names:
            return
        same = next((entry for entry in names if entry.casefold() == name.casefold()), other)
        raise UnsafeName(
            f"{key!r} would overwrite {same!r}, which differs in case only, in {self.root}",
            store="local",
            operation="put",
            bucket=self.root,
            key=key,
            hint="this file system ignores case; rename one of the two, or choose another file system",
        )

    def _split(self, key: str) -> tuple[str, str]:
        """Return directory and name of ``key``; the name is checked, the directory is when it is opened."""
        path, _, name = key.rpartition("/")
        if flaw := flaw_of_name(name):
            self._refuse(key, flaw if key else "it is empty")
        if len(key) * 4 > MAX_KEY and len(key.encode(errors="replace")) > MAX_KEY:
            self._refuse(key, f"it is longer than {MAX_KEY} bytes")
        if key.startswith("/"):
            self._refuse(key, "it is absolute")
        return path, name

    def _begin(self, directory: Directory, key: str, name: str, part: str, *, keep: bool) -> PartFile:
        if keep:
            # A large file: better now than when it takes its name, after the last byte.
            with suppress(FileNotFoundError):
                target = os.stat(name, dir_fd=directory.fd, follow_symlinks=False)
                if stat.S_ISDIR(target.st_mode):
                    raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        fd = self._lock_part(directory.fd, part, key, empty=not keep)
        if directory.folds_case is None:
            directory.folds_case = _exists(part.swapcase(), directory.fd)
        return PartFile(self, key, directory, name, part, fd)

    def _lock_part(self, parent: int, part: str, key: str, *, empty: bool) -> int:
        """Open the hidden file, ours alone, and return its descriptor; ``empty`` drops what is in it."""
        while True:
            try:
                fd, created = os.open(part, _WRITE | os.O_CREAT | os.O_EXCL, 0o666, dir_fd=parent), True
            except FileExistsError:
                try:
                    fd, created = os.open(part, _WRITE, dir_fd=parent), False
                except FileNotFoundError:
                    continue
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if self._is_ours(fd, parent, part, created=created):
                    if empty and not created:
                        os.ftruncate(fd, 0)
                    return fd
            except BlockingIOError:
                os.close(fd)
                raise self._being_written(key) from None
            except BaseException:
                os.close(fd)
                raise
            os.close(fd)

    @staticmethod
    def _is_ours(fd: int, parent: int, part: str, *, created: bool) -> bool:
        """Whether the locked file still has the hidden name, and nobody else can reach it by another."""
        held = os.fstat(fd)
        try:
            named = os.stat(part, dir_fd=parent, follow_symlinks=False)
        except FileNotFoundError:
            return False
        if not os.path.samestat(held, named):
            # Its writer finished between our opening and our locking it: it is the target by now.
            return False
        if created or (held.st_uid == os.geteuid() and held.st_nlink == 1 and stat.S_ISREG(held.st_mode)):
            return True
        # Somebody laid it out for us: a link to a file of theirs, or one that they own.
        os.unlink(part, dir_fd=parent)
        return False

    def _directory(self, path: str, key: str, *, create: bool) -> Directory:
        """Return the open directory ``path`` (relative, ``""`` is the root), through no symbolic link."""
        held = self._held.get(path)
        if held is not None:
            if self._leads_to(path, held):
                self._held.move_to_end(path)
                return held
            del self._held[path]
        if path:
            above, _, name = path.rpartition("/")
            if flaw := flaw_of_name(name):
                self._refuse(key, flaw)
            parent = self._directory(above, key, create=create)
            directory = Directory(self._step(parent.fd, name, key, create=create), self._clock())
        else:
            directory = Directory(self._open_root(create=create), self._clock())
        self._held[path] = directory
        if len(self._held) > _MAX_HELD:
            self._held.popitem(last=False)
        return directory

    def _leads_to(self, path: str, held: Directory) -> bool:
        """Whether ``path`` is still that directory; asked again once a second, not for every file."""
        now = self._clock()
        if now - held.verified < _TRUSTED:
            return True
        held.verified = now
        with suppress(OSError):
            found = os.stat(f"{self.root}/{path}")
            return (found.st_dev, found.st_ino) == held.identity
        return False

    def _open_root(self, *, create: bool) -> int:
        # The root is the user's own word: links in its path are followed.
        if create:
            # Where it is a file, opening it as a directory says so.
            with suppress(FileExistsError):
                os.makedirs(self.root)
        return os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def _step(self, parent: int, name: str, key: str, *, create: bool) -> int:
        """Open the directory ``name`` of ``parent``, made if need be."""
        try:
            fd = os.open(name, _DIRECTORY, dir_fd=parent)
        except FileNotFoundError:
            if not create:
                raise
            with suppress(FileExistsError):
                os.mkdir(name, dir_fd=parent)
            return os.open(name, _DIRECTORY, dir_fd=parent)
        except NotADirectoryError:
            # Linux says so of a symbolic link too, which deserves its own sentence.
            if stat.S_ISLNK(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP)) from None
            raise
        try:
            self.refuse_other_spelling(parent, name, key)
        except UnsafeName:
            os.close(fd)
            raise
        return fd

    def _absent_or(self, error: OSError, operation: str, key: str) -> StoreError:
        if error.errno in {errno.ENOENT, errno.ENOTDIR}:
            return self._not_found(operation, key)
        return self.translated(error, operation, key)

    def _not_found(self, operation: str, key: str) -> NotFound:
        return NotFound(
            f"{self.root}/{key}: no such file", store="local", operation=operation, bucket=self.root, key=key
        )

    def _being_written(self, key: str) -> Conflict:
        hint = "Wait for the other command to end, then run this one again."
        message = f"{self.root}/{key} is being written by another task or process"
        return Conflict(message, store="local", bucket=self.root, key=key, hint=hint)

    def _refuse(self, key: str, flaw: str) -> NoReturn:
        raise UnsafeName(
            f"{key!r} cannot be a file below {self.root}: {flaw}",
            store="local",
            bucket=self.root,
            key=key,
            hint="copy this object under another name",
        )
