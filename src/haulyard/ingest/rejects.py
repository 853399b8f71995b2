"""Rows that do not fit: each goes to a file of JSON Lines, and from there into a table.

The file is what bounds memory: a table is filled while the rows that fit come, and takes the others
afterwards.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO, Final

import orjson

from haulyard.errors import ConfigError, IngestError
from haulyard.ingest.loaded_sources import has_table
from haulyard.ingest.tables import quoted, registered

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from duckdb import DuckDBPyConnection

    from haulyard.ingest.model import Reject
    from haulyard.ingest.tables import TableName

#: Rejects that are kept for a message.
FIRST: Final = 10
#: Rows that go into the table at a time; a row is 64 KiB at most.
_PAGE: Final = 1000
_COLUMNS: Final = ("uri", "line", "reason", "column_name", "value", "raw", "loaded_at")


class Rejects:
    """The rejects of one attempt, in the file ``path``, which appears with the first of them.

    It is written under another name and gets its own when `keep` is called; `close` it in any case.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.count = 0
        self.first: list[Reject] = []
        self._partial = f"{path}.haul-partial"
        self._file: BinaryIO | None = None

    def add(self, rejects: Sequence[Reject]) -> None:
        """Take them.

        Raises:
            IngestError: The file cannot be written.
        """
        if not rejects:
            return
        self.count += len(rejects)
        self.first += rejects[: FIRST - len(self.first)]
        try:
            if self._file is None:
                self._file = open(self._partial, "wb")  # noqa: SIM115 -- `close` closes it
            self._file.write(b"".join(orjson.dumps(fields_of(each)) + b"\n" for each in rejects))
        except OSError as error:
            raise self._failed(error) from None

    def keep(self) -> str:
        """Give the file its name, and return that; ``""`` where there were no rejects."""
        if self._file is None:
            return ""
        try:
            self._file.close()
            os.replace(self._partial, self.path)
        except OSError as error:
            raise self._failed(error) from None
        return self.path

    def close(self) -> None:
        """Remove what was not kept."""
        if self._file is not None:
            # Where the disk is full this fails once more: of rows that nobody is to see.
            with suppress(OSError):
                self._file.close()
            with suppress(FileNotFoundError):
                os.unlink(self._partial)

    def store(self, connection: DuckDBPyConnection, table: TableName, *, anew: bool) -> None:
        """Put all of them into the table of rejects of ``table``; ``anew`` removes those of earlier loads.

        Raises:
            ConfigError: There is a table of that name that is none of ours.
            IngestError: The file cannot be written.
        """
        target = table.rejects
        if has_table(connection, target):
            columns = connection.execute(f"DESCRIBE {target.sql}").fetchall()
            if [row[0] for row in columns] != list(_COLUMNS):
                raise ConfigError(
                    f"{target} is no table of rejects, and would have to be one", hint="name another table="
                )
            if anew:
                connection.execute(f"DELETE FROM {target.sql}")
        if self._file is None:
            return
        import pyarrow as pa

        connection.execute(
            f"CREATE TABLE IF NOT EXISTS {target.sql} (uri VARCHAR, line BIGINT, reason VARCHAR, "
            "column_name VARCHAR, value VARCHAR, raw VARCHAR, loaded_at TIMESTAMPTZ)"
        )
        try:
            self._file.flush()
        except OSError as error:
            raise self._failed(error) from None
        for page in self._pages():
            names = ", ".join(quoted(name) for name in page[0])
            with registered(connection, "_haulyard_rejects", pa.Table.from_pylist(page)):
                connection.execute(f"INSERT INTO {target.sql} SELECT {names}, now() FROM _haulyard_rejects")

    def _pages(self) -> Iterator[list[dict[str, object]]]:
        with open(self._partial, "rb") as file:
            page = []
            for line in file:
                page.append({_COLUMNS[at]: value for at, value in enumerate(orjson.loads(line).values())})
                if len(page) == _PAGE:
                    yield page
                    page = []
            if page:
                yield page

    def _failed(self, error: OSError) -> IngestError:
        return IngestError(
            f"rejects cannot be written to {self.path}: {error.strerror}",
            hint="name another file by rejects=",
        )


def fields_of(reject: Reject) -> dict[str, object]:
    """Return a reject as it stands in the file; bytes that are no UTF-8 are escaped."""
    return {
        "uri": reject.uri,
        "line": reject.line,
        "reason": reject.reason,
        "column": reject.column,
        "value": reject.value,
        "raw": reject.raw.decode(errors="backslashreplace"),
    }
