"""Types of columns by the names that DuckDB has for them, for messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import pyarrow as pa

_PLAIN: Final = {
    "null": "VARCHAR",
    "bool": "BOOLEAN",
    "int8": "TINYINT",
    "int16": "SMALLINT",
    "int32": "INTEGER",
    "int64": "BIGINT",
    "uint8": "UTINYINT",
    "uint16": "USMALLINT",
    "uint32": "UINTEGER",
    "uint64": "UBIGINT",
    "halffloat": "FLOAT",
    "float": "FLOAT",
    "double": "DOUBLE",
    "string": "VARCHAR",
    "large_string": "VARCHAR",
    "binary": "BLOB",
    "large_binary": "BLOB",
    "date32[day]": "DATE",
    "time32[s]": "TIME",
    "time32[ms]": "TIME",
    "time64[us]": "TIME",
    "time64[ns]": "TIME_NS",
    "timestamp[s]": "TIMESTAMP_S",
    "timestamp[ms]": "TIMESTAMP_MS",
    "timestamp[us]": "TIMESTAMP",
    "timestamp[ns]": "TIMESTAMP_NS",
}


def type_name(kind: pa.DataType) -> str:
    """Return what a type is called in a table: ``BIGINT``, ``VARCHAR[]``; Arrow's name where DuckDB has none.

    `haulyard.ingest.tables_types.sql_types` asks DuckDB itself; this needs neither DuckDB nor a connection.
    """
    import pyarrow as pa

    is_ = pa.types
    name = _PLAIN.get(str(kind), str(kind))
    if is_.is_decimal(kind):
        name = f"DECIMAL({kind.precision},{kind.scale})"
    elif is_.is_timestamp(kind) and kind.tz:
        name = "TIMESTAMP WITH TIME ZONE"
    elif is_.is_list(kind) or is_.is_large_list(kind):
        name = f"{type_name(kind.value_type)}[]"
    elif is_.is_fixed_size_list(kind):
        name = f"{type_name(kind.value_type)}[{kind.list_size}]"
    elif is_.is_struct(kind):
        name = f"STRUCT({', '.join(f'{field.name} {type_name(field.type)}' for field in kind)})"
    elif is_.is_dictionary(kind):
        name = type_name(kind.value_type)
    return name
