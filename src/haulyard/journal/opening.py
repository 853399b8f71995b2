"""Connections to sealed shards."""

from __future__ import annotations

import os
import sqlite3
from typing import Final
from urllib.parse import quote

from haulyard.errors import JobError
from haulyard.journal.damage import concerns_surroundings, damaged

#: Seconds to wait for another process that recovers or checkpoints the same file.
_PATIENCE: Final = 10.0


def connect_reader(path: str) -> sqlite3.Connection:
    """Open a shard for reading; it may be written meanwhile, or have been left by a crash.

    Raises:
        JobError: It is not there, damaged, or cannot be read.
    """
    try:
        return _connect(path, "mode=ro")
    except sqlite3.Error as error:
        if not concerns_surroundings(error):
            raise damaged(path, f"({error})") from error
        if not os.path.exists(path):
            raise JobError(f"{path} is missing", hint="restore it, or start over with --new") from error
        if not _has_wal(path):
            # In a directory that may not be written SQLite cannot make the file that readers share; without a
            # WAL nothing is lost by doing without.
            return _immutable(path)
        raise JobError(
            f"{path} cannot be read: {error}",
            hint="its directory must be writable, as long as there is a -wal file: copy it and read the copy",
        ) from error


def connect_writer(path: str) -> sqlite3.Connection:
    """Open a shard for writing: every transaction is on the disk when it has ended.

    The connection may be used by one thread after another.

    Raises:
        JobError: It is not there, damaged, or cannot be written.
    """
    try:
        connection = _connect(path, "mode=rw")
    except sqlite3.Error as error:
        if not concerns_surroundings(error):
            raise damaged(path, f"({error})") from error
        if not os.path.exists(path):
            raise JobError(f"{path} is missing", hint="restore it, or start over with --new") from error
        raise _unwritable(path, error) from error
    try:
        (mode,) = connection.execute("PRAGMA journal_mode=WAL").fetchone()
        connection.execute("PRAGMA synchronous=FULL")
    except sqlite3.Error as error:
        connection.close()
        if concerns_surroundings(error):
            raise _unwritable(path, error) from error
        raise damaged(path, f"({error})") from error
    if mode != "wal":
        connection.close()
        raise JobError(
            f"{path} cannot have a write-ahead log where it is",
            hint="set HAUL_JOB_DIR to a directory on a local disk",
        )
    return connection


def _unwritable(path: str, error: sqlite3.Error) -> JobError:
    return JobError(
        f"{path} cannot be written: {error}",
        hint="make room on the disk, and the file and its directory writable for this user",
    )


def _connect(path: str, how: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"file:{quote(os.path.abspath(path))}?{how}",
        uri=True,
        timeout=_PATIENCE,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        # The file is not touched before the first statement.
        connection.execute("SELECT 1 FROM sqlite_schema").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection


def _immutable(path: str) -> sqlite3.Connection:
    try:
        return _connect(path, "immutable=1")
    except sqlite3.Error as error:
        raise JobError(f"{path} cannot be read: {error}", hint="make it readable for this user") from error


def _has_wal(path: str) -> bool:
    try:
        return os.path.getsize(path + "-wal") > 0
    except OSError:
        return False
