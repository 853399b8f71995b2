from __future__ import annotations

import random
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from tests.ingest.shelf import parquet, read, rows

from haulyard import IngestError
from haulyard.ingest import fetching, sources
from haulyard.ingest import parquet as module
from haulyard.ingest.fetching import TAIL
from haulyard.ingest.parquet import spans_of
from haulyard.ingest.parquet_footer import WHOLE, read_footer
from haulyard.testing.faults import Fault

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.ingest.shelf import Shelf

pytestmark = pytest.mark.anyio


def noise(count: int, seed: int) -> list[int]:
    """Return numbers that do not compress."""
    source = random.Random(seed)
    return [source.getrandbits(62) for _ in range(count)]


def wide(rows: int = 20_000, **options: Any) -> bytes:
    """Return a file of 19 columns of noise, and ``n``, which counts; some 3 MB."""
    columns: dict[str, Any] = {f"c{number:02}": noise(rows, number) for number in range(19)}
    return parquet({**columns, "n": range(rows)}, **{"use_dictionary": False, **options})


@pytest.fixture(scope="module")
def content() -> bytes:
    return wide()


def chunks(content: bytes, *columns: str) -> int:
    """Return the bytes of some columns in the file."""
    metadata = pq.read_metadata(pa.BufferReader(content))
    return sum(
        span.size for group in range(metadata.num_row_groups) for span in spans_of(metadata, group, columns)
    )


async def test_only_the_wanted_columns_are_fetched(shelf: Shelf, content: bytes) -> None:
    dataset = await shelf.dataset(shelf.put("a.parquet", content), columns=["c03", "c11"])
    pieces = await read(dataset, where="c03 > 0 AND c11 > 4000000000000000000")
    received = shelf.received
    table = pq.read_table(pa.BufferReader(content), columns=["c03", "c11"])
    expected = table.filter(pc.field("c11") > 4000000000000000000)
    assert rows(pieces) == expected.to_pylist()
    assert received <= 1.15 * chunks(content, "c03", "c11")
    assert received == sum(piece.stored for piece in pieces)


async def test_neighbours_are_fetched_by_one_request(shelf: Shelf, content: bytes) -> None:
    uri = shelf.put("a.parquet", content)
    await read(await shelf.dataset(uri, columns=["c04", "c05", "c06"]))
    assert len(shelf.ranges("a.parquet")) == 2  # the footer, and three columns
    assert [request.operation for request in shelf.server.requests] == ["GetObject"] * 2


async def test_a_small_file_is_one_request(shelf: Shelf) -> None:
    small = parquet({"a": range(1000)})
    assert len(small) < WHOLE
    shelf.put("x/a.parquet", small)
    for source, asked in (("s3://bucket/x/", None), ("s3://bucket/x/a.parquet", (-TAIL, 0))):
        pieces = await read(await shelf.dataset(source))
        assert shelf.ranges("x/a.parquet")[-1] == asked
        assert (len(rows(pieces)), sum(piece.stored for piece in pieces)) == (1000, len(small))
    assert len(shelf.ranges("x/a.parquet")) == 2


async def test_a_footer_that_is_longer_than_expected_is_fetched_on(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "TAIL", 1000)
    data = parquet({f"column {number}": noise(1000, number) for number in range(200)}, use_dictionary=False)
    pieces = await read(await shelf.dataset(shelf.put("a.parquet", data), columns=["column 7"]))
    assert len(rows(pieces)) == 1000
    first, second, _ = shelf.ranges("a.parquet")
    assert second is not None
    assert (first, second[1]) == ((-1000, 0), len(data) - 1000)


async def test_row_groups_without_a_row_that_fits_are_not_fetched(shelf: Shelf) -> None:
    data = wide(row_group_size=5_000)
    dataset = await shelf.dataset(shelf.put("a.parquet", data), columns=["n"])
    pieces = await read(dataset, where="n BETWEEN 6000 AND 6009")
    assert [row["n"] for row in rows(pieces)] == list(range(6000, 6010))
    assert sum(piece.rows for piece in pieces) == 20_000
    assert len(shelf.ranges("a.parquet")) == 2  # the footer, and the second row group


