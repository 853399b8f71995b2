"""A file that grows under a hidden name beside its target, and gets the target's when it is complete."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Protocol

from haulyard.errors import PreconditionFailed, StoreError


class Owner(Protocol):
    """What a growing file asks of the tree that it is part of."""

    @property
    def root(self) -> str:
        """The directory that all keys are below."""
        ...

    def translated(self, error: OSError, operation: str, key: str) -> StoreError:
        """Return the error of ours for one of the operating system."""
        ...

    def refuse_other_spelling(self, parent: int, name: str, key: str) -> None:
        """Raise UnsafeName if ``name`` would overwrite a file that is spelled in another case."""
        ...


class Directory:
    """An open directory; its descriptor lives as long as somebody refers to it."""

    __slots__ = ("fd", "folds_case", "identity", "verified")

    def __init__(self, fd: int, now: float) -> None:
        self.fd = fd
        #: Whether two spellings of a name are one file here; None until a file was made.
        self.folds_case: bool | None = None
        #: When the path last led here, in seconds of the monotonic clock.
        self.verified = now
        status = os.fstat(fd)
        self.identity = (status.st_dev, status.st_ino)

    def __del__(self) -> None:
        # Files under way keep their directory open after the cache dropped it: the last reference closes.
        os.close(self.fd)


class PartFile:
    """A file that grows under a hidden name, locked, until `commit` gives it its own.

    ``fd`` is open for reading and writing. Exactly one of `commit`, `discard` and `keep` ends it; a crash
    leaves the hidden file behind, which the next `Tree.create` of the same key takes over.
    """

    __slots__ = ("_directory", "_name", "_part", "_tree", "fd", "key")

    def __init__(self, tree: Owner, key: str, directory: Directory, name: str, part: str, fd: int) -> None:
        self.fd = fd
        self.key = key
        self._tree = tree
        self._directory = directory
        self._name = name
        self._part = part

    def commit(self, mtime_ns: int | None = None, *, exclusive: bool = False, durable: bool = False) -> None:
        """Give the file its own name, atomically replacing what has it, and close it.

        ``mtime_ns`` is its modification time in nanoseconds since the epoch. ``exclusive`` replaces nothing:
        PreconditionFailed if the name is taken. ``durable`` waits until both survive a power failure.
        After an error the hidden file is gone.
        """
        parent = self._directory.fd
        try:
            if mtime_ns is not None:
                os.utime(self.fd, ns=(mtime_ns, mtime_ns))
            if durable:
                os.fsync(self.fd)
            if exclusive:
                self._link()
            else:
                if self._directory.folds_case:
                    self._tree.refuse_other_spelling(parent, self._name, self.key)
                os.rename(self._part, self._name, src_dir_fd=parent, dst_dir_fd=parent)
            if durable:
                os.fsync(parent)
        except OSError as error:
            self.discard()
            raise self._tree.translated(error, "put", self.key) from error
        except StoreError:
            self.discard()
            raise
        self._close()

    def discard(self) -> None:
        """Remove the hidden file; harmless after the end."""
        if self.fd >= 0:
            with suppress(FileNotFoundError):
                os.unlink(self._part, dir_fd=self._directory.fd)
            self._close()

    def keep(self) -> None:
        """Close the hidden file and leave it where it is, to be continued later; harmless after the end."""
        if self.fd >= 0:
            self._close()

    def current(self) -> os.stat_result | None:
        """Describe the file that has the target's name now; None if there is none."""
        try:
            return os.stat(self._name, dir_fd=self._directory.fd)
        except FileNotFoundError:
            return None

    def _link(self) -> None:
        parent = self._directory.fd
        try:
            os.link(self._part, self._name, src_dir_fd=parent, dst_dir_fd=parent, follow_symlinks=False)
        except FileExistsError:
            raise PreconditionFailed(
                f"{self._tree.root}/{self.key} exists already",
                store="local",
                operation="put",
                bucket=self._tree.root,
                key=self.key,
            ) from None
        os.unlink(self._part, dir_fd=parent)

    def _close(self) -> None:
        # The lock goes with the descriptor.
        fd, self.fd = self.fd, -1
        os.close(fd)
