"""What the lines of a manifest name: keys one a line, or CSV.

A line that cannot be understood stops the command: skipping it would leave an object unaccounted for.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final, NamedTuple

from haulyard.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

#: The columns of a manifest of S3 Batch Operations ("Specifying a manifest", S3 user guide).
BATCH_COLUMNS: Final = ("bucket", "key", "versionid")
#: What an inventory may say of an object ("Amazon S3 Inventory list", S3 user guide).
PROPERTIES: Final = ("size", "lastmodifieddate", "etag", "storageclass")


class Listed(NamedTuple):
    """One line: ``bucket`` and ``version_id`` are ``""`` where it names none, ``line`` counts from 1.

    ``size`` in bytes, ``modified`` in POSIX seconds, ``etag`` and ``storage_class`` are what an inventory
    tells of it; -1, 0.0 and ``""`` where it does not.
    """

    line: int
    bucket: str
    key: str
    version_id: str = ""
    size: int = -1
    modified: float = 0.0
    etag: str = ""
    storage_class: str = ""


class KeyLines:
    """Keys, one a line, as they are (``s3://bucket/key`` too); empty lines are passed over.

    Where they are ``paths`` of files, a leading ``./`` is dropped, which `find` writes.
    """

    def __init__(self, name: str, *, paths: bool = False) -> None:
        self._name = name
        self._leading = "./" if paths else ""
        self._count = 0

    def __call__(self, lines: Sequence[bytes]) -> list[Listed]:
        """Read a page of lines.

        Raises:
            ConfigError: A line is not UTF-8, or is a URL without a key.
        """
        first = self._count + 1
        self._count += len(lines)
        entries = []
        for number, text in enumerate(decode(lines, self._name, first), first):
            line = text.removesuffix("\r")
            if line.startswith("s3://"):
                bucket, _, key = line[5:].partition("/")
                if not (bucket and key):
                    raise malformed(self._name, number, f"{line} names no object")
                entries.append(Listed(number, bucket, key))
            elif line:
                entries.append(Listed(number, "", line.removeprefix(self._leading)))
        return entries


class CsvLines:
    """Rows of CSV. Keys are URL-encoded, with ``+`` for a space, as S3 Inventory and S3 Batch Operations do.

    ``columns`` are lower-case names, ``bucket`` and ``key`` among them; where they are `BATCH_COLUMNS` the
    version may be missing, and a first row that repeats them is a heading. Of an inventory of versions only
    the current ones count, without their version ids: what is current at this moment is meant, and a `mv` or
    `rm` must not remove a version for good.
    """

    def __init__(self, name: str, columns: Sequence[str] = BATCH_COLUMNS) -> None:
        self._name = name
        self._is_batch = tuple(columns) == BATCH_COLUMNS
        self._count = 0
        self._at = {column: at for at, column in enumerate(columns)}
        self._widths = (2, 3) if self._is_batch else (len(columns),)
        if "bucket" not in self._at or "key" not in self._at:
            raise ConfigError(
                f"{name} has no columns Bucket and Key but {', '.join(columns)}",
                hint="is it an S3 Inventory?",
            )

    def __call__(self, lines: Sequence[bytes]) -> list[Listed]:
        """Read a page of lines.

        Raises:
            ConfigError: A line is no row of these columns, or its key is not URL-encoded UTF-8.
        """
        first = self._count + 1
        self._count += len(lines)
        entries = []
        for number, row in enumerate(self._rows(lines, first), first):
            if not row or (number == 1 and self._is_heading(row)):
                continue
            if len(row) not in self._widths:
                expected = "bucket,key[,version]" if self._is_batch else f"{self._widths[0]} columns"
                raise malformed(self._name, number, f"{len(row)} columns instead of {expected}")
            if self._is_current(row):
                entries.append(self._entry(number, row))
        return entries

    def _rows(self, lines: Sequence[bytes], first: int) -> list[list[str]]:
        import csv

        texts = [line.removesuffix("\r") for line in decode(lines, self._name, first)]
        rows: list[list[str]] = []
        try:
            # A quoted line feed would join two lines: keys have theirs as %0A.
            rows.extend(csv.reader(texts, strict=True))
        except csv.Error as error:
            raise malformed(self._name, first + len(rows), str(error)) from error
        if len(rows) != len(texts):
            at = next(at for at, text in enumerate(texts) if text.count('"') % 2)
            raise malformed(self._name, first + at, "a quotation mark is not closed")
        return rows

    def _is_heading(self, row: Sequence[str]) -> bool:
        named = [column.strip().lower().replace("_", "").replace(" ", "") for column in row]
        return self._is_batch and named[:2] == ["bucket", "key"]

    def _is_current(self, row: Sequence[str]) -> bool:
        at = self._at
        if "isdeletemarker" in at and row[at["isdeletemarker"]].lower() == "true":
            return False
        return "islatest" not in at or row[at["islatest"]].lower() != "false"

    def _entry(self, number: int, row: Sequence[str]) -> Listed:
        key = row[self._at["key"]]
        if "%" in key or "+" in key:
            key = self._decoded(number, key)
        if not key:
            raise malformed(self._name, number, "the key is empty")
        bucket = row[self._at["bucket"]]
        if self._is_batch:
            return Listed(number, bucket, key, row[2] if len(row) > 2 else "")  # noqa: PLR2004 -- its column
        try:
            return Listed(number, bucket, key, "", *self._properties(row))
        except ValueError as error:
            raise malformed(self._name, number, str(error)) from None

    def _properties(self, row: Sequence[str]) -> tuple[int, float, str, str]:
        size, modified, etag, storage_class = (
            row[self._at[column]] if column in self._at else "" for column in PROPERTIES
        )
        when = datetime.fromisoformat(modified).timestamp() if modified else 0.0
        return int(size) if size else -1, when, etag.strip('"'), storage_class

    def _decoded(self, number: int, key: str) -> str:
        from urllib.parse import unquote_plus

        try:
            return unquote_plus(key, errors="strict")
        except UnicodeDecodeError:
            raise malformed(self._name, number, f"the key {key} is not URL-encoded UTF-8") from None


def decode(lines: Sequence[bytes], name: str, first: int) -> list[str]:
    """Return lines as text; ``first`` is the number of the first.

    Raises:
        ConfigError: One of them is not UTF-8.
    """
    try:
        return b"\n".join(lines).decode().split("\n")
    except UnicodeDecodeError as error:
        number = first + b"\n".join(lines)[: error.start].count(b"\n")
        raise malformed(name, number, "it is not UTF-8") from None


def malformed(name: str, line: int, problem: str) -> ConfigError:
    """Return the error for a line that cannot be understood."""
    return ConfigError(
        f"{name}, line {line}: {problem}",
        hint="a manifest has keys one a line, CSV rows of bucket,key[,version], or is an S3 Inventory",
    )
