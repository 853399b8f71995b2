"""What is said of a shard that cannot be used."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

from haulyard.errors import JobError

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Codes that speak of the surroundings, not of the file (https://www.sqlite.org/rescode.html).
_SURROUNDINGS = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOLFS,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_READONLY,
}
_PRIMARY = 0xFF


def damaged(path: str, where: str) -> JobError:
    """Return the error that says that a shard is not what was written, and ``where`` (``at commit 7``)."""
    return JobError(
        f"{path} is damaged {where}".rstrip(),
        hint="nothing was guessed from it: restore the file from a backup, or start over with --new",
    )


def unwritable(path: str, reason: object) -> JobError:
    """Return the error that says that the journal cannot be written, and what that means."""
    return JobError(
        f"the journal {path} cannot be written: {reason}; nothing further was done",
        hint="make room on the disk, and run the same command again: it goes on from here",
    )


def unrecordable(path: str, error: Exception) -> JobError:
    """Return the error that says that an entry is not of a kind that a journal can keep."""
    return JobError(
        f"the journal {path} cannot keep an entry: {error}; nothing further was done",
        hint="this is a mistake in the program, not of the disk: please report it",
    )


def concerns_surroundings(error: sqlite3.Error) -> bool:
    """Whether the disk, permissions or another process are to blame, not the file's content."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & _PRIMARY in _SURROUNDINGS


@contextmanager
def foreign_errors(path: str) -> Iterator[None]:
    """Translate what SQLite raises while a shard is read. Raises JobError."""
    try:
        yield
    except sqlite3.ProgrammingError:
        # The caller's own mistake, as reading a shard that it has closed; the file has no part in it.
        raise
    except sqlite3.Error as error:
        if concerns_surroundings(error):
            raise JobError(
                f"{path} cannot be read: {error}", hint="look at the disk and at the file's permissions"
            ) from error
        raise damaged(path, f"({error})") from error
