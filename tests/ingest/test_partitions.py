from __future__ import annotations

from datetime import date
from typing import Any

import pyarrow as pa
import pytest

from haulyard.ingest.model import SourceFile
from haulyard.ingest.partitions import NULL, partition_types, partition_value, partitions_of
from haulyard.stores.memory import MemoryStore


def files(*uris: str) -> list[SourceFile]:
    store = MemoryStore("m")
    return [SourceFile(store, uri, uri, 1, "e", "", partitions_of(uri)) for uri in uris]


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("s3://b/a.csv", ()),
        ("s3://b/dt=2026-01-01/a.csv", (("dt", "2026-01-01"),)),
        ("s3://b/y=1/m=2/a=b.csv", (("y", "1"), ("m", "2"))),
        ("s3://b/city=S%C3%A3o%20Paulo%2FSP/a.csv", (("city", "São Paulo/SP"),)),
        ("s3://b/x%3Dy=1/a.csv", (("x=y", "1"),)),
        ("s3://b/=1/x=/a.csv", (("x", ""),)),
        ("s3://b/x=1/x=2/a.csv", (("x", "2"),)),
    ],
)
def test_directories_with_a_name_and_a_value_are_columns(uri: str, expected: tuple[Any, ...]) -> None:
    assert partitions_of(uri) == expected


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1", "02", "-3"], pa.int64()),
        (["1", NULL], pa.int64()),
        (["1", "x"], pa.string()),
        (["9223372036854775808"], pa.string()),
        (["2026-01-01", "2026-12-31"], pa.date32()),
        (["2026-01-01", "2026-02-30"], pa.string()),
        (["2026-01-01", "20260101"], pa.string()),
        ([NULL], pa.string()),
        ([""], pa.string()),
    ],
)
def test_types_of_partitions_are_found_over_all_files(values: list[str], kind: pa.DataType) -> None:
    assert partition_types(files(*(f"s3://b/p={value}/f" for value in values))) == {"p": kind}


def test_values_of_partitions_have_their_type() -> None:
    assert partition_value("007", pa.int64()) == 7
    assert partition_value("2026-01-02", pa.date32()) == date(2026, 1, 2)
    assert partition_value("x", pa.string()) == "x"
    assert partition_value(NULL, pa.string()) is None
    assert partition_value(None, pa.int64()) is None
