"""The table ``meta`` of a shard: small texts by name, each with ``crc``, the CRC-32 of ``name=value``.

Names that Haulyard uses itself: ``format`` (the layout's number), ``id`` (random; no two shards have
the same), ``table`` and ``columns`` (the plan's, ids
aside), ``rows`` (how many there are), ``closed`` (see `haulyard.journal.log`), ``tally`` (JSON) and
``finished`` (the number of the last commit when the tally was made; later commits make both void).
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final

from haulyard.journal.damage import damaged, foreign_errors

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

META_DDL: Final = "CREATE TABLE meta(name TEXT PRIMARY KEY, value TEXT NOT NULL, crc INTEGER NOT NULL)"
FORMAT: Final = "1"


def setting(values: Mapping[str, str]) -> tuple[str, list[str | int]]:
    """Return the statement that sets some names, and its parameters."""
    flat: list[str | int] = [
        part for name, value in values.items() for part in (name, value, _crc(name, value))
    ]
    places = ", ".join(["(?, ?, ?)"] * len(values))
    return f"INSERT OR REPLACE INTO meta VALUES {places}", flat  # noqa: S608 -- question marks


def read(connection: sqlite3.Connection, path: str) -> dict[str, str]:
    """Return all names and values.

    Raises:
        JobError: One is not what was written, or the file is no shard.
    """
    with foreign_errors(path):
        rows = connection.execute("SELECT name, value, crc FROM meta").fetchall()
    for name, value, crc in rows:
        if not isinstance(value, str) or _crc(name, value) != crc:
            raise damaged(path, f"in its meta row {name!r}")
    return {name: value for name, value, _ in rows}


def _crc(name: str, value: str) -> int:
    return zlib.crc32(f"{name}={value}".encode())
