"""The name of a table, from those of the files that go into it. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from haulyard.errors import ConfigError
from haulyard.ingest.tables import TableName
from haulyard.url import LocalPath, S3Url, parse

if TYPE_CHECKING:
    from collections.abc import Sequence

_SUFFIX: Final = re.compile(
    r"\.(?:csv|tsv|tab|txt|jsonl|ndjson|json|parquet|pq|gz|gzip|zst|zstd|bz2)$", re.IGNORECASE
)
_OTHER: Final = re.compile(r"\W+", re.ASCII)
_WILDCARD: Final = re.compile(r"[*?]")
#: Reserved words of SQL that files and directories may be called by; such a table would always need quotes.
_RESERVED: Final = {
    *("all", "analyse", "analyze", "any", "array", "asc", "both", "case", "cast", "check", "column"),
    *("constraint", "create", "default", "desc", "describe", "distinct", "end", "except", "false", "for"),
    *("foreign", "from", "grant", "group", "having", "in", "initially", "into", "lateral", "leading"),
    *("limit", "not", "null", "offset", "on", "only", "or", "order", "pivot", "primary", "references"),
    *(
        "returning",
        "select",
        "show",
        "some",
        "summarize",
        "symmetric",
        "table",
        "then",
        "to",
        "trailing",
        "true",
    ),
    *("union", "unique", "unpivot", "using", "variadic", "when", "where", "window", "with"),
}


def table_for(sources: Sequence[str]) -> TableName:
    """Return the name that a table of ``sources`` gets where none is given.

    That of the file, of the directory or prefix, or of the last directory before a wildcard.

    >>> str(table_for(["s3://b/in/2013-flights.csv.gz"])), str(table_for(["s3://b/sales/dt=*/x*.parquet"]))
    ('t_2013_flights', 'sales')

    Raises:
        ConfigError: Several sources would give several names, or nothing of them can be in a name.
    """
    names = list(dict.fromkeys(_name_of(source) for source in sources))
    if len(names) > 1:
        raise ConfigError(
            f"the sources have several names: {', '.join(names[:3])}", hint="name the table: table='NAME'"
        )
    if not names or not names[0]:
        raise ConfigError(f"{sources[0]} gives no name for a table", hint="name it: table='NAME'")
    return TableName("main", names[0])


def _name_of(source: str) -> str:
    end = parse(source)
    if isinstance(end, S3Url):
        path = f"{end.bucket}/{end.key}"
    elif isinstance(end, LocalPath):
        path = end.path
    else:
        return ""
    wildcard = _WILDCARD.search(path)
    if wildcard:
        path = path[: path.rfind("/", 0, wildcard.start()) + 1]
    # Partitions are columns, not what the table is about.
    parts = [part for part in path.split("/") if part not in {"", ".", ".."} and "=" not in part]
    name = parts[-1] if parts else ""
    while (shorter := _SUFFIX.sub("", name)) != name and shorter:
        name = shorter
    name = _OTHER.sub("_", name).strip("_")
    return f"t_{name}" if name[:1].isdigit() or name.lower() in _RESERVED else name
