"""Which files of a spool directory are finished, and in which order they go.

Finished is a regular file that nobody has open for writing and that was not touched for a while: neither
written, nor given its name. Links, directories, hidden files and the names that unfinished ones have
(``.active .part .tmp``) are passed over, as are those that the filter leaves out.
"""

from __future__ import annotations

import heapq
import os
import stat
import time
from typing import TYPE_CHECKING, Final, NamedTuple

from haulyard.spool.keys import date_of

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Mapping

    from haulyard.transfer.filters import Filter

UNFINISHED: Final = (".active", ".part", ".tmp")
#: Files that are kept in mind at a time: 300 bytes each. What is left over is found by the next look.
MOST: Final = 20_000


class Identity(NamedTuple):
    """What tells one content of one file from the next; times in nanoseconds since the epoch."""

    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> Identity:
        """Take it from what fstat says."""
        return cls(status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


class Candidate(NamedTuple):
    """A file that is to be shipped. Candidates sort by the date of their names, then by their times."""

    order: float
    mtime_ns: int
    name: str
    inode: int
    size: int
    ctime_ns: int

    @property
    def identity(self) -> Identity:
        """What it was when it was found."""
        return Identity(self.inode, self.size, self.mtime_ns, self.ctime_ns)

    @property
    def since(self) -> float:
        """When it was last touched, in epoch seconds."""
        return max(self.mtime_ns, self.ctime_ns) / 1e9


class Sight(NamedTuple):
    """What one look found.

    ``ready`` are the oldest of the finished files, ``is_cut`` says that there are more. ``files``, ``bytes``
    and ``oldest`` (epoch seconds, 0.0 for none) are of all that wait, those that are not yet finished
    included; these are ``young``, and ``due`` is in how many seconds the first of them may be finished.
    ``links`` are names that are refused.
    """

    ready: list[Candidate]
    is_cut: bool
    files: int
    bytes: int
    oldest: float
    young: int
    due: float | None
    links: list[str]


class Lookout:
    """Looks into one directory again and again.

    Args:
        directory: Its descriptor.
        wanted: Names that it takes.
        settle: Seconds that a file must have been left alone.
        clock: Tells epoch seconds.
        monotonic: Tells seconds that never step.
    """

    def __init__(
        self,
        directory: int,
        wanted: Filter,
        settle: float,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._directory = directory
        self._wanted = wanted
        self._settle = settle
        self._clock = clock
        self._monotonic = monotonic
        #: Files with times to come, since when they were seen unchanged: a clock was wrong, or is.
        self._ahead: dict[str, tuple[Identity, float]] = {}

    def look(self, busy: Container[str], kept: Mapping[str, Identity], *, is_thorough: bool = True) -> Sight:
        """Look once.

        ``busy`` are names that are under way; they count and are not returned. ``kept`` are files that were
        shipped and stay; without ``is_thorough`` they are known by their names alone. Raises OSError.
        """
        found: list[Candidate] = []
        links: list[str] = []
        ahead, self._ahead = self._ahead, {}
        files = size = young = 0
        oldest, due = 0.0, None
        now = self._clock()
        with os.scandir(self._directory) as entries:
            for entry in entries:
                name = entry.name
                if not self._is_wanted(name) or (name in kept and not is_thorough):
                    continue
                try:
                    status = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                if not stat.S_ISREG(status.st_mode):
                    if stat.S_ISLNK(status.st_mode):
                        links.append(name)
                    continue
                identity = Identity.of(status)
                if name in kept and kept[name] == identity:
                    continue
                files += 1
                size += status.st_size
                since = max(status.st_mtime, status.st_ctime)
                oldest = min(oldest, since) if oldest else since
                if name in busy:
                    continue
                wait = self._wait(name, identity, now - since, ahead)
                if wait > 0:
                    young += 1
                    due = wait if due is None else min(due, wait)
                else:
                    found.append(_candidate(name, status))
        ready = heapq.nsmallest(MOST, found)
        return Sight(ready, len(found) > MOST, files, size, oldest, young, due, links)

    def _is_wanted(self, name: str) -> bool:
        if name.startswith(".") or name.endswith(UNFINISHED):
            return False
        return self._wanted.is_open or self._wanted.accepts(name)

    def _wait(
        self, name: str, identity: Identity, age: float, ahead: Mapping[str, tuple[Identity, float]]
    ) -> float:
        """Return in how many seconds the file may be finished; not above 0: it is."""
        if age >= 0:
            return self._settle - age
        now = self._monotonic()
        before, since = ahead.get(name, (identity, now))
        since = since if before == identity else now
        self._ahead[name] = (identity, since)
        return self._settle - (now - since)


def _candidate(name: str, status: os.stat_result) -> Candidate:
    date = date_of(name)
    order = status.st_mtime if date is None else date.timestamp()
    return Candidate(order, status.st_mtime_ns, name, status.st_ino, status.st_size, status.st_ctime_ns)
