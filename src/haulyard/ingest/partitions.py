"""Columns that the path of a file gives, as in ``year=2026/country=AT/part-0.parquet``.

So Hive wrote them first, and Spark, DuckDB and Arrow read them: names and values are percent-encoded,
``__HIVE_DEFAULT_PARTITION__`` is null, and what the path says goes before a column of the file of that name.
"""

from __future__ import annotations

import re
from datetime import date
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pyarrow as pa

    from haulyard.ingest.model import SourceFile

NULL: Final = "__HIVE_DEFAULT_PARTITION__"

_INTEGER: Final = re.compile(r"-?[0-9]{1,18}")
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def partitions_of(uri: str) -> tuple[tuple[str, str], ...]:
    """Return name and value of each directory ``name=value`` of a path; of a repeated name the last."""
    found: dict[str, str] = {}
    for part in uri.split("/")[:-1]:
        name, equals, value = part.partition("=")
        if equals and name:
            found[unquote(name)] = unquote(value)
    return tuple(found.items())


def partition_types(files: Iterable[SourceFile]) -> dict[str, pa.DataType]:
    """Return the columns that the paths of all files give: 64-bit integers, dates, else strings."""
    values: dict[str, set[str]] = {}
    for file in files:
        for name, value in file.partitions:
            known = values.setdefault(name, set())
            if value != NULL:
                known.add(value)
    if not values:
        return {}
    import pyarrow as pa

    kinds = ((_is_integer, pa.int64()), (_is_date, pa.date32()))
    return {
        name: next((kind for fits, kind in kinds if known and all(map(fits, known))), pa.string())
        for name, known in values.items()
    }


def partition_value(text: str | None, kind: pa.DataType) -> Any:  # noqa: ANN401 -- int, date, str or None
    """Return what the text of a partition means as ``kind``; None is what the path does not have."""
    import pyarrow as pa

    if text is None or text == NULL:
        return None
    if pa.types.is_integer(kind):
        return int(text)
    return date.fromisoformat(text) if pa.types.is_date(kind) else text


def _is_integer(text: str) -> bool:
    return _INTEGER.fullmatch(text) is not None


def _is_date(text: str) -> bool:
    if _DATE.fullmatch(text) is None:
        return False
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True
