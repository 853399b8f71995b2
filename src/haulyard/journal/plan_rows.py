"""The plan rows of a shard, read in their batches and checked against their seals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from haulyard.errors import ConfigError, JobError
from haulyard.journal import meta
from haulyard.journal.damage import damaged, foreign_errors
from haulyard.journal.seals import batch_crc, column_codes

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Mapping


class PlanRows:
    """The plan of one shard.

    ``columns`` are its columns' names, ``id`` first, ``count`` is its number of rows.
    """

    def __init__(self, connection: sqlite3.Connection, path: str, values: Mapping[str, str]) -> None:
        self._connection = connection
        self._path = path
        self._recent: list[tuple[Any, ...]] = []
        try:
            if values["format"] != meta.FORMAT:
                raise JobError(
                    f"{path} has a layout that this release does not know",
                    hint="use the release that made it",
                )
            self.table = values["table"]
            self.columns = ("id", *values["columns"].split(" "))
            self.count = int(values["rows"])
            with foreign_errors(path):
                self._codes = column_codes(connection, self.table, self.columns[1:])
        except (LookupError, ValueError, ConfigError) as error:
            raise damaged(path, f"({error})") from error

    def pages(self, after: int = 0, where: str = "") -> Iterator[list[tuple[Any, ...]]]:
        """Yield rows with an id above ``after``, a batch at a time, each checked before any of it is used.

        ``where`` is an SQL condition; the whole batch is checked nevertheless. Batches of which nothing is
        left are passed over.

        Raises:
            JobError: A batch is not what was sealed, or is missing.
        """
        expected = self._first_of(after + 1) if after else 1
        while expected <= self.count:
            seal = self._seal(expected)
            rows = self._batch(seal, where)
            expected = seal.last + 1
            if after >= seal.first:
                rows = [row for row in rows if row[0] > after]
            if rows:
                yield rows

    def row(self, item: int) -> tuple[Any, ...]:
        """Return one row, its batch checked.

        Raises:
            JobError: There is no such row, or its batch is damaged.
        """
        if not 1 <= item <= self.count:
            raise JobError(f"{self._path} has no row {item}", hint=f"its rows are 1 to {self.count}")
        # Who asks for single rows mostly asks for neighbours.
        if not self._recent or not self._recent[0][0] <= item <= self._recent[-1][0]:
            seal = self._seal(self._first_of(item))
            if seal.last < item:
                raise damaged(self._path, f"in its plan: no seal for row {item}")
            self._recent = self._batch(seal, "")
        first: int = self._recent[0][0]
        return self._recent[item - first]

    def crc(self, first: int, last: int) -> int:
        """Return the CRC of the rows as they are now.

        Raises:
            JobError: Rows are missing, or have values of another type than their columns.
        """
        return self._crc(first, last, self._select(first, last, ""))

    def verify(self, first: int) -> None:
        """Check one batch. Raises JobError."""
        self._batch(self._seal(first), "")

    def _first_of(self, item: int) -> int:
        with foreign_errors(self._path):
            found = self._connection.execute(
                "SELECT max(first) FROM seal WHERE first <= ?", (item,)
            ).fetchone()
        return int(found[0] or 1)

    def _seal(self, first: int) -> _Seal:
        with foreign_errors(self._path):
            seal = self._connection.execute("SELECT * FROM seal WHERE first = ?", (first,)).fetchone()
        if seal is None or seal[1] < first or seal[1] > self.count:
            raise damaged(self._path, f"in its plan: no seal for the rows from {first} on")
        return _Seal._make(seal)

    def _batch(self, seal: _Seal, where: str) -> list[tuple[Any, ...]]:
        rows = self._select(seal.first, seal.last, where)
        wanted = rows
        if where:
            wanted = [row[:-1] for row in rows if row[-1]]
            rows = [row[:-1] for row in rows]
        if self._crc(seal.first, seal.last, rows) != seal.crc:
            raise damaged(self._path, f"in its plan: rows {seal.first} to {seal.last}")
        return wanted

    def _select(self, first: int, last: int, where: str) -> list[tuple[Any, ...]]:
        names = ", ".join([f'"{name}"' for name in self.columns])
        extra = f", ({where})" if where else ""
        with foreign_errors(self._path):
            return self._connection.execute(
                f'SELECT {names}{extra} FROM "{self.table}" WHERE id BETWEEN ? AND ? ORDER BY id',  # noqa: S608 -- names from a checked row, the condition from our own code
                (first, last),
            ).fetchall()

    def _crc(self, first: int, last: int, rows: list[tuple[Any, ...]]) -> int:
        # Ids are unique and sorted: these three leave none out.
        if len(rows) == last - first + 1 and rows[0][0] == first and rows[-1][0] == last:
            columns = zip(*rows, strict=True)
            next(columns)  # the ids
            try:
                return batch_crc(first, self._codes, columns)
            except (TypeError, OverflowError, UnicodeEncodeError):
                pass
        raise damaged(self._path, f"in its plan: rows {first} to {last}")


class _Seal(NamedTuple):
    first: int
    last: int
    crc: int
