"""Parquet read as the types of a table: what does not fit is rejected, and nothing is changed on the way."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
import pytest
from tests.ingest.shelf import parquet

from haulyard import load_table_async, read_table_async

if TYPE_CHECKING:
    from pathlib import Path

    from tests.ingest.shelf import Shelf

    from haulyard import Reject

pytestmark = pytest.mark.anyio

MIDNIGHT, FIVE = datetime(2020, 1, 1), datetime(2020, 1, 1, 5)  # noqa: DTZ001 -- without a zone
DECIMAL = pa.decimal128(10, 2)


def zoned(*times: datetime) -> pa.Array:
    return pa.array([time.replace(tzinfo=UTC) for time in times], pa.timestamp("us", "UTC"))


@pytest.mark.parametrize(
    ("column", "kind", "kept"),
    [
        (pa.array([FIVE, None, MIDNIGHT]), pa.date32(), [None, MIDNIGHT.date()]),
        (zoned(FIVE, MIDNIGHT), pa.date32(), [MIDNIGHT.date()]),
        (pa.array([FIVE, None]), pa.time64("us"), [None]),
        (pa.array([5, 1, 0, None]), pa.bool_(), [True, False, None]),
        (pa.array([0.5, 1.0, None]), pa.bool_(), [True, None]),
        (pa.array([1.239, 1.24, None, 0.1 + 0.2]), DECIMAL, [Decimal("1.24"), None, Decimal("0.30")]),
        (pa.array([1e-9, 1.5], pa.float32()), DECIMAL, [Decimal("1.50")]),
        (pa.array([1e300, float("inf"), 1.5, None]), pa.float32(), [float("inf"), 1.5, None]),
        (pa.array([[FIVE], [MIDNIGHT], None]), pa.list_(pa.date32()), [[MIDNIGHT.date()], None]),
        (
            pa.array([{"at": FIVE, "n": 1}, {"at": MIDNIGHT, "n": 2}]),
            pa.struct([("at", pa.date32()), ("n", pa.int32())]),
            [{"at": MIDNIGHT.date(), "n": 2}],
        ),
        (
            pa.array([{"n": 1, "more": 5}, {"n": 2, "more": None}, None]),
            pa.struct([("n", pa.int64())]),
            [{"n": 2}, None],
        ),
        (pa.array([[{"n": 1, "more": 5}], []]), pa.list_(pa.struct([("n", pa.int64())])), [[]]),
    ],
    ids=[
        *("date", "zoned", "time", "int", "fraction", "decimal", "small", "float", "list", "struct"),
        *("member", "member in a list"),
    ],
)
async def test_a_value_that_a_type_would_change_is_rejected(
    shelf: Shelf, column: pa.Array, kind: pa.DataType, kept: list[Any]
) -> None:
    uri = shelf.put("a.parquet", parquet({"a": column}))
    rejects: list[Reject] = []
    table, info = await read_table_async(
        uri, schema=pa.schema([("a", kind)]), max_rejects=None, on_reject=rejects.append, client=shelf.client
    )
    assert table.column("a").to_pylist() == kept
    assert (info.rows, info.rejected) == (len(kept), len(column) - len(kept))
    assert {(reject.column, reject.reason) for reject in rejects} == {("a", f"no {kind}")}


async def test_what_is_appended_to_a_table_is_not_made_to_fit(shelf: Shelf, tmp_path: Path) -> None:
    db = tmp_path / "a.duckdb"
    with duckdb.connect(db) as made:
        made.execute("CREATE TABLE t (day DATE, price DECIMAL(10, 2))")
    columns = {"day": [FIVE, MIDNIGHT, MIDNIGHT], "price": [1.0, 1.239, 19.99]}
    uri = shelf.put("a.parquet", parquet(columns))
    loaded = await load_table_async(
        uri, db=db, table="t", mode="append", max_rejects=2, rejects=tmp_path / "r", client=shelf.client
    )
    assert (loaded.rows_loaded, loaded.rows_rejected) == (1, 2)
    with duckdb.connect(db, read_only=True) as found:
        assert found.execute("FROM t").fetchall() == [(MIDNIGHT.date(), Decimal("19.99"))]
