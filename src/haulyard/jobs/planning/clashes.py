"""The rows of a plan that may stand in one another's way, in tables on disk, and what becomes of each.

Only rows whose names were seen twice get here (see `haulyard.jobs.planning.spill`); here the names themselves
are compared. SQLite's temporary database holds them, as in `haulyard.transfer.scratch`: bounded memory, and
gone with the process.

1. Rows that name one object twice for one destination: the first stays, the others are `Verdict.REPEATED`.
2. Several rows with one destination: a collision. Each follows the one before it.
3. Destinations at which an object is that stays: in the source's own listing, or found in the destination.
4. Destinations from which an object is moved away, or copied: it goes first
   (`haulyard.jobs.planning.chains`).
"""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from enum import IntEnum
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from haulyard.errors import JobError
from haulyard.jobs.model import PLAN_COLUMNS, Action, Conflict
from haulyard.jobs.planning import chains

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from haulyard.models import ObjectInfo

    Row = tuple[object, ...]

#: Pages of SQLite's cache, in KiB as a negative number: all the memory that the tables take.
_CACHE: Final = -16 * 1024
_PAGE: Final = 1_000
#: A row's place in the plan: its shard's number, and its id in these lowest bits.
_ID: Final = PLAN_COLUMNS.index("id")
_ACTION: Final = PLAN_COLUMNS.index("action")
_ACTING: Final = {Action.ACT, Action.FOLDER}
_ID_BITS: Final = 32
_ID_MASK: Final = (1 << _ID_BITS) - 1


class Standing(IntEnum):
    """Whether a row acts."""

    STAYS = 0
    ACTS = 1
    REPEATED = 2
    """It would, but an earlier row is the same."""


class Amendment(NamedTuple):
    """What changes in a row of a normal shard: ``id`` in the shard of the number ``shard``."""

    shard: int
    id: int
    action: int
    conflict: int
    present: str


_COLUMNS: Final = ", ".join(PLAN_COLUMNS[1:])
_SCHEMA: Final = f"""
CREATE TABLE row(place INTEGER PRIMARY KEY, {_COLUMNS}, standing INTEGER);
CREATE TABLE op(place INTEGER, key, version, destination, size, etag, rank INTEGER, many INTEGER);
CREATE TABLE there(name TEXT PRIMARY KEY, size, etag) WITHOUT ROWID;
CREATE TABLE verdict(place INTEGER PRIMARY KEY, action, conflict, present, wave, chained);
{chains.SCHEMA}
"""
#: What the statements call by name.
VALUES: Final = (
    {each.name: each.value for each in Standing}
    | {each.name: each.value for each in Action}
    | {each.name: each.value for each in Conflict}
    | {"ID_BITS": _ID_BITS}
)
_REPEATED: Final = """
UPDATE row SET standing = :REPEATED WHERE place IN (
  SELECT place FROM (
    SELECT place, row_number() OVER (PARTITION BY destination, key, version ORDER BY place) AS nth
    FROM row WHERE standing = :ACTS AND key <> '')
  WHERE nth > 1)
"""
# An object that is its own destination (its properties change) goes first: the others would overwrite it.
_OPERATIONS: Final = """
INSERT INTO op
SELECT place, key, version, destination, size, etag,
  row_number() OVER (PARTITION BY destination ORDER BY key <> destination, place) - 1,
  count(*) OVER (PARTITION BY destination)
FROM row WHERE standing = :ACTS
"""
_INDEXES: Final = (
    "CREATE INDEX op_by_destination ON op(destination)",
    "CREATE INDEX row_by_key ON row(key)",
)
# With a version id it is not the name that is moved away: older versions may come to light.
_STAYING: Final = """
INSERT INTO there
SELECT key, size, etag FROM (
  SELECT key, size, etag, row_number() OVER (PARTITION BY key ORDER BY modified DESC, place) AS nth
  FROM row WHERE key <> '' AND key IN (SELECT destination FROM op)
    AND (standing = :STAYS OR :copies OR version <> '' OR key = destination))
WHERE nth = 1
"""
_ELSEWHERE: Final = """
SELECT DISTINCT destination FROM op
WHERE NOT (:one_store AND destination IN (SELECT key FROM row)) ORDER BY destination
"""
# A placeholder that is there need not be written again, whatever it contains.
_VERDICTS: Final = """
INSERT INTO verdict
SELECT place, action, conflict, iif(conflict = :NONE, '', present), wave, chained
FROM (
  SELECT op.place AS place,
    CASE WHEN link.name IS NOT NULL AND start.name IS NULL THEN :CYCLE
         WHEN op.many > 1 OR start.name IS NOT NULL THEN :ORDERED
         ELSE :ACT END AS action,
    CASE WHEN op.many > 1 THEN :COLLISION
         WHEN there.name IS NULL OR (:one_store AND op.key = op.destination) THEN :NONE
         WHEN op.key = '' OR (there.size = op.size AND there.etag = op.etag AND op.etag <> '') THEN :SAME
         ELSE :EXISTS END AS conflict,
    coalesce(there.etag, '') AS present,
    coalesce(start.wave, 0) + op.rank AS wave,
    start.name IS NOT NULL AS chained
  FROM op
  LEFT JOIN there ON there.name = op.destination
  LEFT JOIN link ON link.name = op.destination
  LEFT JOIN start ON start.name = op.destination)
WHERE action <> :ACT OR conflict <> :NONE
"""
# What was repeated is told from what a rule skips by its conflict: `haulyard.jobs.planning.ordered.restore`.
_AMENDMENTS: Final = """
SELECT row.place AS place, iif(verdict.action = :ACT, row.action, verdict.action),
  verdict.conflict, verdict.present
FROM verdict JOIN row USING (place)
UNION ALL
SELECT place, :SKIPPED, :SAME, '' FROM row WHERE standing = :REPEATED
ORDER BY place
"""
_CHANGED: Final = """
SELECT DISTINCT place >> :ID_BITS AS shard FROM (
  SELECT place FROM verdict UNION ALL SELECT place FROM row WHERE standing = :REPEATED)
ORDER BY shard
"""
_ORDERED: Final = """
SELECT row.*, verdict.wave, verdict.conflict, verdict.present
FROM verdict JOIN row USING (place) WHERE verdict.action = :ORDERED
ORDER BY verdict.wave, place
"""
#: How many columns of a row come before wave, conflict and present, which its verdict says.
_PLANNED: Final = PLAN_COLUMNS.index("wave")


