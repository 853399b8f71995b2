"""What a shipper remembers of its directory, in ``.haul-ship/state.db``.

Three things that the store cannot be asked for: which files are kept although they were shipped, how often a
file has failed, and when the upload of a large one began, for it is continued only as the very same object.
All else is asked of the store again, so that a state that is lost costs requests and no file.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from haulyard.errors import SpoolError
from haulyard.events import Warned, ignore
from haulyard.journal.damage import concerns_surroundings
from haulyard.spool.finished import Identity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from haulyard.events import Emit

STATE: Final = "state.db"
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS kept (
    name BLOB PRIMARY KEY, inode INTEGER, size INTEGER, mtime_ns INTEGER, ctime_ns INTEGER,
    key TEXT, sha256 TEXT, etag TEXT, at REAL, destination TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS failed (
    name BLOB PRIMARY KEY, inode INTEGER, size INTEGER, mtime_ns INTEGER, ctime_ns INTEGER,
    tries INTEGER, error TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS begun (
    name BLOB PRIMARY KEY, inode INTEGER, size INTEGER, mtime_ns INTEGER, ctime_ns INTEGER,
    store TEXT, key TEXT, at REAL) WITHOUT ROWID;
"""


class Kept(NamedTuple):
    """A file that was shipped and stays: name, what it was, its key, digest, ETag, and since when."""

    name: str
    identity: Identity
    key: str
    sha256: str
    etag: str
    at: float


class Begun(NamedTuple):
    """An upload in parts: of what, to which store and key, and what it gives as its time (epoch seconds)."""

    identity: Identity
    store: str
    key: str
    at: float


class State:
    """The state of one directory; one process has it (the lock beside it). Any thread may call.

    Every change is on the disk when the call returns. ``destination`` tells where files go, and by which
    rules: what is kept was shipped there, and goes again where another one is named.

    Raises:
        SpoolError: It cannot be read or written.
    """

    def __init__(self, folder: str, destination: str, emit: Emit = ignore) -> None:
        self._path = os.path.join(folder, STATE)
        self._destination = destination
        self._turn = threading.Lock()
        self._connection = self._opened(emit)
        #: Of those that fail, how often they did so as what they are.
        self._failed: dict[str, tuple[Identity, int]] = {}
        self.begun: dict[str, Begun] = {}
        self._kept: dict[str, Identity] = {}
        with self._errors():
            for name, *identity, tries in self._connection.execute(
                "SELECT name, inode, size, mtime_ns, ctime_ns, tries FROM failed"
            ):
                self._failed[os.fsdecode(name)] = (Identity(*identity), tries)
            for name, *rest in self._connection.execute("SELECT * FROM begun"):
                self.begun[os.fsdecode(name)] = Begun(Identity(*rest[:4]), *rest[4:])
            for name, *identity in self._connection.execute(
                "SELECT name, inode, size, mtime_ns, ctime_ns FROM kept WHERE destination = ?", (destination,)
            ):
                self._kept[os.fsdecode(name)] = Identity(*identity)

    @property
    def kept(self) -> Mapping[str, Identity]:
        """The files that were shipped to this destination and stay."""
        return self._kept

    def keep(self, files: Iterable[Kept]) -> None:
        """Remember files that stay, in one commit."""
        rows = [
            (os.fsencode(one.name), *one.identity, one.key, one.sha256, one.etag, one.at, self._destination)
            for one in files
        ]
        with self._change() as execute:
            for row in rows:
                execute("REPLACE INTO kept VALUES (?,?,?,?,?,?,?,?,?,?)", row)
        self._kept.update((os.fsdecode(row[0]), Identity(*row[1:5])) for row in rows)

    def forget(self, names: Iterable[str]) -> None:
        """Forget kept files that are gone."""
        gone = [name for name in names if name in self._kept]
        with self._change() as execute:
            for name in gone:
                execute("DELETE FROM kept WHERE name = ?", (os.fsencode(name),))
        for name in gone:
            del self._kept[name]

    def tries(self, name: str, identity: Identity) -> int:
        """Return how often this content has failed for its own reasons."""
        before, count = self._failed.get(name, (identity, 0))
        return count if before == identity else 0

    def failed(self, name: str, identity: Identity, tries: int, error: str) -> None:
        """Remember that it has failed so often."""
        row = (os.fsencode(name), *identity, tries, error.encode(errors="backslashreplace").decode())
        with self._change() as execute:
            execute("REPLACE INTO failed VALUES (?,?,?,?,?,?,?)", row)
        self._failed[name] = (identity, tries)

    def begin(self, name: str, begun: Begun) -> None:
        """Remember an upload in parts before it begins."""
        row = (os.fsencode(name), *begun.identity, *begun[1:])
        with self._change() as execute:
            execute("REPLACE INTO begun VALUES (?,?,?,?,?,?,?,?)", row)
        self.begun[name] = begun

    def ended(self, name: str) -> None:
        """Forget all but that it is kept: it was shipped, or was given up."""
        if name not in self._failed and name not in self.begun:
            return
        with self._change() as execute:
            execute("DELETE FROM failed WHERE name = ?", (os.fsencode(name),))
            execute("DELETE FROM begun WHERE name = ?", (os.fsencode(name),))
        self._failed.pop(name, None)
        self.begun.pop(name, None)

    def close(self) -> None:
        """Close it; closing twice is harmless."""
        with self._turn:
            self._connection.close()

    def _opened(self, emit: Emit) -> sqlite3.Connection:
        try:
            return self._connect()
        except sqlite3.Error as error:
            if concerns_surroundings(error):
                raise self._unusable(error) from error
        aside = f"{self._path}.damaged"
        with self._errors():
            os.replace(self._path, aside)
            for suffix in ("-wal", "-shm"):
                with suppress(FileNotFoundError):
                    os.unlink(self._path + suffix)
            emit(
                Warned(
                    f"{self._path} is damaged and was put aside as {aside}",
                    "nothing is lost: what was shipped before is found in the store again",
                )
            )
            return self._connect()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, timeout=10.0)
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            connection.executescript(_SCHEMA)
            for table in ("kept", "failed", "begun"):
                connection.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608 -- our own names
        except BaseException:
            connection.close()
            raise
        return connection

    @contextmanager
    def _change(self) -> Iterator[Callable[[str, tuple[object, ...]], object]]:
        with self._turn, self._errors():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection.execute
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise self._unusable(error) from error

    def _unusable(self, error: Exception) -> SpoolError:
        return SpoolError(
            f"{self._path} cannot be used: {error}",
            hint="make room on the disk, and the directory writable for this user",
        )
