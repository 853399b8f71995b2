"""Make what is read: ``make_tables.py KEY FLIGHTS DIRECTORY LONGER SMALL ROWS``.

KEY is ``flights.csv``, ``long.csv`` (LONGER times its rows), ``flights.parquet`` or ``small/`` (SMALL files
of ROWS rows). Prints as JSON the ``rows`` and the ``check`` that reading has to find, and the bytes
``wanted`` of Parquet.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import csv

COLUMNS = ("dep_delay", "origin")
LEAST = 60
_BLOCK = 1 << 20


def main(key: str, flights: str, directory: str, longer: int, small: int, rows: int) -> None:
    """Make one of them."""
    target = Path(directory, key)
    table = csv.read_csv(
        flights, convert_options=csv.ConvertOptions(null_values=["NA"], strings_can_be_null=True)
    )
    wanted = 0
    if key == "flights.csv":
        shutil.copyfile(flights, target)
    elif key == "long.csv":
        with open(flights, "rb") as source, target.open("wb") as file:
            file.write(source.readline())
            start = source.tell()
            for _ in range(longer):
                source.seek(start)
                shutil.copyfileobj(source, file, _BLOCK)
        table = pa.concat_tables([table] * longer)
    elif key == "flights.parquet":
        pq.write_table(table, target)
        group = pq.read_metadata(target).row_group(0)
        chunks = (group.column(number) for number in range(group.num_columns))
        wanted = sum(chunk.total_compressed_size for chunk in chunks if chunk.path_in_schema in COLUMNS)
        table = table.filter(pc.field("dep_delay") > LEAST)
    else:
        target.mkdir()
        table = table.slice(0, small * rows)
        for number in range(small):
            pq.write_table(table.slice(number * rows, rows), target / f"part-{number:05}.parquet")
    check = pc.sum(table["dep_delay"]).as_py()
    sys.stdout.write(json.dumps({"rows": table.num_rows, "check": check, "wanted": wanted}))


if __name__ == "__main__":
    name, flights_csv, where, *numbers = sys.argv[1:]
    main(name, flights_csv, where, *map(int, numbers))
