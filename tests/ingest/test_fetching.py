from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from haulyard import IngestError, NotFound, S3NetworkError
from haulyard.ingest import fetching
from haulyard.ingest.fetching import AHEAD, PART, Stream, fetch, parts_of
from haulyard.models import ByteRange
from haulyard.testing.faults import Fault

if TYPE_CHECKING:
    from tests.ingest.shelf import Shelf

    from haulyard.ingest.model import SourceFile

pytestmark = pytest.mark.anyio

MIB = 1024**2


async def listed(shelf: Shelf, content: bytes, key: str = "a.csv") -> SourceFile:
    """Return an object as it was listed."""
    shelf.put(key, content)
    return (await shelf.dataset(f"s3://bucket/{key}")).files[0]


async def drained(stream: Stream) -> bytes:
    return b"".join([bytes(piece) async for piece in stream])


async def streamed(source: SourceFile) -> bytes:
    async with Stream(source) as stream:
        found = await drained(stream)
        assert stream.taken == len(found)
    return found


@pytest.fixture
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "PART", 64 * 1024)


def content(size: int) -> bytes:
    return b"".join(number.to_bytes(4, "big") for number in range(size // 4))


def test_parts_cover_a_file_without_gap_and_fit_into_the_memory() -> None:
    assert parts_of(0, 1) == []
    assert parts_of(PART, AHEAD * PART) == [None]
    spans = [span for span in parts_of(10 * PART + 1, AHEAD * PART) if span]
    assert (spans[0].start, spans[-1].end) == (0, 10 * PART + 1)
    assert all(one.end == other.start for one, other in pairwise(spans))
    small = [span for span in parts_of(10 * MIB, 1 * MIB) if span]
    assert {(span.end or 0) - span.start for span in small} == {MIB // AHEAD}


@pytest.mark.usefixtures("_small_parts")
@pytest.mark.parametrize("size", [0, 4, 64 * 1024, 64 * 1024 + 4, 1_000_000])
async def test_bytes_come_in_order(shelf: Shelf, size: int) -> None:
    source = await listed(shelf, content(size))
    assert await streamed(source) == content(size)


async def test_a_small_file_is_one_request_and_an_empty_one_is_none(shelf: Shelf) -> None:
    await streamed(await listed(shelf, b"x", "one.csv"))
    await streamed(await listed(shelf, b"", "none.csv"))
    assert (shelf.ranges("one.csv"), shelf.ranges("none.csv")) == ([None], [])


@pytest.mark.usefixtures("_small_parts")
async def test_ranges_run_ahead_in_parallel_but_no_further_than_they_may(shelf: Shelf) -> None:
    source = await listed(shelf, content(10 * 64 * 1024))
    shelf.server.script(Fault("GetObject", stall=True, attempts="all"))
    async with Stream(source):
        await shelf.server.wait_for_async(lambda request: request.operation == "GetObject", count=AHEAD)
        asked = len(shelf.ranges("a.csv"))
        shelf.server.release()
    assert asked == AHEAD


@pytest.mark.usefixtures("_small_parts")
async def test_every_range_is_bound_to_the_object_that_was_listed(shelf: Shelf) -> None:
    source = await listed(shelf, content(300_000))
    await streamed(source)
    gets = [request for request in shelf.server.requests if request.operation == "GetObject"]
    assert {request.headers["if-match"].strip('"') for request in gets} == {source.etag}


@pytest.mark.usefixtures("_small_parts")
async def test_an_object_that_is_replaced_between_two_ranges_is_never_mixed(shelf: Shelf) -> None:
    source = await listed(shelf, content(64 * 1024 * (AHEAD + 2)))
    async with Stream(source) as stream:
        assert await stream.read()
        shelf.put("a.csv", b"z" * source.size)
        with pytest.raises(IngestError, match=r"s3://bucket/a\.csv was replaced") as error:
            await drained(stream)
    assert "nothing was mixed" in error.value.hint


async def test_an_object_that_is_gone_is_not_found(shelf: Shelf) -> None:
    source = await listed(shelf, b"x")
    del shelf.server.objects["bucket", "a.csv"]
    with pytest.raises(NotFound):
        await streamed(source)
    with pytest.raises(NotFound):
        await fetch(source)


@pytest.mark.parametrize("how", ["truncate", "reset_after"])
async def test_a_body_that_breaks_off_goes_on(shelf: Shelf, how: str) -> None:
    data = content(3 * MIB)
    source = await listed(shelf, data)
    fault = Fault("GetObject", truncate=MIB) if how == "truncate" else Fault("GetObject", reset_after=MIB)
    shelf.server.script(fault)
    assert await streamed(source) == data


async def test_a_store_that_gives_up_is_an_error_and_no_short_file(shelf: Shelf) -> None:
    source = await listed(shelf, content(3 * MIB))
    shelf.server.script(
        Fault("GetObject", truncate=MIB, times=1), Fault("GetObject", reset_after=0, attempts="all")
    )
    with pytest.raises(S3NetworkError):
        await streamed(source)


@pytest.mark.usefixtures("_small_parts")
async def test_nothing_runs_on_when_the_block_is_left(shelf: Shelf) -> None:
    source = await listed(shelf, content(10 * 64 * 1024))
    before = asyncio.all_tasks()
    async with Stream(source) as stream:
        await stream.read()
    assert asyncio.all_tasks() == before


async def test_what_was_looked_at_is_read_once(shelf: Shelf) -> None:
    stream = Stream(await listed(shelf, b"abc"))
    async with stream:
        assert (bytes(await stream.head()), stream.taken) == (b"abc", 0)
        assert (bytes(await stream.head()), bytes(await stream.read()), stream.taken) == (b"abc", b"abc", 3)
        assert (bytes(await stream.read()), bytes(await stream.head())) == (b"", b"")


async def test_a_range_is_fetched_alone(shelf: Shelf) -> None:
    source = await listed(shelf, b"0123456789")
    assert bytes(await fetch(source, ByteRange(2, 5))) == b"234"
    assert bytes(await fetch(source)) == b"0123456789"