class Clashes:
    """The rows in question, and then the verdicts on them. Close it, or use it as a context manager.

    Every call raises JobError where the disk fails.
    """

    def __init__(self) -> None:
        self._one_store = True
        with _translated():
            self._connection = sqlite3.connect("", isolation_level=None)
            for pragma in ("journal_mode=OFF", "synchronous=OFF", f"cache_size={_CACHE}"):
                self._connection.execute(f"PRAGMA {pragma}")
            self._connection.executescript(_SCHEMA)
            # Never committed: a transaction for each statement would cost more than the statement.
            self._connection.execute("BEGIN")

    def add(self, shard: int, rows: Sequence[Row]) -> None:
        """Take in rows, with all columns, of the shard with this number."""
        first = shard << _ID_BITS
        with _translated():
            self._connection.executemany(
                f"INSERT INTO row VALUES ({', '.join('?' * (len(PLAN_COLUMNS) + 1))})",  # noqa: S608 -- only question marks
                [(first | _whole(row[_ID]), *row[1:], row[_ACTION] in _ACTING) for row in rows],
            )

    def find_repeated(self) -> None:
        """Find the rows that name one object twice for one destination, once all rows are in."""
        with _translated():
            self._connection.execute(_REPEATED, VALUES)

    def compare(self, *, one_store: bool, copies: bool) -> None:
        """Compare the names, once that is done.

        ``one_store`` says that the rows' keys are in the store of their destinations, ``copies`` that what
        acts leaves its source where it is.
        """
        self._one_store = one_store
        with _translated():
            self._connection.execute(_OPERATIONS, VALUES)
            for statement in _INDEXES:
                self._connection.execute(statement)
            if one_store:
                self._connection.execute(_STAYING, VALUES | {"copies": copies})

    def destinations(self) -> Iterator[list[str]]:
        """Yield pages of the destinations of which the listing of the source says nothing, in order."""
        with _translated():
            cursor = self._connection.execute(_ELSEWHERE, {"one_store": self._one_store})
            while page := cursor.fetchmany(_PAGE):
                yield [name for (name,) in page]

    def found(self, objects: Sequence[ObjectInfo]) -> None:
        """Take in objects that are at such destinations."""
        with _translated():
            self._connection.executemany(
                "INSERT INTO there VALUES (?, ?, ?)", [(each.key, each.size, each.etag) for each in objects]
            )

    def judge(self) -> None:
        """Reach the verdicts, once all is known that is there."""
        with _translated():
            if self._one_store:
                chains.arrange(self._connection)
            self._connection.execute(_VERDICTS, VALUES | {"one_store": self._one_store})

    def amendments(self) -> Iterator[Amendment]:
        """Yield what changes in the normal shards, in the order of the plan."""
        with _translated():
            for place, action, conflict, present in self._connection.execute(_AMENDMENTS, VALUES):
                yield Amendment(place >> _ID_BITS, place & _ID_MASK, action, conflict, present)

    def ordered(self) -> Iterator[list[Row]]:
        """Yield pages of the rows for ordered shards, without ids, by wave, then in the order of the plan."""
        with _translated():
            cursor = self._connection.execute(_ORDERED, VALUES)
            while page := cursor.fetchmany(_PAGE):
                yield [row[1:_PLANNED] + row[-3:] for row in page]

    def changed_shards(self) -> list[int]:
        """Return the numbers of the shards of which rows change, in order."""
        return [_whole(shard) for (shard,) in self.select(_CHANGED)]

    def select(self, statement: str, **values: object) -> list[Row]:
        """Return the few rows of a query over the tables; it may name `VALUES` and ``values``."""
        with _translated():
            return self._connection.execute(statement, VALUES | values).fetchall()

    def scalar(self, statement: str) -> int:
        """Return the one number that a query comes to."""
        return _whole(self.select(statement)[0][0])

    def close(self) -> None:
        """Let the tables vanish; closing twice is harmless."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _whole(value: object) -> int:
    assert isinstance(value, int)  # noqa: S101 -- the column is INTEGER
    return value


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise JobError(
            f"the tables that compare the plan's names failed: {error}",
            hint="make room in the directory for temporary files, or set SQLITE_TMPDIR to one with more",
        ) from error
