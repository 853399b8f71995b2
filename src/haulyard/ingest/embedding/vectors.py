"""The answers that a job kept, joined to the rows whose texts they are of."""

from __future__ import annotations

import os
from base64 import b64decode
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import orjson

from haulyard.errors import IngestError
from haulyard.ingest.embedding.answers import WIDTH
from haulyard.ingest.tables import TableName, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa
    from duckdb import DuckDBPyConnection

#: Bytes of vectors that are held at a time.
_BATCH: Final = 8 * 1024**2
_VIEW: Final = "haulyard_vectors"


def answer_files(*directories: str) -> list[str]:
    """Return the paths of the files of answers in some directories, those that are not there left out."""
    found: list[str] = []
    for directory in directories:
        if os.path.isdir(directory):
            names = (name for name in os.listdir(directory) if name.endswith(".jsonl"))
            found += [os.path.join(directory, name) for name in sorted(names)]
    return found


def dimensions_of(paths: Sequence[str]) -> int:
    """Return the numbers of the first vector in some files, 0 where there is none."""
    for path in paths:
        with open(path, "rb") as file:
            line = file.readline()
        # A line that a kill cut off is not part of what was kept.
        if line.endswith(b"\n"):
            return len(_vector(line)[1]) // WIDTH
    return 0


def join_vectors(
    connection: DuckDBPyConnection,
    table: TableName,
    column: str,
    into: str,
    paths: Sequence[str],
    dimensions: int,
) -> None:
    """Give a table the column ``into``, with the vector of each row's text, null where there is none.

    The rows stay in their order. ``dimensions`` of 0 mean that there is no vector at all.

    Raises:
        IngestError: Vectors are not all of so many numbers, or one text has two.
    """
    if not dimensions:
        connection.execute(f"ALTER TABLE {table.sql} ADD COLUMN {quoted(into)} FLOAT[]")
        return
    made = TableName(table.schema, f"{table.name}_with_vectors")
    reader = _reader(paths, dimensions)
    connection.register(_VIEW, reader)
    try:
        with _rows_in_order(connection):
            connection.execute(
                f"CREATE TABLE {made.sql} AS SELECT t.*, v.vector AS {quoted(into)} "  # noqa: S608 -- quoted
                f"FROM {table.sql} AS t LEFT JOIN {_VIEW} AS v ON sha256(t.{quoted(column)}) = v.id"
            )
    finally:
        connection.unregister(_VIEW)
    if _count(connection, made) != _count(connection, table):
        raise IngestError(
            "the vectors that were kept are damaged: a text has two of them",
            hint="throw them away: run it again with --embed-new",
        )
    connection.execute(f"DROP TABLE {table.sql}")
    connection.execute(f"ALTER TABLE {made.sql} RENAME TO {quoted(table.name)}")


@contextmanager
def _rows_in_order(connection: DuckDBPyConnection) -> Iterator[None]:
    """Keep DuckDB from exchanging the sides of a join: the order of the rows is that of the left one."""
    row = connection.execute("SELECT current_setting('disabled_optimizers')").fetchone()
    before = str(row[0] or "") if row else ""
    connection.execute("SET disabled_optimizers = 'join_order,build_side_probe_side'")
    try:
        yield
    finally:
        connection.execute(f"SET disabled_optimizers = '{before}'")


def _count(connection: DuckDBPyConnection, table: TableName) -> int:
    row = connection.execute(f"SELECT count(*) FROM {table.sql}").fetchone()  # noqa: S608 -- quoted
    return int(row[0]) if row else 0


def _reader(paths: Sequence[str], dimensions: int) -> pa.RecordBatchReader:
    import pyarrow as pa

    schema = pa.schema({"id": pa.string(), "vector": pa.list_(pa.float32(), dimensions)})

    def batches() -> Iterator[pa.RecordBatch]:
        ids: list[str] = []
        vectors: list[bytes] = []
        most = max(1, _BATCH // (dimensions * WIDTH))
        for each, vector in _all(paths, dimensions):
            ids.append(each)
            vectors.append(vector)
            if len(ids) >= most:
                yield _batch(schema, ids, vectors)
                ids, vectors = [], []
        if ids:
            yield _batch(schema, ids, vectors)

    return pa.RecordBatchReader.from_batches(schema, batches())


def _batch(schema: pa.Schema, ids: list[str], vectors: list[bytes]) -> pa.RecordBatch:
    import pyarrow as pa

    content = b"".join(vectors)
    numbers = pa.Array.from_buffers(pa.float32(), len(content) // WIDTH, [None, pa.py_buffer(content)])
    listed = pa.FixedSizeListArray.from_arrays(numbers, schema.field("vector").type.list_size)
    return pa.RecordBatch.from_arrays([pa.array(ids, pa.string()), listed], schema=schema)


def _all(paths: Sequence[str], dimensions: int) -> Iterator[tuple[str, bytes]]:
    for path in paths:
        with open(path, "rb") as file:
            for line in file:
                found = _vector(line)
                if len(found[1]) != dimensions * WIDTH:
                    raise IngestError(
                        f"vectors of {dimensions} and of {len(found[1]) // WIDTH} numbers were kept",
                        hint="the model behind the endpoint was changed: start over with --embed-new",
                    )
                yield found


def _vector(line: bytes) -> tuple[str, bytes]:
    told = orjson.loads(line)["answer"]
    return told["id"], b64decode(told["vector"])
