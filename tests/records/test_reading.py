from __future__ import annotations

import bz2
import gzip
import io
import json
import random
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest
import zstandard

from haulyard.errors import ConfigError, JobError, NotFound, RecordError
from haulyard.records.formats.cutting import Start
from haulyard.records.model import SourceObject
from haulyard.records.reading import Listeners, ReadOptions, blocks
from haulyard.stores.base import GET
from haulyard.stores.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from haulyard.models import GetOptions
    from haulyard.records.model import Block
    from haulyard.stores.memory import MemoryReader

pytestmark = pytest.mark.anyio

pa: Any = pytest.importorskip("pyarrow")
pq: Any = pytest.importorskip("pyarrow.parquet")

CSV = b"a,b\n" + b"".join(b'%d,"x\ny %d"\n' % (number, number) for number in range(300))
SMALL = ReadOptions(grid=256)
ROWS = [{"a": str(number), "b": f"x\ny {number}"} for number in range(300)]


class Watched(MemoryStore):
    """A store that notes which ranges are asked for, and hands bodies out in small chunks."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[int, int | None] | None] = []
        self.is_open = 0

    async def get(self, key: str, options: GetOptions = GET) -> MemoryReader:
        self.asked.append(options.range and (options.range.start, options.range.end))
        reader = await super().get(key, options)
        data = await reader.read()
        outer = self

        async def chunks() -> AsyncIterator[memoryview]:
            for at in range(0, len(data), 700):
                await anyio.lowlevel.checkpoint()
                yield memoryview(data)[at : at + 700]

        async def read() -> bytes:
            await anyio.lowlevel.checkpoint()
            return data

        async def close() -> None:
            outer.is_open -= 1

        self.is_open += 1
        reader.chunks, reader.read, reader.close = chunks, read, close  # type: ignore[method-assign]
        return reader


async def source(store: MemoryStore, key: str, data: bytes) -> SourceObject:
    result = await store.put(key, data)
    return SourceObject(1, key, len(data), result.etag)


async def read(
    store: MemoryStore, meant: SourceObject, options: ReadOptions = SMALL, **more: Any
) -> list[Block]:
    async with aclosing(blocks(store, meant, options, **more)) as found:
        return [block async for block in found]


def records(found: list[Block]) -> list[Any]:
    return [json.loads(row) for block in found for row in block.rows]


def parquet() -> bytes:
    stream = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(ROWS), stream, row_group_size=70)
    return stream.getvalue()


OBJECTS = {
    "x.csv": CSV,
    "x.tsv": CSV.replace(b",", b"\t"),
    "no-name": CSV,
    "bom.csv": b"\xef\xbb\xbf" + CSV,
    "x.csv.gz": gzip.compress(CSV[:1000]) + gzip.compress(CSV[1000:]),
    "x.csv.zst": zstandard.compress(CSV),
    "x.csv.bz2": bz2.compress(CSV),
    "no-name-zipped": gzip.compress(CSV),
    "utf16.csv": CSV.decode().encode("utf-16"),
    "utf32.csv": CSV.decode().encode("utf-32"),
    "x.jsonl": b"\n".join(json.dumps(row).encode() for row in ROWS),
    "lines.json": b"\n".join(json.dumps(row).encode() for row in ROWS),
    "x.json": json.dumps(ROWS).encode(),
    "pretty.json": json.dumps(ROWS, indent=2).encode(),
    "series.json": b"\n".join(json.dumps(row, indent=1).encode() for row in ROWS),
    "utf16.json": json.dumps(ROWS).encode("utf-16"),
    "x.json.gz": gzip.compress(json.dumps(ROWS).encode()),
    "x.parquet": parquet(),
    "no-name-parquet": parquet(),
}


@pytest.mark.parametrize("key", OBJECTS)
async def test_every_kind_of_object_is_read_and_goes_on_from_any_block(key: str) -> None:
    store = Watched()
    meant = await source(store, key, OBJECTS[key])
    options = ReadOptions(grid=256, chunk=500)
    found = await read(store, meant, options)
    assert records(found) == ROWS
    assert len(found) > 3
    for index, block in enumerate(found):
        if block.offset:
            assert await read(store, meant, options, start=Start(block.offset, block.line)) == found[index:]
        assert await read(store, meant, options, start=Start(block.end, block.end_line)) == found[index + 1 :]
    assert not store.is_open


async def test_plain_text_goes_on_without_what_came_before() -> None:
    store = Watched()
    meant = await source(store, "x.csv", CSV * 50)
    reread: list[SourceObject] = []
    counted: list[int] = []
    found = await read(store, meant)
    middle = found[len(found) // 2]
    store.asked.clear()
    listeners = Listeners(counted.append, reread.append)
    assert await read(store, meant, start=Start(middle.offset, middle.line), listeners=listeners)
    assert store.asked == [(0, 65536), (middle.offset, None)]
    assert sum(counted) == meant.size - middle.offset
    assert not reread


@pytest.mark.parametrize("key", ["x.csv.gz", "utf16.csv"])
async def test_what_has_to_be_read_again_from_its_beginning_is_said(key: str) -> None:
    store = Watched()
    meant = await source(store, key, OBJECTS[key])
    reread: list[SourceObject] = []
    counted: list[int] = []
    start = Start((await read(store, meant))[-1].offset)
    await read(store, meant, start=start, listeners=Listeners(counted.append, reread.append))
    assert reread == [meant]
    assert sum(counted) == meant.size


async def test_a_header_longer_than_what_is_looked_at_is_found_on_resuming() -> None:
    store = MemoryStore()
    names = ",".join(f"column-{number}" for number in range(20_000))
    row = ",".join("1" for _ in range(20_000))
    meant = await source(store, "x.csv", f"{names}\n{row}\n{row}\n{row}\n".encode())
    found = await read(store, meant)
    assert [len(record) for record in records(found)] == [20_000] * 3
    assert await read(store, meant, start=Start(found[1].offset, 3)) == found[1:]


async def test_a_replaced_object_is_refused() -> None:
    store = MemoryStore()
    for key in ("x.csv", "x.parquet"):
        meant = await source(store, key, OBJECTS[key])
        await store.put(key, OBJECTS[key] + b"1,2\n")
        for start in (None, Start(70, 3)):
            with pytest.raises(JobError, match="was replaced since the job began") as caught:
                await read(store, meant, start=start)
            assert "--new" in caught.value.hint


async def test_an_object_that_is_gone_is_not_found() -> None:
    with pytest.raises(NotFound):
        await read(MemoryStore(), SourceObject(1, "x.csv", 10, ""))


@pytest.mark.parametrize("key", ["x.csv", "x.jsonl", "x.json", "x.parquet", "x.csv.gz", "x"])
async def test_an_empty_object_has_no_records(key: str) -> None:
    store = MemoryStore()
    assert await read(store, await source(store, key, b"")) == []


async def test_a_header_alone_has_no_records() -> None:
    store = MemoryStore()
    for data in (b"a,b\n", b"a,b", b"\n", gzip.compress(b"a,b\n")):
        assert await read(store, await source(store, "x.csv", data)) == []


async def test_options_say_how_text_is_read() -> None:
    store = MemoryStore()
    meant = await source(store, "x", b"007;'a;b'\n8;'c'\n")
    options = ReadOptions(format="csv", delimiter=";", quote="'", columns=("n", "t"), types="infer")
    assert records(await read(store, meant, options)) == [{"n": "007", "t": "a;b"}, {"n": 8, "t": "c"}]
    meant = await source(store, "x.csv", "a,b\né,\\,\n".encode("latin-1"))
    assert records(await read(store, meant, ReadOptions(encoding="latin-1", escape="\\", quote=""))) == [
        {"a": "é", "b": ","}
    ]


async def test_options_that_cannot_be_are_refused_before_anything_is_read() -> None:
    with pytest.raises(ConfigError, match="several columns named 'a'"):
        ReadOptions(columns=("a", "a"))
    with pytest.raises(ConfigError, match="delimiter"):
        ReadOptions(delimiter="::")
    with pytest.raises(ConfigError, match="encoding"):
        ReadOptions(encoding="utf-9")


async def test_bytes_that_are_no_utf16_spoil_their_record_alone() -> None:
    store = MemoryStore()
    text = "a,b\n1,2\n".encode("utf-16") + b"\x00\xdc" + ",x\n3,4\n".encode("utf-16-le")
    (block,) = await read(store, await source(store, "x.csv", text))
    assert [row for row in block.rows if row] == [b'{"a":"1","b":"2"}', b'{"a":"3","b":"4"}']
    assert block.flaws[1].reason == "not UTF-16 at byte 0 of the record"


async def test_what_was_read_before_compressed_data_ends_counts() -> None:
    store = MemoryStore()
    text = b"a,b\n" + b"".join(b"%d,%d\n" % (number, random.getrandbits(64)) for number in range(20_000))
    meant = await source(store, "x.csv.gz", gzip.compress(text)[:-1000])
    found: list[Block] = []

    async def collect() -> None:
        async with aclosing(blocks(store, meant, SMALL)) as reading:
            async for block in reading:
                found.append(block)  # noqa: PERF401 -- what came before the error counts

    with pytest.raises(RecordError, match=r"memory://memory/x\.csv\.gz is cut short"):
        await collect()
    assert len(records(found)) > 15_000


async def test_compressed_parquet_is_refused() -> None:
    store = MemoryStore()
    with pytest.raises(RecordError, match="compressed Parquet"):
        await read(store, await source(store, "x.parquet.gz", gzip.compress(parquet())), ReadOptions())


async def test_a_line_of_many_mebibytes_is_read() -> None:
    store = MemoryStore()
    long = "x" * 20 * 1024**2
    meant = await source(store, "x.jsonl", json.dumps({"a": long}).encode() + b"\n{}\n")
    found = await read(store, meant)
    assert [len(block.rows) for block in found] == [1, 1]
    assert records(found) == [{"a": long}, {}]


async def test_reading_that_is_given_up_leaves_nothing_open() -> None:
    store = Watched()
    for key in ("x.csv", "x.csv.gz", "x.json", "x.parquet"):
        async with aclosing(
            blocks(store, await source(store, key, OBJECTS[key]), ReadOptions(grid=256))
        ) as found:
            await anext(found)
        assert not store.is_open, key


async def test_reading_parquet_ends_when_it_is_cancelled_while_it_waits_for_bytes() -> None:
    class Stuck(MemoryStore):
        async def get(self, key: str, options: GetOptions = GET) -> MemoryReader:
            entered.set()
            await anyio.sleep_forever()
            return await super().get(key, options)

    entered = anyio.Event()
    store = Stuck()
    meant = await source(store, "x.parquet", parquet())
    with anyio.fail_after(30):
        async with anyio.create_task_group() as group:
            group.start_soon(read, store, meant)
            await entered.wait()
            group.cancel_scope.cancel()
