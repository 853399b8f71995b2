"""The tables of a ledger, and what their rows mean; each row has a CRC-32 that hangs on the ledger's id."""

from __future__ import annotations

import zlib
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from haulyard.journal.damage import damaged
from haulyard.records.model import Address, Letter, SourceObject

if TYPE_CHECKING:
    from collections.abc import Sequence

DDL: Final = """
CREATE TABLE object(id INTEGER PRIMARY KEY, key TEXT NOT NULL, size INTEGER NOT NULL, etag TEXT NOT NULL,
    version_id TEXT NOT NULL, crc INTEGER NOT NULL);
CREATE TABLE unread(object INTEGER PRIMARY KEY, reason TEXT NOT NULL, crc INTEGER NOT NULL);
CREATE TABLE letter(id INTEGER PRIMARY KEY, object INTEGER NOT NULL, offset INTEGER NOT NULL,
    row INTEGER NOT NULL, part INTEGER NOT NULL, kind TEXT NOT NULL, reason TEXT NOT NULL,
    record BLOB NOT NULL, line INTEGER NOT NULL, attempts INTEGER NOT NULL, status INTEGER NOT NULL,
    answer BLOB NOT NULL, at REAL NOT NULL, crc INTEGER NOT NULL, UNIQUE(object, offset, row, part));
CREATE TABLE resolution(letter INTEGER PRIMARY KEY, at REAL NOT NULL, crc INTEGER NOT NULL);
CREATE TABLE state(name TEXT PRIMARY KEY, body TEXT NOT NULL, crc INTEGER NOT NULL)
"""

OBJECTS: Final = "SELECT id, key, size, etag, version_id, crc FROM object"

_LETTER: Final = (
    "object",
    "offset",
    "row",
    "part",
    "kind",
    "reason",
    "record",
    "line",
    "attempts",
    "status",
    "answer",
    "at",
    "crc",
)
_ANEW: Final = ", ".join(f"{name} = excluded.{name}" for name in _LETTER[4:])
LETTERS: Final = (
    f"SELECT letter.id, {', '.join(f'letter.{name}' for name in _LETTER)}, resolution.at, resolution.crc,"  # noqa: S608 -- own names
    " object.id, object.key, object.size, object.etag, object.version_id, object.crc"
    " FROM letter LEFT JOIN object ON object.id = letter.object"
    " LEFT JOIN resolution ON resolution.letter = letter.id"
)
#: Where the parts of a row of `LETTERS` begin.
_RESOLUTION: Final = 1 + len(_LETTER)
_OBJECT: Final = _RESOLUTION + 2


class Kept(NamedTuple):
    """A dead letter as the ledger has it: its number, its object; ``resolved`` in POSIX seconds, or 0.0."""

    id: int
    letter: Letter
    source: SourceObject
    resolved: float = 0.0


def seeded(seed: int, text: str) -> int:
    """Return the CRC-32 of a text, going on from ``seed``."""
    return zlib.crc32(text.encode("utf-8", "surrogatepass"), seed)


def object_values(source: SourceObject, seed: int) -> tuple[Any, ...]:
    """Return the values of an object's row."""
    return (*source, seeded(seed, repr(tuple(source))))


def source_of(row: Sequence[Any], seed: int, path: str) -> SourceObject:
    """Return the object of a row of `OBJECTS`. Raises JobError if it is not what was written."""
    source = SourceObject._make(row[:5])
    if seeded(seed, repr(tuple(source))) != row[5]:
        raise damaged(path, f"at object {row[0]}")
    return source


def inserting(into: str, rows: Sequence[Sequence[Any]]) -> tuple[str, tuple[Any, ...]]:
    """Return the one statement that inserts rows, ``into`` being its beginning, and its values."""
    places = f"({', '.join('?' * len(rows[0]))})"
    return f"{into} VALUES {', '.join([places] * len(rows))}", tuple(chain.from_iterable(rows))


def upsert_letters(rows: Sequence[Sequence[Any]]) -> tuple[str, tuple[Any, ...]]:
    """Return the statement that inserts letters, and its values; one at the same place is replaced."""
    statement, values = inserting(f"INSERT INTO letter({', '.join(_LETTER)})", rows)
    return f"{statement} ON CONFLICT(object, offset, row, part) DO UPDATE SET {_ANEW}", values


def letter_values(letter: Letter, seed: int) -> tuple[Any, ...]:
    """Return the values of a letter's row, but for its id."""
    # What an API or a transform said may hold what is no text.
    kind, reason = (
        text.encode("utf-8", "backslashreplace").decode() for text in (letter.kind, letter.reason)
    )
    values = (
        *letter.address,
        letter.part,
        kind,
        reason,
        bytes(letter.record),
        letter.line,
        letter.attempts,
        letter.status,
        bytes(letter.answer),
        float(letter.at),
    )
    return (*values, _letter_crc(values, seed))


def kept_of(row: Sequence[Any], seed: int, path: str) -> Kept:
    """Return the letter of a row of `LETTERS`. Raises JobError if it is not what was written."""
    number, *values, crc = row[:_RESOLUTION]
    at, resolution_crc = row[_RESOLUTION:_OBJECT]
    is_whole = at is None or resolved_crc(number, at, seed) == resolution_crc
    if not is_whole or _letter_crc(values, seed) != crc:
        raise damaged(path, f"at dead letter {number}")
    letter = Letter(Address(*values[:3]), *values[3:])
    return Kept(number, letter, source_of(row[_OBJECT:], seed, path), at or 0.0)


def resolved_crc(number: int, at: float, seed: int) -> int:
    """Return the CRC of the row that says that a letter is resolved."""
    return seeded(seed, f"resolved {number} {at!r}")


def unread_crc(number: int, reason: str, seed: int) -> int:
    """Return the CRC of the row that says why an object cannot be read."""
    return seeded(seed, f"unread {number} {reason}")


def _letter_crc(values: Sequence[Any], seed: int) -> int:
    # The lengths keep a byte from wandering between the fields; a text among them is a text.
    plain = repr([len(each) if isinstance(each, bytes) else each for each in values])
    for each in values:
        if isinstance(each, bytes):
            seed = zlib.crc32(each, seed)
    return seeded(seed, plain)
