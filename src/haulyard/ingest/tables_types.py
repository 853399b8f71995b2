"""Types of columns by DuckDB's names of them: what a table will have, and what a file says it is to have."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from haulyard.errors import ConfigError
from haulyard.ingest.tables import duckdb_module, quoted
from haulyard.ingest.tables_fitting import storable

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

_ROWS: Final = "_haulyard_rows"


def sql_types(schema: pa.Schema) -> list[str]:
    """Return the type that each column of ``schema`` gets in a table: ``BIGINT``, ``VARCHAR`` …."""
    from haulyard.ingest.literals import empty_table  # which needs pyarrow

    with duckdb_module().connect(":memory:") as connection:
        connection.register(_ROWS, empty_table(storable(schema)))
        return [str(row[1]) for row in connection.execute(f"DESCRIBE {_ROWS}").fetchall()]


def read_schema(path: str) -> pa.Schema:
    """Return the columns that a file names, with their types.

    The file is what ``haul ingest --schema --json`` prints, or JSON or TOML of names and types:
    ``{"id": "BIGINT", "price": "DECIMAL(12,2)"}`` or ``id = "BIGINT"``.

    Raises:
        ConfigError: It cannot be read, or names a type that DuckDB does not have.
    """
    import pyarrow as pa

    columns = _columns(path)
    if not columns:
        raise ConfigError(f"{path} names no columns", hint='write {"id": "BIGINT", "name": "VARCHAR"}')
    duckdb = duckdb_module()
    fields = []
    with duckdb.connect(":memory:", config={"enable_external_access": False}) as connection:
        for name, kind in columns.items():
            try:
                # DuckDB understands its names better than a list of ours could.
                connection.execute(f"CREATE OR REPLACE TEMP TABLE one ({quoted('x')} {kind})")
                made = connection.sql("SELECT x FROM one").to_arrow_table().schema
            except duckdb.Error:
                raise ConfigError(
                    f"{path}: {name}: {kind!r} is no type",
                    hint="DuckDB's types are wanted: BIGINT, DOUBLE, DECIMAL(12,2), VARCHAR, DATE, TIMESTAMP",
                ) from None
            fields.append(pa.field(name, made.field(0).type))
    return pa.schema(fields)


def _columns(path: str) -> Mapping[str, str]:
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigError(
            f"--schema-file {path}: {reason}", hint="name a file of columns and types"
        ) from None
    try:
        return _understood(text, is_toml=path.lower().endswith(".toml"))
    except (ValueError, TypeError, KeyError, AttributeError):
        raise ConfigError(
            f"{path} is no list of columns and types",
            hint="what `haul ingest --schema --json` prints will do, or names and types as JSON or TOML",
        ) from None


def _understood(text: str, *, is_toml: bool) -> Mapping[str, str]:
    if is_toml:
        import tomllib

        found: Any = tomllib.loads(text)
    else:
        found = _json(text)
    if isinstance(found, dict):
        found = found.get("columns", found)
    if isinstance(found, list):
        found = {each["name"]: each["type"] for each in found if each.get("event", "column") == "column"}
    if not all(isinstance(each, str) for pair in found.items() for each in pair):
        raise TypeError
    return dict(found)


def _json(text: str) -> Any:  # noqa: ANN401 -- whatever JSON holds
    try:
        found = json.loads(text)
    except json.JSONDecodeError:
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    # One line alone, of a table of one column.
    return [found] if isinstance(found, dict) and found.get("event") == "column" else found
