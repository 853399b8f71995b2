"""The one thread that writes a shard's log, in group commits.

It takes all entries that wait and writes them as one row: one INSERT, one transaction, one fsync. While it is
at that, more gather; nothing polls. It is one statement a commit because the sqlite3 module gives up the GIL
with each, and gets it back up to 5 ms later where the event loop is busy.

A commit begins `_PACE` after the one before at the earliest: with dozens of operations under way, commits of
one or two entries would have this thread and the event loop take turns all the time (a fifth of the CPU time
of moving small objects), and a slow disk sync for each. Who comes after a pause does not wait.

Those who wait are told with one call into their loop a commit. An entry that nobody waits for (`note`) goes
with the next one that somebody waits for, or after 50 ms, or when 500 have come together.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import threading
import time
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Final

from haulyard.errors import JobError
from haulyard.journal import meta
from haulyard.journal.damage import unrecordable, unwritable
from haulyard.journal.log import CLOSED, Link

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: How urgent what waits is: noted; somebody waits for it; it is not to wait for company.
_NOTED: Final = 1
_RECORDED: Final = 2
_NOW: Final = 3
#: Seconds that a noted entry may wait for company, and how many of them do not wait.
_LINGER: Final = 0.05
_CROWD: Final = 500
#: Seconds from the beginning of one commit to that of the next.
_PACE: Final = 0.01
#: Entries that may wait; who notes more waits, with the event loop, until the writer has taken them.
BOUND: Final = 10_000

_encode = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


class _Group:
    """What goes into one commit: entries, names for ``meta`` after them, and who waits for it."""

    __slots__ = ("entries", "futures", "values")

    def __init__(self) -> None:
        self.entries: list[Sequence[Any]] = []
        self.values: dict[str, str] = {}
        self.futures: list[asyncio.Future[None]] = []


class Writer:
    """Writes to the log of one shard, from ``link`` on; ``connection`` is its own from now on."""

    def __init__(self, connection: sqlite3.Connection, path: str, link: Link) -> None:
        self.link = link
        self.commits = 0
        self._connection = connection
        self._path = path
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = threading.Lock()
        self._room = threading.Condition(self._lock)
        self._group = _Group()
        # What was told to the thread since it took a group.
        self._urgency = 0
        self._calls: SimpleQueue[int] = SimpleQueue()
        self._not_before = 0.0
        self._closing = False
        self._failure: JobError | None = None
        self._thread = threading.Thread(target=self._run, name=f"journal {path}", daemon=True)
        self._thread.start()

    @property
    def failure(self) -> JobError | None:
        """Why nothing more can be written, None while it can."""
        return self._failure

    async def record(self, entries: Sequence[Sequence[Any]], values: Mapping[str, str] | None = None) -> None:
        """Write entries and return once they are on the disk, with all that came before them.

        Who is cancelled meanwhile does not know whether they were written; they may yet be.

        Raises:
            JobError: They cannot be written, or something before them could not.
        """
        loop = self._loop
        if loop is None:
            loop = self._loop = asyncio.get_running_loop()
        future = loop.create_future()
        with self._lock:
            self._check()
            group = self._group
            group.entries.extend(entries)
            group.futures.append(future)
            if values:
                group.values.update(values)
            # Who waits for what others noted has nothing that could have company.
            self._call(_RECORDED if entries else _NOW)
        await future

    def note(self, entry: Sequence[Any]) -> None:
        """Have an entry written soon. Where `BOUND` wait already, this waits until they are being written.

        Raises:
            JobError: Something before it could not be written.
        """
        with self._lock:
            self._check()
            entries = self._group.entries
            if len(entries) >= BOUND:
                self._room.wait_for(lambda: self._failure or len(self._group.entries) < BOUND)
                self._check()
                entries = self._group.entries
            entries.append(entry)
            self._call(_NOTED if len(entries) < _CROWD else _NOW)

    def close(self) -> None:
        """Write what waits, and end; returns when the connection is closed. Twice is harmless.

        It blocks for a commit or two and the checkpoint.
        """
        with self._lock:
            if not self._closing:
                self._closing = True
                self._calls.put(_NOW)
        self._thread.join()

    def _call(self, urgency: int) -> None:
        """Wake the thread, unless what it was told already is as urgent; the lock is held."""
        if urgency > self._urgency:
            self._urgency = urgency
            self._calls.put(urgency)

    def _check(self) -> None:
        if self._failure is not None:
            raise JobError(self._failure.message, hint=self._failure.hint)
        if self._closing:
            raise JobError(f"the journal {self._path} is closed", hint="nothing can be recorded any more")

    def _run(self) -> None:
        try:
            while not self._closing:
                self._wait()
                self._commit()
            self._commit()
            self._say_closed()
        finally:
            with suppress(sqlite3.Error):
                self._connection.close()

    def _wait(self) -> None:
        """Return when a group is to be written."""
        urgency = self._calls.get()
        with suppress(Empty):
            # What is more urgent ends this early.
            while urgency < _NOW:
                pause = self._not_before - time.monotonic() if urgency == _RECORDED else _LINGER
                urgency = max(urgency, self._calls.get(timeout=max(pause, 0.0)))

    def _commit(self) -> None:
        with self._lock:
            group, self._group = self._group, _Group()
            self._urgency = 0
            self._room.notify_all()
        if group.entries:
            self._not_before = time.monotonic() + _PACE
        if self._failure is None:
            try:
                self._write(group)
            except sqlite3.Error as error:
                self._fail(unwritable(self._path, error))
            except Exception as error:  # noqa: BLE001 -- whatever it is, those who wait must hear of it
                self._fail(unrecordable(self._path, error))
        if group.futures and self._loop is not None:
            # The loop is gone where its owner was torn down without closing the shard.
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(_wake, group.futures, self._failure)

    def _write(self, group: _Group) -> None:
        if group.entries:
            body = _encode(group.entries)
            link = self.link.next(body)
            self._execute("INSERT INTO log VALUES (?, ?, ?)", (link.seq, body, link.crc))
            self.link = link
            self.commits += 1
        if group.values:
            self._execute(*meta.setting(group.values))

    def _fail(self, failure: JobError) -> None:
        with self._lock:
            self._failure = failure
            self._room.notify_all()

    def _say_closed(self) -> None:
        if self._failure is None and self.commits:
            try:
                self._execute(*meta.setting({CLOSED: str(self.link)}))
            except sqlite3.Error as error:
                self._fail(unwritable(self._path, error))

    def _execute(self, statement: str, parameters: Sequence[str | int]) -> None:
        """Run one transaction; the seam where tests count, fail, or end the process, at a certain one."""
        self._connection.execute(statement, parameters)


def _wake(futures: list[asyncio.Future[None]], failure: JobError | None) -> None:
    for future in futures:
        if future.done():
            continue
        if failure is None:
            future.set_result(None)
        else:
            future.set_exception(JobError(failure.message, hint=failure.hint))
