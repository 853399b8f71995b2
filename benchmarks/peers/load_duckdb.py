"""DuckDB loads a CSV file by itself, through s3fs: ``load_duckdb.py s3://bucket/key FILE.duckdb``."""

from __future__ import annotations

import json
import os
import sys

import duckdb
import s3fs


def main(uri: str, path: str) -> None:
    """Make the table ``t``, and print the number of its rows."""
    endpoint = {"endpoint_url": os.environ["S3_ENDPOINT_URL"]}
    with duckdb.connect(path, config={"memory_limit": "1GB"}) as connection:
        connection.register_filesystem(s3fs.S3FileSystem(client_kwargs=endpoint))
        connection.execute("CREATE TABLE t AS SELECT * FROM read_csv(?, nullstr='NA')", [uri])
        count = connection.execute("SELECT count(*) FROM t").fetchall()[0][0]
    sys.stdout.write(json.dumps({"rows_loaded": count}))


if __name__ == "__main__":
    main(*sys.argv[1:])
