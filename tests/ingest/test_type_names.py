from __future__ import annotations

import pyarrow as pa

from haulyard.ingest.tables_types import sql_types
from haulyard.ingest.type_names import type_name

KINDS = (
    *(pa.null(), pa.bool_(), pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16()),
    *(pa.uint32(), pa.uint64(), pa.float32(), pa.float64(), pa.string(), pa.large_string(), pa.binary()),
    *(pa.large_binary(), pa.date32(), pa.time32("s"), pa.time64("us"), pa.decimal128(22, 2)),
    *(
        pa.timestamp("s"),
        pa.timestamp("ms"),
        pa.timestamp("us"),
        pa.timestamp("ns"),
        pa.timestamp("us", "UTC"),
    ),
    *(pa.list_(pa.int64()), pa.list_(pa.float32(), 3), pa.struct([("x", pa.int64()), ("y", pa.string())])),
    *(pa.time32("ms"), pa.time64("ns"), pa.list_(pa.struct([("x", pa.list_(pa.date32()))]))),
)


def test_names_are_those_of_duckdb() -> None:
    schema = pa.schema([(f"c{number}", kind) for number, kind in enumerate(KINDS)])
    # DuckDB quotes the names of fields.
    asked = [name.replace('"', "") for name in sql_types(schema)]
    assert [type_name(kind) for kind in KINDS] == asked


def test_a_type_of_arrow_alone_keeps_its_name() -> None:
    assert type_name(pa.month_day_nano_interval()) == "month_day_nano_interval"
