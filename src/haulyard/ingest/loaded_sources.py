"""What was loaded into which table is kept in the database itself, and decides what is loaded again.

It is written in the transaction that loads: a table and what is known of its sources cannot disagree. The
decision is a pure function.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from haulyard.errors import ConfigError
from haulyard.ingest.tables import OURS, TableName, registered

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from duckdb import DuckDBPyConnection

    from haulyard.ingest.model import SourceFile

#: What becomes of a table that is there, and of its rows.
Mode = Literal["create", "append", "replace", "upsert"]

_SOURCES: Final = f"{OURS}.sources"
_CREATE: Final = f"""
CREATE SCHEMA IF NOT EXISTS {OURS};
CREATE TABLE IF NOT EXISTS {_SOURCES} (
    table_name VARCHAR NOT NULL,
    uri VARCHAR NOT NULL,
    etag VARCHAR NOT NULL,
    version_id VARCHAR NOT NULL,
    size BIGINT NOT NULL,
    rows_read BIGINT NOT NULL,
    rows_loaded BIGINT NOT NULL,
    rows_rejected BIGINT NOT NULL,
    asked VARCHAR NOT NULL,
    loaded_at TIMESTAMPTZ NOT NULL
)
"""


class Remembered(NamedTuple):
    """A file that was loaded. ``asked`` says what was wanted of it: columns, types, a condition."""

    uri: str
    etag: str
    asked: str


class Tally(NamedTuple):
    """What one file came to, in rows; ``filtered`` are those that a condition left out."""

    file: SourceFile
    read: int = 0
    loaded: int = 0
    rejected: int = 0
    filtered: int = 0


class Choice(NamedTuple):
    """What is to be loaded.

    ``known`` are files that are left out because they were loaded before, ``changed`` those that were loaded
    with other content. ``is_done`` says that the table is there and has it all.
    """

    files: tuple[SourceFile, ...]
    known: tuple[SourceFile, ...] = ()
    changed: tuple[SourceFile, ...] = ()
    is_done: bool = False


def choose(
    mode: Mode,
    table: TableName,
    files: Sequence[SourceFile],
    remembered: Iterable[Remembered] | None,
    *,
    asked: str = "",
    force: bool = False,
) -> Choice:
    """Decide what is loaded; ``remembered`` is None where there is no such table.

    Raises:
        ConfigError: ``create``, and there is a table that came from something else.
    """
    if remembered is None or mode == "replace":
        return Choice(tuple(files))
    before = list(remembered)
    pairs = {(each.uri, each.etag) for each in before}
    if mode == "create":
        if pairs == {(file.uri, file.etag) for file in files} and {each.asked for each in before} == {asked}:
            return Choice((), tuple(files), is_done=True)
        raise ConfigError(
            f"there is a table {table} already, and {_difference(pairs, files)}",
            hint="mode='append', mode='replace' or mode='upsert' says what becomes of it; "
            "table= names another",
        )
    seen = set() if force else pairs
    known = tuple(file for file in files if (file.uri, file.etag) in seen)
    left = tuple(file for file in files if (file.uri, file.etag) not in seen)
    uris = {uri for uri, _ in pairs}
    # What is loaded again by force has not changed for that.
    others = () if mode == "upsert" else left
    changed = tuple(file for file in others if file.uri in uris and (file.uri, file.etag) not in pairs)
    return Choice(left, known, changed, is_done=not left)


def _difference(pairs: set[tuple[str, str]], files: Sequence[SourceFile]) -> str:
    if not pairs:
        return "it was not made by haul ingest"
    uris = {uri for uri, _ in pairs}
    if other := [file.uri for file in files if file.uri not in uris]:
        return f"{other[0]} is not among what it was loaded from"
    if changed := [file.uri for file in files if (file.uri, file.etag) not in pairs]:
        return f"{changed[0]} was replaced since it was loaded"
    if len(pairs) > len(files):
        these = "this one alone" if len(files) == 1 else f"these {len(files):,} alone"
        return f"it was loaded from {len(pairs):,} files, not {these}"
    return "it was loaded with other columns, another condition or other types"


def remembered_of(connection: DuckDBPyConnection, table: TableName) -> list[Remembered] | None:
    """Return what ``table`` was loaded from, None where there is no such table."""
    if not has_table(connection, table):
        return None
    if not has_table(connection, TableName(OURS, "sources")):
        return []
    rows = connection.execute(
        f"SELECT uri, etag, asked FROM {_SOURCES} WHERE table_name = ?",
        [_key(table)],
    )
    return [Remembered(*row) for row in rows.fetchall()]


def remember(
    connection: DuckDBPyConnection, table: TableName, tallies: Iterable[Tally], *, asked: str, anew: bool
) -> None:
    """Take down what was loaded; ``anew`` forgets what the table was loaded from before."""
    import pyarrow as pa

    from haulyard.ingest.literals import integers, strings

    connection.execute(_CREATE)
    if anew:
        connection.execute(f"DELETE FROM {_SOURCES} WHERE table_name = ?", [_key(table)])
    tallies = list(tallies)
    if not tallies:
        return
    files = [tally.file for tally in tallies]
    texts = {
        "uri": [file.uri for file in files],
        "etag": [file.etag for file in files],
        "version_id": [file.version_id for file in files],
    }
    numbers = {
        "size": [file.size for file in files],
        "read": [tally.read for tally in tallies],
        "loaded": [tally.loaded for tally in tallies],
        "rejected": [tally.rejected for tally in tallies],
    }
    arrays = [*map(strings, texts.values()), *(integers(each, pa.int64()) for each in numbers.values())]
    # One by one, 5,000 files took seconds.
    with registered(connection, "_haulyard_loaded", pa.Table.from_arrays(arrays, [*texts, *numbers])):
        connection.execute(
            f"INSERT INTO {_SOURCES} SELECT ?, uri, etag, version_id, size, read, loaded, rejected, ?, now() "
            "FROM _haulyard_loaded",
            [_key(table), asked],
        )


def has_table(connection: DuckDBPyConnection, table: TableName) -> bool:
    """Say whether there is such a table, or view."""
    found = connection.execute(
        "SELECT 1 FROM information_schema.tables WHERE table_catalog = current_database() "
        "AND lower(table_schema) = lower(?) AND lower(table_name) = lower(?)",
        [table.schema, table.name],
    )
    return bool(found.fetchall())


def _key(table: TableName) -> str:
    # DuckDB's names are the same in upper and lower case.
    return f"{table.schema}.{table.name}".lower()
