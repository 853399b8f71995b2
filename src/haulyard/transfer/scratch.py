"""Tables on disk for what does not fit in memory: claimed destinations, and listings to compare.

SQLite's temporary database: it stays in a bounded page cache while it is small, goes to an unnamed file in
the system's directory for temporary files (``SQLITE_TMPDIR``, ``TMPDIR``, ``/var/tmp``, ``/tmp``) when it
grows, and vanishes with the process however that ends. Nothing in it outlives the command, so it has neither
a journal nor an fsync.

Calls block, for about 2 ms with a page of 1,000 keys. They are not sent to a thread: SQLite gives up the
interpreter's lock for every row, and each time a busy event loop would keep it for up to 5 ms.
"""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Self

from haulyard.errors import StoreError
from haulyard.models import ObjectInfo

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

#: Bound parameters of one statement: the default limit of SQLite before 3.32 is 999.
_BATCH: Final = 900
#: Pages of SQLite's cache, in KiB as a negative number: all the memory that a table takes.
_CACHE: Final = -16 * 1024


class _Scratch:
    """A connection to a temporary database with one table."""

    def __init__(self, schema: str) -> None:
        with _translated():
            self._connection = sqlite3.connect("", isolation_level=None)
            for pragma in ("journal_mode=OFF", "synchronous=OFF", f"cache_size={_CACHE}"):
                self._connection.execute(f"PRAGMA {pragma}")
            self._connection.execute(schema)
            # Never committed: a transaction for each statement would cost more than the statement.
            self._connection.execute("BEGIN")

    def close(self) -> None:
        """Let the table vanish; closing twice is harmless."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class Claims(_Scratch):
    """Which source took which destination, so that no two sources write to one."""

    def __init__(self) -> None:
        super().__init__("CREATE TABLE claim(destination TEXT PRIMARY KEY, source TEXT) WITHOUT ROWID")

    def take(self, wanted: Sequence[tuple[str, str]]) -> list[str]:
        """Claim destinations for sources, pairs in their order.

        Returns, for each pair, ``""`` where the destination was free, else the source that took it before.
        """
        taken = self._taken([destination for destination, _ in wanted])
        fresh: list[tuple[str, str]] = []
        owners = []
        for destination, source in wanted:
            owner = taken.setdefault(destination, "")
            if not owner:
                taken[destination] = source
                fresh.append((destination, source))
            owners.append(owner)
        with _translated():
            self._connection.executemany("INSERT INTO claim VALUES (?, ?)", fresh)
        return owners

    def _taken(self, destinations: Sequence[str]) -> dict[str, str]:
        taken: dict[str, str] = {}
        with _translated():
            for batch in _batches(destinations):
                taken.update(
                    self._connection.execute(
                        f"SELECT destination, source FROM claim WHERE destination IN ({_marks(batch)})",  # noqa: S608 -- only question marks
                        batch,
                    )
                )
        return taken


class DiskListing(_Scratch):
    """A listing in any order, whose objects are found again by key, ticked off, and read in order.

    Of an object it keeps key, size, time and ETag.
    """

    def __init__(self) -> None:
        super().__init__(
            "CREATE TABLE object(key TEXT PRIMARY KEY, size INTEGER, modified REAL, etag TEXT,"
            " ticked INTEGER) WITHOUT ROWID"
        )

    def add(self, objects: Iterable[ObjectInfo]) -> None:
        """Keep a page of the listing."""
        rows = [(each.key, each.size, each.last_modified.timestamp(), each.etag) for each in objects]
        with _translated():
            self._connection.executemany("INSERT OR REPLACE INTO object VALUES (?, ?, ?, ?, 0)", rows)

    def find(self, keys: Sequence[str]) -> dict[str, ObjectInfo]:
        """Return those of ``keys`` that there are, with their objects."""
        found = {}
        with _translated():
            for batch in _batches(keys):
                rows = self._connection.execute(
                    f"SELECT key, size, modified, etag FROM object WHERE key IN ({_marks(batch)})",  # noqa: S608 -- only question marks
                    batch,
                )
                for row in rows:
                    found[row[0]] = _object(row)
        return found

    def tick(self, keys: Sequence[str]) -> None:
        """Tick off those of ``keys`` that there are."""
        with _translated():
            for batch in _batches(keys):
                self._connection.execute(
                    f"UPDATE object SET ticked = 1 WHERE key IN ({_marks(batch)})",  # noqa: S608 -- only question marks
                    batch,
                )

    def count_unticked(self) -> int:
        """Return how many objects nobody ticked off."""
        with _translated():
            (count,) = self._connection.execute("SELECT count(*) FROM object WHERE ticked = 0").fetchone()
        return int(count)

    def unticked(self) -> Iterator[list[ObjectInfo]]:
        """Yield pages of the objects that nobody ticked off, in the order of their keys."""
        with _translated():
            cursor = self._connection.execute(
                "SELECT key, size, modified, etag FROM object WHERE ticked = 0 ORDER BY key"
            )
        while True:
            with _translated():
                rows = cursor.fetchmany(_BATCH)
            if not rows:
                return
            yield [_object(row) for row in rows]


def _object(row: tuple[str, int, float, str]) -> ObjectInfo:
    key, size, modified, etag = row
    return ObjectInfo(key, size, datetime.fromtimestamp(modified, UTC), etag)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise StoreError(
            f"the table of temporary data failed: {error}",
            operation="compare",
            hint="make room in the directory for temporary files, or set SQLITE_TMPDIR to one with more",
        ) from error


def _batches(values: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(values), _BATCH):
        yield values[start : start + _BATCH]


def _marks(batch: Sequence[str]) -> str:
    return ",".join("?" * len(batch))
