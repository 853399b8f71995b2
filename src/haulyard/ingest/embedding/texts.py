"""The distinct texts of a column, as a file that the same texts always make the same.

::

    {"id": "<SHA-256 of the text>", "text": "…"}

A line for each text that is not empty, in the order of the ids.
"""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Final, NamedTuple

import orjson

from haulyard.errors import IngestError
from haulyard.ingest.tables import quoted

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from haulyard.ingest.tables import TableName

#: Rows that are taken from DuckDB at a time.
_BATCH: Final = 1024


class Texts(NamedTuple):
    """What was written: how many texts, whose ``digest`` tells them from others."""

    number: int
    digest: str


def write_texts(connection: DuckDBPyConnection, table: TableName, column: str, path: str) -> Texts:
    """Write the texts of a column to ``path``; memory does not grow with their number.

    Raises:
        IngestError: It cannot be written.
    """
    name = quoted(column)
    found = connection.sql(
        f"SELECT sha256(text) AS id, text FROM "  # noqa: S608 -- quoted
        f"(SELECT DISTINCT {name} AS text FROM {table.sql} WHERE {name} <> '') ORDER BY id"
    )
    digest, count = hashlib.sha256(), 0
    try:
        with open(path, "wb") as file:
            for batch in found.to_arrow_reader(_BATCH):
                ids, texts = batch.column(0).to_pylist(), batch.column(1).to_pylist()
                digest.update("".join(ids).encode())
                count += len(ids)
                file.writelines(map(_line, ids, texts))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise IngestError(
            f"the texts to embed cannot be written to {path}: {error.strerror}",
            hint="make room there, or let HAUL_JOB_DIR name another directory",
        ) from error
    return Texts(count, digest.hexdigest())


def _line(number: str, text: str) -> bytes:
    return orjson.dumps({"id": number, "text": text}, option=orjson.OPT_APPEND_NEWLINE)
