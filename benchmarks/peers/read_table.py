"""Read a table by one library: ``read_table.py LIBRARY CASE URI RUNS [WANTED]``.

Prints a line of JSON: ``rows`` and ``check`` of what was read, ``warm``, the median of RUNS readings in
seconds, after one to warm up (with 0 runs only the first is made), and, where WANTED is given and the library
tells, ``fetched``, the bytes that came for each of WANTED bytes that had to. CASE is ``csv``, ``filter``
(two columns of Parquet, and a condition) or ``many`` (all Parquet files below a prefix).
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

COLUMNS = ["dep_delay", "origin"]
LEAST = 60


def haul(case: str, uri: str, kind: str = "arrow") -> tuple[Callable[[], Any], Callable[[], int]]:
    """Return what reads with Haulyard, and the bytes that came so far."""
    from haulyard import Client, RequestDone, read_table

    received = [0]

    def count(event: object) -> None:
        if isinstance(event, RequestDone):
            received[0] += event.received

    client = Client(on_event=count)
    options: dict[str, Any] = {"as_": kind}
    if case == "filter":
        options |= {"columns": COLUMNS, "where": f"dep_delay > {LEAST}"}
    return lambda: read_table(uri, client=client, **options)[0], lambda: received[0]


def pandas(case: str, uri: str) -> Callable[[], Any]:
    """Return what reads with s3fs and pandas."""
    import pandas as pd
    import s3fs

    options = {"endpoint_url": os.environ["S3_ENDPOINT_URL"]}

    def read() -> Any:  # noqa: ANN401 -- a data frame
        # Or it would remember what it listed.
        s3fs.S3FileSystem.clear_instance_cache()
        if case == "csv":
            return pd.read_csv(uri, storage_options=options)
        if case == "many":
            return pd.read_parquet(uri, storage_options=options)
        filters = [("dep_delay", ">", LEAST)]
        return pd.read_parquet(uri, storage_options=options, columns=COLUMNS, filters=filters)

    return read


def pyarrow(case: str, uri: str) -> Callable[[], Any]:
    """Return what reads with pyarrow, from S3 or, of a path, from the disk."""
    import pyarrow.compute as pc
    import pyarrow.dataset as ds
    from pyarrow import csv, fs

    if uri.startswith("s3://"):
        address = os.environ["S3_ENDPOINT_URL"].removeprefix("http://")
        files: Any = fs.S3FileSystem(
            endpoint_override=address, scheme="http", region=os.environ["AWS_REGION"]
        )
        path = uri.removeprefix("s3://")
    else:
        files, path = fs.LocalFileSystem(), uri
    condition = pc.field("dep_delay") > LEAST

    def read() -> Any:  # noqa: ANN401 -- a table
        if case == "csv":
            if not uri.startswith("s3://"):
                return csv.read_csv(path)
            with files.open_input_stream(path) as stream:
                return csv.read_csv(stream)
        dataset = ds.dataset(path, filesystem=files, format="parquet")
        return dataset.to_table() if case == "many" else dataset.to_table(columns=COLUMNS, filter=condition)

    return read


def polars(case: str, uri: str) -> Callable[[], Any]:
    """Return what reads with polars."""
    import polars as pl

    options = {
        "aws_endpoint_url": os.environ["S3_ENDPOINT_URL"],
        "aws_access_key_id": os.environ["AWS_ACCESS_KEY_ID"],
        "aws_secret_access_key": os.environ["AWS_SECRET_ACCESS_KEY"],
        "aws_region": os.environ["AWS_REGION"],
        "aws_allow_http": "true",
    }

    def read() -> Any:  # noqa: ANN401 -- a data frame
        if case == "csv":
            return pl.scan_csv(uri, storage_options=options, null_values="NA").collect()
        frame = pl.scan_parquet(uri, storage_options=options)
        if case == "filter":
            frame = frame.filter(pl.col("dep_delay") > LEAST).select(COLUMNS)
        return frame.collect()

    return read


def awswrangler(case: str, uri: str) -> Callable[[], Any]:
    """Return what reads with awswrangler."""
    import awswrangler as wr

    wr.config.s3_endpoint_url = os.environ["S3_ENDPOINT_URL"]

    def read() -> Any:  # noqa: ANN401 -- a data frame
        if case == "csv":
            return wr.s3.read_csv(uri)
        frame = wr.s3.read_parquet(uri, columns=COLUMNS if case == "filter" else None)
        return frame[frame["dep_delay"] > LEAST] if case == "filter" else frame

    return read


def summary(table: Any) -> tuple[int, int]:  # noqa: ANN401 -- of any library
    """Return the number of rows, and the sum of a column that all cases have."""
    column = table["dep_delay"]
    if hasattr(column, "num_chunks"):
        import pyarrow.compute as pc

        return table.num_rows, int(pc.sum(column).as_py())
    return len(table), int(column.sum())


def main(library: str, case: str, uri: str, runs: str, wanted: str = "0") -> None:
    """Read, and tell what that took."""
    received: Callable[[], int] | None = None
    if library.startswith("haul"):
        read, received = haul(case, uri, library.partition("-")[2] or "arrow")
    else:
        readers = {"pandas": pandas, "pyarrow": pyarrow, "polars": polars, "awswrangler": awswrangler}
        read = partial(readers[library](case, uri))
    table = read()
    taken = []
    before = received() if received else 0
    for _ in range(int(runs)):
        del table
        started = time.perf_counter()
        table = read()
        taken.append(time.perf_counter() - started)
    rows, check = summary(table)
    told: dict[str, Any] = {"rows": rows, "check": check, "warm": statistics.median(taken) if taken else None}
    if received and taken and int(wanted):
        told["fetched"] = (received() - before) / len(taken) / int(wanted)
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:])
