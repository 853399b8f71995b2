"""The answers that a job kept, joined to the rows whose texts they are of.

Vectors are large: what is joined are the places where they lie in the files, and each is read from there for
its row. So memory does not grow with their number.
"""

from __future__ import annotations

import os
from base64 import b64decode
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Final

import orjson

from haulyard.errors import IngestError
from haulyard.ingest.embedding.answers import WIDTH
from haulyard.ingest.tables import TableName, quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import pyarrow as pa
    from duckdb import DuckDBPyConnection

#: Answers whose places are handed to DuckDB at a time.
_BATCH: Final = 8192
#: What the vector of a line follows on.
_BEFORE: Final = b'"vector":"'
#: A place is the number of a file times this, and the offset in it.
_FILE: Final = 1 << 40
_PLACES: Final = "haulyard_places"
_VECTOR: Final = "haulyard_vector"


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
            return len(b64decode(orjson.loads(line)["answer"]["vector"])) // WIDTH
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

    The rows stay in their order. ``dimensions`` of 0 mean that there is no vector at all. Where it fails, the
    transaction is over, and so is the use of the connection.

    Raises:
        IngestError: Vectors are not all of so many numbers, or one text has two.
    """
    if not dimensions:
        connection.execute(f"ALTER TABLE {table.sql} ADD COLUMN {quoted(into)} FLOAT[]")
        return
    from duckdb import func

    made = TableName(table.schema, f"{table.name}_with_vectors")
    with ExitStack() as stack:
        files = [stack.enter_context(open(path, "rb")) for path in paths]
        descriptors = [file.fileno() for file in files]
        connection.register(_PLACES, _places(paths, dimensions))
        connection.create_function(
            _VECTOR,
            _fetcher(descriptors, dimensions),
            ["BIGINT"],
            f"FLOAT[{dimensions}]",
            type=func.ARROW,
            null_handling=func.SPECIAL,
        )
        with _rows_in_order(connection):
            connection.execute(
                f"CREATE TABLE {made.sql} AS "  # noqa: S608 -- quoted
                f"SELECT t.*, {_VECTOR}(p.place) AS {quoted(into)} FROM {table.sql} AS t "
                f"LEFT JOIN {_PLACES} AS p ON sha256(t.{quoted(column)}) = p.id"
            )
        connection.remove_function(_VECTOR)
        connection.unregister(_PLACES)
    if _count(connection, made) != _count(connection, table):
        raise IngestError(
            "the vectors that were kept are damaged: a text has two of them",
            hint="throw them away: run it again with Embedding(new=True)",
        )
    connection.execute(f"DROP TABLE {table.sql}")
    connection.execute(f"ALTER TABLE {made.sql} RENAME TO {quoted(table.name)}")


@contextmanager
def _rows_in_order(connection: DuckDBPyConnection) -> Iterator[None]:
    """Keep DuckDB from exchanging the sides of a join: the order of the rows is that of the left one."""
    row = connection.execute("SELECT current_setting('disabled_optimizers')").fetchone()
    before = str(row[0] or "") if row else ""
    connection.execute("SET disabled_optimizers = 'join_order,build_side_probe_side'")
    yield
    connection.execute(f"SET disabled_optimizers = '{before}'")


def _count(connection: DuckDBPyConnection, table: TableName) -> int:
    row = connection.execute(f"SELECT count(*) FROM {table.sql}").fetchone()  # noqa: S608 -- quoted
    return int(row[0]) if row else 0


def _places(paths: Sequence[str], dimensions: int) -> pa.RecordBatchReader:
    """Return the id of each text, and the place where its vector begins."""
    import pyarrow as pa

    schema = pa.schema({"id": pa.string(), "place": pa.int64()})

    def batches() -> Iterator[pa.RecordBatch]:
        ids: list[str] = []
        places: list[int] = []
        for each, place in _all(paths, dimensions):
            ids.append(each)
            places.append(place)
            if len(ids) == _BATCH:
                yield pa.RecordBatch.from_arrays([pa.array(ids), pa.array(places)], schema=schema)
                ids, places = [], []
        if ids:
            yield pa.RecordBatch.from_arrays([pa.array(ids), pa.array(places)], schema=schema)

    return pa.RecordBatchReader.from_batches(schema, batches())


def _all(paths: Sequence[str], dimensions: int) -> Iterator[tuple[str, int]]:
    for number, path in enumerate(paths):
        with open(path, "rb") as file:
            at = 0
            for line in file:
                told = orjson.loads(line)["answer"]
                if len(told["vector"]) != _width(dimensions):
                    raise IngestError(
                        f"not all of the vectors that were kept have {dimensions} numbers",
                        hint="the model behind the endpoint was changed: start over with Embedding(new=True)",
                    )
                yield told["id"], number * _FILE + at + line.index(_BEFORE) + len(_BEFORE)
                at += len(line)


def _fetcher(descriptors: Sequence[int], dimensions: int) -> Callable[[Any], Any]:
    """Return what makes vectors (an array of Arrow) of their places in files that are open."""
    import pyarrow as pa

    width = _width(dimensions)
    nothing = bytes(dimensions * WIDTH)

    def vector(place: int | None) -> bytes:
        if place is None:
            return nothing
        number, offset = divmod(place, _FILE)
        return b64decode(os.pread(descriptors[number], width, offset))

    # DuckDB looks at the annotations, and could not find `pa` in them.
    def vectors(places: Any) -> Any:  # noqa: ANN401
        # So many rows as DuckDB works on at a time: a few thousand.
        numbers = pa.py_buffer(b"".join(map(vector, places.to_pylist())))
        flat = pa.Array.from_buffers(pa.float32(), len(places) * dimensions, [None, numbers])
        mask = places.is_null()
        if isinstance(mask, pa.ChunkedArray):
            mask = mask.combine_chunks()
        return pa.FixedSizeListArray.from_arrays(flat, dimensions, mask=mask)

    return vectors


def _width(dimensions: int) -> int:
    """Return the characters of a vector in base64."""
    return -(-dimensions * WIDTH // 3) * 4
