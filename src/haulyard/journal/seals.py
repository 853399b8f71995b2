"""The checksum of a batch of plan rows.

SQLite would not notice a page that was changed behind its back. So every batch of rows has a seal: a CRC-32
over its first id, and then over each column in turn, which is fast and sees values that changed places:

- text: the values as UTF-8, with a NUL between two; where a value has a NUL itself, the lengths follow
  (in characters, as 64-bit integers);
- integers, reals: the values as 64-bit integers or doubles in this machine's byte order;
- a column with NULLs: the numbers of the rows that are NULL, then the column with ``''`` or 0 in their place.
"""

from __future__ import annotations

import zlib
from array import array
from typing import TYPE_CHECKING, Any

from haulyard.errors import ConfigError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

    from _typeshed import ReadableBuffer

_TEXT = "t"
_CODES = {"TEXT": _TEXT, "INTEGER": "q", "REAL": "d"}
_MINUS_ZERO = array("d", [-0.0]).tobytes()


def column_codes(connection: sqlite3.Connection, table: str, columns: Sequence[str]) -> str:
    """Return one letter a column, by its declared type, as `batch_crc` takes them.

    Raises:
        ConfigError: The table has no such columns, or one is neither TEXT nor INTEGER nor REAL.
    """
    declared = {row[1]: row[2].upper() for row in connection.execute(f'PRAGMA table_info("{table}")')}
    try:
        return "".join([_CODES[declared[column]] for column in columns])
    except KeyError as error:
        raise ConfigError(
            f"{table} has a column that cannot be sealed: {error}", hint="use TEXT, INTEGER and REAL"
        ) from None


def batch_crc(first: int, codes: str, columns: Iterable[Sequence[Any]]) -> int:
    """Return the CRC-32 of rows, given as their columns without the ids, of which ``first`` is the first.

    Raises:
        TypeError: A value has another type than its column.
        UnicodeEncodeError: A text is no Unicode.
        OverflowError: An integer has more than 64 bits.
        ValueError: There are more or fewer columns than codes.
    """
    crc = zlib.crc32(b"%d" % first)
    for code, column in zip(codes, columns, strict=True):
        try:
            crc = _add(crc, code, column)
        except TypeError:
            # Rare: it has NULLs, or a value of another type, which is refused the second time.
            nulls = [number for number, value in enumerate(column) if value is None]
            crc = zlib.crc32(array("q", nulls), crc)
            stand_in = "" if code == _TEXT else 0
            crc = _add(crc, code, [stand_in if value is None else value for value in column])
    return crc


def _add(crc: int, code: str, column: Sequence[Any]) -> int:
    if code == _TEXT:
        joined = "\0".join(column)
        crc = zlib.crc32(joined.encode(), crc)
        if joined.count("\0") != len(column) - 1:
            crc = zlib.crc32(array("q", map(len, column)), crc)
        return crc
    content: ReadableBuffer = array(code, column)
    if code == "d" and _MINUS_ZERO in bytes(content):
        # SQLite keeps whole reals as integers, which have no minus zero.
        content = array(code, [value + 0.0 for value in column])
    return zlib.crc32(content, crc)
