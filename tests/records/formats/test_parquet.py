from __future__ import annotations

import io
import json
import math
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haulyard.errors import ConfigError, RecordError
from haulyard.records.formats import parquet
from haulyard.records.formats.parquet import ParquetRows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from haulyard.records.model import Block

pa: Any = pytest.importorskip("pyarrow")
pq: Any = pytest.importorskip("pyarrow.parquet")


def written(table: Any, **options: Any) -> bytes:
    stream = io.BytesIO()
    pq.write_table(table, stream, **options)
    return stream.getvalue()


class Reading:
    """Blocks of a file in memory, and what was fetched for them."""

    def __init__(self, data: bytes, columns: Sequence[str] = ()) -> None:
        self.fetched: list[tuple[int, int]] = []
        self._data = data
        self._rows = ParquetRows(1, "x", len(data), self._fetch, columns)

    def _fetch(self, start: int, end: int) -> bytes:
        self.fetched.append((start, end))
        return self._data[start:end]

    def blocks(self, start: int = 0) -> list[Block]:
        return list(self._rows.blocks(start))


def records(blocks: list[Block]) -> list[Any]:
    return [json.loads(row) for block in blocks for row in block.rows]


def one(values: list[Any], kind: Any) -> list[Any]:
    table = pa.table({"v": pa.array(values, kind)})
    return [record["v"] for record in records(Reading(written(table)).blocks())]


@given(
    values=st.lists(
        st.tuples(st.none() | st.integers(-(2**60), 2**60), st.none() | st.text(max_size=5)), max_size=40
    ),
    group=st.integers(1, 15),
    rows=st.integers(1, 10),
)
def test_blocks_have_the_same_addresses_from_wherever_reading_begins(
    values: list[tuple[int | None, str | None]], group: int, rows: int
) -> None:
    numbers, texts = [list(column) for column in zip(*values, strict=True)] or ([], [])
    data = written(
        pa.table({"n": pa.array(numbers, pa.int64()), 'te"xt': pa.array(texts, pa.string())}),
        row_group_size=group,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parquet, "ROWS", rows)
        blocks = Reading(data).blocks()
        assert [tuple(record.values()) for record in records(blocks)] == values
        for index, block in enumerate(blocks):
            assert len(block.rows) <= rows
            assert block.offset // group == (block.end - 1) // group
            assert Reading(data).blocks(block.offset) == blocks[index:]
            assert Reading(data).blocks(block.end) == blocks[index + 1 :]


def test_values_become_json() -> None:
    east = timezone(timedelta(hours=2))
    assert one([1, None, -(2**63)], pa.int64()) == [1, None, -(2**63)]
    assert one([1.0, math.nan, -math.inf, 1e300, None], pa.float64()) == [1.0, None, None, 1e300, None]
    assert one([0.1], pa.float32()) == [0.1]
    assert one([True, None], pa.bool_()) == [True, None]
    assert one(['a"\n\x00', "é", None], pa.string()) == ['a"\n\x00', "é", None]
    assert one(["x", None], pa.dictionary(pa.int8(), pa.string())) == ["x", None]
    assert one([b"\x00\xff", None], pa.binary()) == ["AP8=", None]
    assert one([Decimal("1.50"), None], pa.decimal128(9, 2)) == ["1.50", None]
    assert one([date(2020, 1, 2), None], pa.date32()) == ["2020-01-02", None]
    assert one([time(1, 2, 3)], pa.time64("us")) == ["01:02:03"]
    assert one([datetime(2020, 1, 2, 3, 4, 5), None], pa.timestamp("us")) == [  # noqa: DTZ001 -- without a zone
        "2020-01-02T03:04:05",
        None,
    ]
    moment = datetime(2020, 1, 2, 3, 4, 5, 600, tzinfo=east)
    assert one([moment], pa.timestamp("us", "Europe/Paris")) == ["2020-01-02T01:04:05.000600Z"]
    assert one([datetime(2020, 1, 2, tzinfo=UTC)], pa.timestamp("ns", "UTC")) == ["2020-01-02T00:00:00Z"]
    assert one([timedelta(seconds=2)], pa.duration("ms")) == [2000]
    assert one([None], pa.null()) == [None]


def test_times_of_96_bits_are_what_they_were_beyond_the_years_of_nanoseconds() -> None:
    times = [datetime(9999, 12, 31, tzinfo=UTC), datetime(2020, 1, 1, 0, 0, 0, 7, tzinfo=UTC)]
    table = pa.table({"v": pa.array(times, pa.timestamp("us"))})
    read = records(Reading(written(table, use_deprecated_int96_timestamps=True)).blocks())
    assert [datetime.fromisoformat(each["v"]).replace(tzinfo=UTC) for each in read] == times


def test_nested_values_become_json() -> None:
    pair = pa.struct([("a", pa.float64()), ('b"', pa.binary())])
    assert one([{"a": math.nan, 'b"': b"x"}, None], pair) == [{"a": None, 'b"': "eA=="}, None]
    assert one([[1, None], [], None], pa.list_(pa.int8())) == [[1, None], [], None]
    assert one([[1, 2], None], pa.list_(pa.int8(), 2)) == [[1, 2], None]
    assert one([[["a"], None]], pa.list_(pa.large_list(pa.string()))) == [[["a"], None]]
    assert one([[("k", 1)], [], None], pa.map_(pa.string(), pa.int64())) == [{"k": 1}, {}, None]
    assert one([[(1, {"a": 1.0, 'b"': None})]], pa.map_(pa.int32(), pair)) == [{"1": {"a": 1.0, 'b"': None}}]


def test_only_the_columns_that_are_wanted_are_read_in_the_order_of_the_request() -> None:
    data = written(pa.table({"a": [1], "b": [2], "c": [3]}))
    (block,) = Reading(data, ("c", "a")).blocks()
    assert block.rows == [b'{"c":3,"a":1}']
    assert (block.line, block.end_line, block.end) == (0, 0, 1)
    with pytest.raises(ConfigError, match="no column 'd'"):
        Reading(data, ("d",))


def test_columns_of_the_same_name_are_refused() -> None:
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
    with pytest.raises(RecordError, match="several columns named 'a'"):
        Reading(written(table))


def test_row_groups_before_the_start_are_not_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "_READ", 1000)
    values = [str(number**5) for number in range(30_000)]
    data = written(pa.table({"v": values}), row_group_size=10_000, use_dictionary=False)
    reading = Reading(data)
    assert records(reading.blocks(20_000)) == [{"v": value} for value in values[20_000:]]
    assert sum(end - start for start, end in reading.fetched) < len(data) / 2


def test_wide_rows_make_small_blocks() -> None:
    values = [str(number) * 10_000 for number in range(2000)]
    data = written(pa.table({"v": values}), use_dictionary=False, compression="none")
    assert len(Reading(data).blocks()) > 5


def test_damaged_files_are_named() -> None:
    data = written(pa.table({"v": [str(number**5) for number in range(10_000)]}), use_dictionary=False)
    for broken in (b"", b"PAR1", data[:-10], data[: len(data) // 2]):
        with pytest.raises(RecordError, match="x is no Parquet, or damaged"):
            Reading(broken)
    middle = len(data) // 4
    reading = Reading(data[:middle] + bytes(2000) + data[middle + 2000 :])
    with pytest.raises(RecordError, match="x is no Parquet, or damaged"):
        reading.blocks()


@pytest.mark.parametrize("table", [pa.table({"a": pa.array([], pa.int64())}), pa.table({})])
def test_a_file_without_rows_has_no_blocks(table: Any) -> None:
    assert Reading(written(table)).blocks() == []