async def test_what_duckdb_has_to_evaluate_is_read_in_full(shelf: Shelf) -> None:
    data = wide(2_000, row_group_size=500)
    dataset = await shelf.dataset(shelf.put("a.parquet", data), columns=["n"])
    assert [row["n"] for row in rows(await read(dataset, where="n % 1000 = 1"))] == [1, 1001]


async def test_a_row_group_larger_than_a_range_comes_by_several(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    for room in (fetching, module):
        monkeypatch.setattr(room, "PART", 100_000)
    pieces = await read(await shelf.dataset(shelf.put("a.parquet", content)))
    assert rows(pieces) == pq.read_table(pa.BufferReader(content)).to_pylist()
    assert len(shelf.ranges("a.parquet")) > 20


async def test_nested_columns_and_names_with_dots_are_told_apart(shelf: Shelf) -> None:
    table = pa.table(
        {
            "a": [{"b": 1, "c": [1, 2]}, None],
            "a.b": [3, 4],
            "l": [[{"x": "y"}], []],
            "m": pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int64())),
            "d": pa.array(["x", "y"]).dictionary_encode(),
        }
    )
    uri = shelf.put("a.parquet", parquet(table))
    for columns in (["a"], ["a.b"], ["l", "a"], ["m"], ["d"], None):
        pieces = await read(await shelf.dataset(uri, columns=columns))
        expected = table.select(columns) if columns else table
        assert rows(pieces) == expected.to_pylist()


async def test_a_file_without_rows_gives_one_piece_with_its_columns(shelf: Shelf) -> None:
    empty = pa.table({"a": pa.array([], pa.int64()), "b": pa.array([], pa.string())})
    dataset = await shelf.dataset(shelf.put("a.parquet", parquet(empty)))
    (piece,) = await read(dataset)
    assert (piece.batch.schema, piece.rows) == (empty.schema, 0)
    assert await dataset.schema() == empty.schema


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda data: data[:-100], "does not end in a footer"),
        (lambda data: data[:-8] + b"\xff\xff\xff\x7f" + b"PAR1", "its footer would be"),
        (lambda data: data[:-4] + b"PARE", "encrypted"),
        (lambda data: data[:-300] + b"\xff" * 250 + data[-50:], "its footer"),
        (lambda data: data[:-8] + b"\0\0\0\0PAR1", "its footer"),
    ],
    ids=["cut", "too long", "encrypted", "garbled", "none"],
)
async def test_a_damaged_footer_is_told_with_the_file(shelf: Shelf, spoil: Any, message: str) -> None:
    uri = shelf.put("a.parquet", spoil(parquet({"a": range(5000)})))
    with pytest.raises(IngestError, match=rf"s3://bucket/a\.parquet is damaged: .*{message}"):
        await read(await shelf.dataset(uri))


async def test_a_damaged_page_is_told_with_its_row_group(shelf: Shelf) -> None:
    data = bytearray(
        parquet({"a": noise(4000, 1)}, row_group_size=1000, write_page_checksum=True, use_dictionary=False)
    )
    group = pq.read_metadata(pa.BufferReader(bytes(data))).row_group(2).column(0)
    at = group.data_page_offset + group.total_compressed_size // 2
    data[at] ^= 0xFF
    uri = shelf.put("a.parquet", bytes(data))
    with pytest.raises(IngestError, match=r"a\.parquet is damaged: row group 2 of 4"):
        await read(await shelf.dataset(uri))


async def test_columns_of_the_same_name_are_refused(shelf: Shelf) -> None:
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
    with pytest.raises(IngestError, match="several columns named 'a'"):
        await read(await shelf.dataset(shelf.put("a.parquet", parquet(table))))


async def test_a_file_that_is_replaced_behind_its_footer_is_never_mixed(shelf: Shelf, content: bytes) -> None:
    source = (await shelf.dataset(shelf.put("a.parquet", content))).files[0]
    await read_footer(source)
    shelf.put("a.parquet", wide(19_999))
    with pytest.raises(IngestError, match="was replaced"):
        await read_footer(source)


