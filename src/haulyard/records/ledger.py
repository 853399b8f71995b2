"""The durable side of a records job: one SQLite file, ``records.db``, in the job's folder.

::

    meta(name, value, crc)                   format, id; ``objects`` once the listing is whole
    object(id, key, size, etag, …, crc)      the source objects in the order of reading, ids 1, 2, 3 …
    unread(object, reason, crc)              those that could not be read to their end, and why
    letter(id, object, offset, row, …, crc)  the dead letters
    resolution(letter, at, crc)              those that were delivered after all
    state(name, body, crc)                   JSON: ``head``, ``progress``, ``account``, ``answers`` …

Bulk jobs append what happened to a log. Here that would be a row for each of 400,000 commits, of which only
the last says anything: so ``state`` is *replaced*. All that happened since the last commit goes into one
transaction, so that dead letters, answers and watermark advance together or not at all. Every CRC-32 hangs on
the ledger's own id; ``head`` counts the commits, the letters and the resolutions, and has the CRC of every
other state: rows of two commits, a row that was lost, or one of another ledger is found. What a power failure
takes from the end of the WAL is whole commits: a state as it was, from which records are sent again.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from haulyard.errors import JobError, UnsafeName
from haulyard.journal import durable, meta
from haulyard.journal.damage import damaged, foreign_errors, unwritable
from haulyard.journal.opening import connect_reader, connect_writer
from haulyard.records.ledger_rows import (
    DDL,
    LETTERS,
    OBJECTS,
    Kept,
    inserting,
    kept_of,
    letter_values,
    object_values,
    resolved_crc,
    seeded,
    source_of,
    unread_crc,
    upsert_letters,
)
from haulyard.records.ledger_state import Commit, Listed, State, read_state, replacing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from haulyard.journal.folder import JobFolder
    from haulyard.records.model import SourceObject

__all__ = ["Commit", "Kept", "Ledger", "Listed", "State"]

FILE: Final = "records.db"
#: Rows of one statement: the sqlite3 module gives up the GIL with each, and gets it back late where the event
#: loop is busy (see `haulyard.journal.building`).
_ROWS_A_STATEMENT: Final = 200
#: Rows read at a time: objects, and letters, of which each may hold 65 KiB.
_OBJECTS_A_PAGE, _LETTERS_A_PAGE = 1_000, 100

_Row = TypeVar("_Row")


class Ledger:
    """The ledger of one job, whose lock the caller holds if it writes.

    One thread at a time may write; others may read meanwhile.
    """

    def __init__(self, path: str, reader: sqlite3.Connection, writer: sqlite3.Connection | None) -> None:
        self.path = path
        self._reader = reader
        self._writer = writer
        self._failure: JobError | None = None
        values = meta.read(reader, path)
        self._seed = seeded(0, values.get("id", ""))
        self._listed = Listed.read(path, values)
        self._rows = self._size = 0
        self._state = read_state(reader, path, self._seed)

    @classmethod
    def exists(cls, folder: JobFolder) -> bool:
        """Whether the job has a ledger."""
        return os.path.exists(os.path.join(folder.path, FILE))

    @classmethod
    def create(cls, folder: JobFolder) -> Self:
        """Make the ledger of a new job, and open it.

        Raises:
            JobError: There is one already, or it cannot be written.
        """
        path = os.path.join(folder.path, FILE)
        if os.path.exists(path):
            raise JobError(f"{path} is there already", hint="go on with the job, or start over with --new")
        try:
            _make(path + ".part")
            os.rename(path + ".part", path)
            durable.fsync_directory(folder.path)
        except (sqlite3.Error, OSError) as error:
            raise unwritable(path, error) from error
        return cls.open(folder)

    @classmethod
    def open(cls, folder: JobFolder, *, read_only: bool = False) -> Self:
        """Open the ledger of a job; a listing that was cut off is thrown away unless ``read_only``.

        Raises:
            JobError: It is missing, damaged, or cannot be read or written.
        """
        path = os.path.join(folder.path, FILE)
        reader = connect_reader(path)
        writer = None
        try:
            if not read_only:
                writer = connect_writer(path)
            ledger = cls(path, reader, writer)
            if writer and ledger.listed is None:
                ledger._begin_listing()
        except BaseException:
            reader.close()
            if writer:
                writer.close()
            raise
        return ledger

    @property
    def listed(self) -> Listed | None:
        """What was listed, None while the listing is not whole."""
        return self._listed

    @property
    def answers(self) -> Mapping[str, Any] | None:
        """What the last commit says of the kept answers, without reading it again; None for nothing."""
        return self._state.answers

    def add_objects(self, page: Sequence[SourceObject]) -> None:
        """Append objects whose ids follow those before; they count once `seal_objects` was called.

        Raises:
            UnsafeName: A key is not UTF-8.
            JobError: They cannot be written.
        """
        for some in _batches(page):
            if [each.id for each in some] != list(range(self._rows + 1, self._rows + len(some) + 1)):
                raise ValueError("the ids of objects count from 1")
            rows = [object_values(each, self._seed) for each in some]
            try:
                with self._writing() as connection:
                    self._execute(connection, *inserting("INSERT INTO object", rows))
            except UnicodeEncodeError as error:
                raise UnsafeName(f"a key is not UTF-8: {error.object!r}", operation="list") from error
            self._rows += len(some)
            self._size += sum(each.size for each in some)

    def seal_objects(self) -> Listed:
        """Say that these are all objects: from now on they are, also after a crash. Raises JobError."""
        listed = Listed(self._rows, self._size)
        with self._writing() as connection:
            # Pages were not synced; this sync brings all that is in the WAL to the disk.
            connection.execute("PRAGMA synchronous=FULL")
            self._execute(connection, *meta.setting(listed.meta()))
        self._listed = listed
        return listed

    def objects(self, after: int = 0) -> Iterator[list[SourceObject]]:
        """Yield the objects with ids above ``after``, in order, up to 1,000 at a time.

        Raises:
            JobError: The listing is not whole, or one of them is not what was written.
        """
        if self._listed is None:
            raise self._not_listed()
        count = self._listed.objects
        while after < count:
            rows = self._query(f"{OBJECTS} WHERE id > ? ORDER BY id LIMIT {_OBJECTS_A_PAGE}", (after,))
            due = min(_OBJECTS_A_PAGE, count - after)
            if [row[0] for row in rows[:due]] != list(range(after + 1, after + due + 1)):
                raise damaged(self.path, f"behind object {after}")
            yield [source_of(row, self._seed, self.path) for row in rows[:due]]
            after += due

    def source(self, number: int) -> SourceObject:
        """Return one object. Raises JobError where there is none, or it is not what was written."""
        rows = self._query(f"{OBJECTS} WHERE id = ?", (number,))
        if not rows:
            raise damaged(self.path, f"at object {number}")
        return source_of(rows[0], self._seed, self.path)

    def unread(self) -> dict[int, str]:
        """Return by id why objects could not be read to their end. Raises JobError where it is damaged."""
        rows = self._query("SELECT object, reason, crc FROM unread ORDER BY object")
        for number, reason, crc in rows:
            if unread_crc(number, reason, self._seed) != crc:
                raise damaged(self.path, f"at object {number}")
        return {number: reason for number, reason, _ in rows}

    def state(self) -> State:
        """Return what the last commit left, all of one commit also while somebody else writes.

        Raises:
            JobError: It is damaged.
        """
        return read_state(self._reader, self.path, self._seed)

    def letters(self, *, unresolved_only: bool = False, after: int = 0) -> Iterator[list[Kept]]:
        """Yield the dead letters with ids above ``after``, in order of their ids, up to 100 at a time.

        Raises:
            JobError: One is not what was written.
        """
        where = "letter.id > ?" + (" AND resolution.at IS NULL" if unresolved_only else "")
        sql = f"{LETTERS} WHERE {where} ORDER BY letter.id LIMIT {_LETTERS_A_PAGE}"
        while rows := self._query(sql, (after,)):
            yield [kept_of(row, self._seed, self.path) for row in rows]
            after = rows[-1][0]

    def commit(self, commit: Commit) -> None:
        """Write all of it in one transaction; it is on the disk when this returns.

        It blocks for an fsync: call it in a thread. After a failure nothing is written any more.

        Raises:
            JobError: It cannot be written, and nothing of it is; the caller must not go on.
        """
        if self._listed is None:
            raise self._not_listed()
        state = self._state
        bodies = commit.bodies()
        with self._writing() as connection:
            if commit.adds_rows:
                self._execute(connection, "BEGIN IMMEDIATE")
                state = self._add_rows(connection, commit)
            # By itself, this one statement is the transaction.
            state, statement, values = replacing(state, bodies, self._seed)
            self._execute(connection, statement, values)
            if commit.adds_rows:
                self._execute(connection, "COMMIT")
        self._state = state if commit.answers is None else replace(state, answers=dict(commit.answers))

    def close(self) -> None:
        """Take the WAL into the file and let go of it; twice is harmless."""
        self._reader.close()
        if self._writer:
            self._writer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _begin_listing(self) -> None:
        with self._writing() as connection:
            # Nothing of it is worth a sync before it is whole.
            connection.execute("PRAGMA synchronous=NORMAL")
            self._execute(connection, "DELETE FROM object")

    def _add_rows(self, connection: sqlite3.Connection, commit: Commit) -> State:
        """Write what a commit adds, and return the counts after that."""
        state = self._state
        for some in _batches(commit.letters):
            rows = [letter_values(each, self._seed) for each in some]
            self._execute(connection, *upsert_letters(rows))
        if commit.letters:
            # None is ever removed, and one that takes another's place takes no new number.
            state = replace(state, letters=connection.execute("SELECT max(id) FROM letter").fetchone()[0])
        for numbers in _batches(commit.resolved):
            rows = [(each, commit.at, resolved_crc(each, commit.at, self._seed)) for each in numbers]
            added = self._execute(connection, *inserting("INSERT OR IGNORE INTO resolution", rows))
            state = replace(state, resolved=state.resolved + added)
        for number, reason in commit.unread.items():
            row = (number, reason, unread_crc(number, reason, self._seed))
            if reason:
                self._execute(connection, *inserting("INSERT OR REPLACE INTO unread", [row]))
            else:
                self._execute(connection, "DELETE FROM unread WHERE object = ?", (number,))
        if commit.unread:
            state = replace(state, unread=connection.execute("SELECT count(*) FROM unread").fetchone()[0])
        return state

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """Give the connection; what fails in the block is undone, and the last that is written."""
        if self._failure is not None:
            raise JobError(self._failure.message, hint=self._failure.hint)
        if self._writer is None:
            raise JobError(f"{self.path} is not open for work", hint="open it without read_only")
        try:
            yield self._writer
        except BaseException as error:
            with suppress(sqlite3.Error):
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
            if isinstance(error, sqlite3.Error):
                self._failure = unwritable(self.path, error)
                raise self._failure from error
            raise

    def _execute(self, connection: sqlite3.Connection, statement: str, parameters: Sequence[Any] = ()) -> int:
        """Run a statement; the seam where tests count, fail, or end the process, at a certain one."""
        return connection.execute(statement, parameters).rowcount

    def _query(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with foreign_errors(self.path):
            return self._reader.execute(sql, parameters).fetchall()

    def _not_listed(self) -> JobError:
        return JobError(f"the listing in {self.path} is not finished", hint="run the same command again")


def _batches(rows: Sequence[_Row]) -> Iterator[Sequence[_Row]]:
    for start in range(0, len(rows), _ROWS_A_STATEMENT):
        yield rows[start : start + _ROWS_A_STATEMENT]


def _make(part: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(part)
    connection = sqlite3.connect(part, isolation_level=None)
    try:
        connection.executescript(f"PRAGMA journal_mode=OFF;BEGIN;{meta.META_DDL};{DDL}")
        connection.execute(*meta.setting({"format": meta.FORMAT, "id": os.urandom(8).hex()}))
        connection.execute("COMMIT")
    finally:
        connection.close()
    durable.fsync_file(part)
