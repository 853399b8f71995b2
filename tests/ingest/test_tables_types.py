from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from haulyard.errors import ConfigError
from haulyard.ingest.tables_types import read_schema, sql_types

if TYPE_CHECKING:
    from pathlib import Path

KINDS = (("id", "BIGINT"), ("price", "DECIMAL(12,2)"), ("at", "TIMESTAMP"))
WANTED = pa.schema([("id", pa.int64()), ("price", pa.decimal128(12, 2)), ("at", pa.timestamp("us"))])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("s.json", '{"id": "BIGINT", "price": "DECIMAL(12,2)", "at": "TIMESTAMP"}'),
        ("s.toml", 'id = "bigint"\nprice = "decimal(12, 2)"\nat = "timestamp"\n'),
        (
            "s.jsonl",
            "".join(
                json.dumps({"event": "column", "name": name, "type": kind, "nulls": 0}) + "\n"
                for name, kind in KINDS
            ),
        ),
        (
            "s.json",
            json.dumps({"columns": [{"name": name, "type": kind} for name, kind in KINDS]}),
        ),
    ],
)
def test_names_and_types_are_read_from_a_file(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    assert read_schema(str(tmp_path / name)) == WANTED


def test_one_column_as_it_is_printed_is_a_schema(tmp_path: Path) -> None:
    (tmp_path / "s.json").write_text('{"event":"column","name":"id","type":"BIGINT"}\n')
    assert read_schema(str(tmp_path / "s.json")) == pa.schema([("id", pa.int64())])


def test_types_are_named_as_a_file_of_them_names_them(tmp_path: Path) -> None:
    kinds = sql_types(WANTED)
    assert kinds == ["BIGINT", "DECIMAL(12,2)", "TIMESTAMP"]
    assert sql_types(pa.schema([("a", pa.null()), ("b", pa.list_(pa.int8()))])) == ["VARCHAR", "TINYINT[]"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('{"id": "NUMBERS"}', "id: 'NUMBERS' is no type"),
        ('{"id": "INT); DROP TABLE x; --"}', "is no type"),
        ('{"id": 3}', "no list of columns"),
        ("{}", "names no columns"),
        ("[1, 2]", "no list of columns"),
        ("not json", "no list of columns"),
        ("\xff", "no list of columns"),
    ],
)
def test_a_file_that_is_no_schema_is_refused(tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "s.json").write_text(text)
    with pytest.raises(ConfigError, match=complaint):
        read_schema(str(tmp_path / "s.json"))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        read_schema(str(tmp_path / "none.json"))
