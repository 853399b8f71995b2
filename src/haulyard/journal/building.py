"""Making a shard: the plan rows of a bounded slice of a job, and an empty log.

A shard is an SQLite file, which any ``sqlite3`` reads. The modules `meta`, `seals` and `log` of this room
say more of its tables::

    meta(name TEXT PRIMARY KEY, value TEXT, crc INTEGER)
    <the plan's own table>(id INTEGER PRIMARY KEY, …)             ids 1, 2, 3 … without a gap
    seal(first INTEGER PRIMARY KEY, last INTEGER, crc INTEGER)    a row a batch of plan rows
    log(seq INTEGER PRIMARY KEY, body TEXT, crc INTEGER)          a row a commit

While it is made it is called ``NAME.db.part`` and nothing protects it: a part that was not sealed is thrown
away. Sealed means: synced, renamed to ``NAME.db``, the directory synced. ``NAME.db.lock`` is held by who
works on it; ``NAME.db-wal`` and ``NAME.db-shm`` are SQLite's own and belong to the file: copy all three.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

from haulyard.errors import JobError
from haulyard.journal import durable, meta
from haulyard.journal.amending import amended
from haulyard.journal.log import LOG_DDL
from haulyard.journal.seals import batch_crc, column_codes

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["BATCH_ROWS", "ShardBuilder", "amended"]

#: Rows under one seal: what is read, and held, at a time.
BATCH_ROWS: Final = 1_000

SEAL_DDL: Final = "CREATE TABLE seal(first INTEGER PRIMARY KEY, last INTEGER NOT NULL, crc INTEGER NOT NULL)"

#: Rows of one INSERT. The sqlite3 module gives up the GIL once a statement, and gets it back late where
#: others are busy; 200 rows a statement are also a third faster than one (960,000 rows of 12 columns a second
#: against 730,000, without seals).
_ROWS_A_STATEMENT = 200


class ShardBuilder:
    """A shard that is being made; its rows get the ids 1, 2, 3 … in the order of `add`.

    ``ddl`` creates the plan's table (and indexes and others, in further statements), ``table`` names it,
    ``columns`` the values of a row in order; ``id`` is none of them, and passed over if it comes first.
    Columns are TEXT, INTEGER or REAL. ``meta`` may be filled until it is sealed.

    Raises:
        JobError: The shard is there already, or its directory cannot be written.
    """

    def __init__(self, path: str, ddl: str, table: str, columns: Sequence[str]) -> None:
        self.path = path
        self.count = 0
        self.meta: dict[str, str] = {}
        self._part = path + ".part"
        self._table = table
        self._columns = tuple(columns[1:] if columns[0] == "id" else columns)
        if os.path.exists(path):
            raise JobError(f"{path} is there already", hint="a sealed shard is not made again")
        self.meta |= {
            "format": meta.FORMAT,
            "id": os.urandom(8).hex(),
            "table": table,
            "columns": " ".join(self._columns),
        }
        try:
            self._forget_part()
            self._connection = sqlite3.connect(
                self._part, isolation_level=None, check_same_thread=False, cached_statements=16
            )
            self._begin(ddl)
        except (sqlite3.Error, OSError) as error:
            raise self._failed(error) from error

    def add(self, rows: Sequence[Sequence[Any]]) -> None:
        """Append rows, without ids, under one seal (more than `BATCH_ROWS` under several).

        Raises:
            TypeError: A value is not of its column's type.
            JobError: They cannot be written (a full disk …).
        """
        for start in range(0, len(rows), BATCH_ROWS):
            self._add(rows[start : start + BATCH_ROWS])

    def seal(self) -> None:
        """Make it a shard: after this it is there whole, under its name, whatever happens.

        Raises:
            JobError: It cannot be written; it is not there then.
        """
        try:
            self._connection.execute(*meta.setting(self.meta | {"rows": str(self.count)}))
            self._connection.execute("COMMIT")
            self._connection.close()
            durable.fsync_file(self._part)
            os.rename(self._part, self.path)
            durable.fsync_directory(os.path.dirname(self.path) or ".")
        except (sqlite3.Error, OSError) as error:
            raise self._failed(error) from error

    def discard(self) -> None:
        """Throw it away, unless it is sealed; twice is harmless."""
        self._connection.close()
        self._forget_part()

    def _begin(self, ddl: str) -> None:
        # A crash costs the file, so nothing in it is worth a journal or a sync before it is sealed.
        self._connection.execute("PRAGMA journal_mode=OFF")
        self._connection.execute("PRAGMA synchronous=OFF")
        self._connection.execute("PRAGMA locking_mode=EXCLUSIVE")
        self._connection.executescript(f"{ddl};{meta.META_DDL};{SEAL_DDL};{LOG_DDL}")
        self._codes = column_codes(self._connection, self._table, self._columns)
        self._connection.execute("BEGIN")

    def _add(self, rows: Sequence[Sequence[Any]]) -> None:
        first, last = self.count + 1, self.count + len(rows)
        crc = batch_crc(first, self._codes, zip(*rows, strict=True))
        try:
            for start in range(0, len(rows), _ROWS_A_STATEMENT):
                some = rows[start : start + _ROWS_A_STATEMENT]
                self._connection.execute(self._insert(len(some)), tuple(chain.from_iterable(some)))
            self._connection.execute("INSERT INTO seal VALUES (?, ?, ?)", (first, last, crc))
        except sqlite3.Error as error:
            raise self._failed(error) from error
        self.count = last

    def _insert(self, rows: int) -> str:
        names = ", ".join([f'"{name}"' for name in self._columns])
        row = f"({', '.join('?' * len(self._columns))})"
        return f'INSERT INTO "{self._table}" ({names}) VALUES {", ".join([row] * rows)}'  # noqa: S608 -- own names

    def _failed(self, error: Exception) -> JobError:
        return JobError(
            f"{self._part} cannot be written: {error}",
            hint="make room on the disk, and run the command again",
        )

    def _forget_part(self) -> None:
        with suppress(FileNotFoundError):
            os.unlink(self._part)