async def test_a_range_that_breaks_off_goes_on(shelf: Shelf, content: bytes) -> None:
    dataset = await shelf.dataset(shelf.put("a.parquet", content))
    shelf.server.script(Fault("GetObject", truncate=100_000, attempts=(1, 2)))
    assert len(rows(await read(dataset))) == 20_000


async def test_an_empty_file_is_no_parquet(shelf: Shelf) -> None:
    with pytest.raises(IngestError, match=r"a\.parquet is empty, and so no Parquet"):
        await read(await shelf.dataset(shelf.put("a.parquet", b"")))


@pytest.mark.parametrize("distinct", [3, 300, 20_000])
async def test_text_is_text_however_it_is_stored(shelf: Shelf, distinct: int) -> None:
    """What is stored as a dictionary comes as one, and is made strings late; nobody sees that."""
    texts = [None if number % 7 == 0 else f"text {number % distinct}" for number in range(20_000)]
    table = pa.table({"s": texts, "t": texts, "n": range(20_000), "c": pa.array(texts).dictionary_encode()})
    uri = shelf.put("a.parquet", parquet(table))
    dataset = await shelf.dataset(uri)
    assert pa.Table.from_batches([piece.batch for piece in await read(dataset)]).equals(table)
    cases: list[tuple[str, Any, Callable[[dict[str, Any]], bool]]] = [
        ("n % 2 = 0", None, lambda row: row["n"] % 2 == 0),
        ("s = 'text 1'", None, lambda row: row["s"] == "text 1"),
        ("s LIKE '%1'", await dataset.schema(), lambda row: (row["s"] or "").endswith("1")),
    ]
    for where, schema, fits in cases:
        assert rows(await read(dataset, schema, where)) == [row for row in table.to_pylist() if fits(row)]


@pytest.mark.parametrize("count", [2, 300_000])
async def test_floats_of_16_bits_are_read_as_32(shelf: Shelf, count: int) -> None:
    halves = pa.array([1.5] * count, pa.float16())
    lists = pa.ListArray.from_arrays(pa.array(range(count + 1), pa.int32()), halves)
    shelf.put("a.parquet", parquet({"a": halves, "b": lists}, use_dictionary=False, compression="none"))
    dataset = await shelf.dataset("s3://bucket/a.parquet")
    pieces = await read(dataset)
    assert pieces[0].batch.schema.types == [pa.float32(), pa.list_(pa.field("element", pa.float32()))]
    assert sum(piece.batch.num_rows for piece in pieces) == count
    assert rows(pieces[:1])[0] == {"a": 1.5, "b": [1.5]}
    assert (await dataset.schema()).types == pieces[0].batch.schema.types


@pytest.mark.parametrize("count", [1, 100_000])  # decoded at once, and row group by row group
async def test_times_of_96_bits_are_what_they_were_beyond_the_years_of_nanoseconds(
    shelf: Shelf, count: int
) -> None:
    times = [datetime(9999, 12, 31), datetime(1, 1, 1), datetime(2020, 1, 1, 0, 0, 0, 7), None]  # noqa: DTZ001
    column = pa.array(times * count, pa.timestamp("us"))
    content = parquet({"a": column}, use_deprecated_int96_timestamps=True, use_dictionary=False)
    dataset = await shelf.dataset(shelf.put("a.parquet", content))
    assert [row["a"] for row in rows(await read(dataset))] == times * count
    assert (await dataset.schema()).types == [pa.timestamp("us")]


@pytest.mark.parametrize("wrong", ["whole", "missing", "wrong"])
async def test_a_store_that_knows_no_last_bytes_is_asked_for_ranges_from_the_beginning(
    wrong: Any, shelf: Shelf
) -> None:
    content = wide(1_000)
    shelf.server.script(
        Fault(
            "GetObject", wrong_range=wrong, where=lambda it: it.headers.get("range", "").startswith("bytes=-")
        )
    )
    dataset = await shelf.dataset(shelf.put("a.parquet", content), columns=["n"])
    assert rows(await read(dataset)) == [{"n": number} for number in range(1_000)]
