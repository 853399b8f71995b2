"""A segment of kept answers as Parquet, row group by row group."""

from __future__ import annotations

import os
from datetime import datetime
from importlib import import_module
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import orjson

from haulyard.errors import ConfigError, JobError

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Answers of a row group: what is held at a time.
_GROUP: Final = 10_000


def require_pyarrow() -> tuple[Any, Any]:
    """Return pyarrow and its module for Parquet. Raises ConfigError where it is not installed."""
    try:
        return import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError:
        raise ConfigError(
            "answers in Parquet need pyarrow, which is not installed",
            hint="pip install 'haulyard[data]', or keep them as JSON Lines",
        ) from None


def to_parquet(path: str) -> str:
    """Write the answers in ``….jsonl`` to ``….parquet`` beside it, compressed with zstd; return its path.

    ``answer`` is a text: JSON where the answer is.

    Raises:
        ConfigError: pyarrow is not installed.
        JobError: It cannot be written.
    """
    arrow, parquet = require_pyarrow()
    target = f"{os.path.splitext(path)[0]}.parquet"
    kinds = {name: arrow.int64() for name in ("offset", "row", "part", "status")}
    kinds["at"] = arrow.timestamp("ms", "UTC")
    names = ("object", "etag", "offset", "row", "part", "status", "answer", "at")
    schema = arrow.schema([(name, kinds.get(name, arrow.string())) for name in names])
    try:
        with open(path, "rb") as file, parquet.ParquetWriter(target, schema, compression="zstd") as writer:
            while lines := list(islice(file, _GROUP)):
                writer.write_table(arrow.table(_columns(lines, names), schema=schema))
    except OSError as error:
        raise JobError(f"{target} cannot be written: {error}", hint="make room on the disk") from error
    return target


def _columns(lines: Sequence[bytes], names: Sequence[str]) -> dict[str, list[Any]]:
    answers = [orjson.loads(line) for line in lines]
    columns = {name: [each[name] for each in answers] for name in names}
    columns["at"] = [datetime.fromisoformat(at) for at in columns["at"]]
    columns["answer"] = [
        each if isinstance(each, str) else orjson.dumps(each).decode() for each in columns["answer"]
    ]
    return columns
