"""The asynchronous face: in any event loop, in several, with files."""

from __future__ import annotations

import asyncio
import random
import threading
from typing import Any

import pytest

from haulyard.fs import HaulFileSystem

pytestmark = pytest.mark.anyio
DATA = random.Random(9).randbytes(3_000_000)


@pytest.fixture
def awaited(options: dict[str, Any]) -> HaulFileSystem:
    return HaulFileSystem(asynchronous=True, **options)


async def test_calls_are_awaited(awaited: HaulFileSystem, place: str) -> None:
    await awaited._pipe({f"{place}/{number}": bytes([number]) for number in range(20)})
    assert await awaited._ls(place) == sorted(f"{place}/{number}" for number in range(20))
    assert await awaited._cat_file(f"{place}/7") == b"\7"
    assert (await awaited._info(f"{place}/7"))["size"] == 1
    assert [name async for name, _, _ in awaited._walk(place)] == [place]
    await awaited._rm(place, recursive=True)
    assert not await awaited._exists(place)
    await awaited._close()


async def test_one_instance_works_in_any_number_of_loops(awaited: HaulFileSystem, place: str) -> None:
    await awaited._pipe_file(f"{place}/a", b"1")
    found: list[bytes] = []
    thread = threading.Thread(target=lambda: found.append(asyncio.run(awaited._cat_file(f"{place}/a"))))
    thread.start()
    thread.join()
    assert found == [b"1"]
    assert await awaited._cat_file(f"{place}/a") == b"1"


async def test_plain_methods_work_where_a_loop_runs(
    options: dict[str, Any], awaited: HaulFileSystem, place: str
) -> None:
    await awaited._pipe_file(f"{place}/a", b"1")
    assert HaulFileSystem(**options).cat_file(f"{place}/a") == b"1"


async def test_a_file_is_streamed(awaited: HaulFileSystem, place: str) -> None:
    await awaited._pipe_file(f"{place}/a", DATA)
    async with await awaited.open_async(f"{place}/a") as file:
        assert file.size == len(DATA)
        pieces = []
        while piece := await file.read(100_000):
            pieces.append(piece)
            assert file.tell() == sum(map(len, pieces))
        assert b"".join(pieces) == DATA
        assert file.seek(10) == 10
        assert await file.read(5) == DATA[10:15]
        file.seek(-4, 2)
        assert await file.read() == DATA[-4:]
    with pytest.raises(ValueError, match="closed"):
        await file.read()
    with pytest.raises(FileNotFoundError):
        await awaited.open_async(f"{place}/nothing")


async def test_a_file_is_written_and_appears_at_its_end(awaited: HaulFileSystem, place: str) -> None:
    path = f"{place}/a"
    async with await awaited.open_async(path, "wb", content_type="a/b") as file:
        for start in range(0, len(DATA), 500_000):
            await file.write(DATA[start : start + 500_000])
        assert not await awaited._exists(path)
    assert await awaited._cat_file(path) == DATA
    assert (await awaited._info(path))["ContentType"] == "a/b"
    async with await awaited.open_async(path, "ab") as file:
        await file.write(b"more")
    assert (await awaited._info(path))["size"] == len(DATA) + 4
    with pytest.raises(ZeroDivisionError):  # noqa: PT012 -- the block is what is tested
        async with await awaited.open_async(f"{place}/b", "wb") as file:
            await file.write(b"1")
            raise ZeroDivisionError
    assert not await awaited._exists(f"{place}/b")
    with pytest.raises(FileExistsError):
        await awaited.open_async(path, "xb")
    for mode in ("r", "r+b"):
        with pytest.raises(ValueError, match="mode"):
            await awaited.open_async(path, mode)


async def test_a_transaction_is_refused_where_nothing_may_wait(awaited: HaulFileSystem) -> None:
    with pytest.raises(NotImplementedError, match="asynchronous"):
        awaited.transaction.start()


async def test_a_cancelled_write_is_no_write_later(awaited: HaulFileSystem, place: str) -> None:
    task = asyncio.ensure_future(awaited._pipe_file(f"{place}/a", b"old" * 1_000_000))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await awaited._pipe_file(f"{place}/a", b"new")
    assert await awaited._cat_file(f"{place}/a") == b"new"
