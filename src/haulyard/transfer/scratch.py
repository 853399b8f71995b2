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
from typing import TYPE_CHECKING, Final, Self

from haulyard.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

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
