"""Uploads out of a pipe: in one request or in parts, within a budget of memory."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from haulyard.checksums import compute
from haulyard.errors import ConfigError, HaulError, PreconditionFailed, StoreError
from haulyard.events import BytesMoved, Event, ignore
from haulyard.models import PartInfo, PartOptions, PutOptions
from haulyard.models.body import BUFFERS, Body
from haulyard.stores.base import PART, PUT
from haulyard.stores.memory import MemoryStore
from haulyard.transfer import unseekable
from haulyard.transfer.unseekable import UnseekableUpload

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from haulyard.models import PutResult

pytestmark = pytest.mark.anyio


class Watched(MemoryStore):
    """Keeps what it was asked, and lets parts wait at a gate."""

    def __init__(self) -> None:
        super().__init__(min_part_size=1)
        self.parts: list[tuple[int, int, bool]] = []
        self.under_way = self.most_under_way = 0
        self.fail_part = 0

    async def put_part(
        self, key: str, upload_id: str, number: int, body: Body, options: PartOptions = PART
    ) -> PartInfo:
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        for _ in range(10):
            await asyncio.sleep(0)
        try:
            if number == self.fail_part:
                raise StoreError("the part broke", key=key)
            part = await super().put_part(key, upload_id, number, body, options)
        finally:
            self.under_way -= 1
        self.parts.append((number, part.size, not isinstance(body, BUFFERS)))
        return part

    async def uploads(self) -> int:
        return len([upload async for upload in self.list_uploads()])


def source(content: bytes) -> Callable[[memoryview], Awaitable[int]]:
    left = memoryview(content)

    async def fill(view: memoryview) -> int:
        nonlocal left
        await asyncio.sleep(0)
        count = min(len(view), len(left))
        view[:count] = left[:count]
        left = left[count:]
        return count

    return fill


async def upload(
    store: MemoryStore,
    content: bytes,
    *,
    algorithm: str = "CRC64NVME",
    budget: int = 400,
    grows: bool = True,
) -> PutResult:
    events: list[Event] = []
    put = PutOptions(content_type="text/x")
    run = UnseekableUpload(
        source(content),
        store,
        "k",
        put,
        part_size=100,
        algorithm=algorithm,
        emit=events.append,
        budget=budget,
        grows=grows,
    )
    result = await run.run()
    assert run.size == len(content)
    assert sum(event.size for event in events if isinstance(event, BytesMoved)) == len(content)
    return result


async def stored(store: MemoryStore) -> bytes:
    async with await store.get("k") as reader:
        assert reader.head.content_type == "text/x"
        return await reader.read()


@pytest.mark.parametrize("size", [0, 1, 99, 100, 101, 199, 200, 1234])
@pytest.mark.parametrize("algorithm", ["CRC64NVME", "SHA256", "none"])
async def test_the_object_is_what_came_out_of_the_pipe(size: int, algorithm: str) -> None:
    store = Watched()
    content = bytes(index % 251 for index in range(size))
    await upload(store, content, algorithm=algorithm)
    assert await stored(store) == content
    assert await store.uploads() == 0
    assert sorted(count for _, count, _ in store.parts) == sorted(
        [] if size < 100 else [len(content[at : at + 100]) for at in range(0, size, 100)]
    )


async def test_the_checksum_of_the_whole_is_known_without_holding_it() -> None:
    store = Watched()
    content = b"x" * 1234
    result = await upload(store, content)
    assert compute("CRC64NVME", content) in result.checksums


async def test_parts_in_memory_stay_within_the_budget() -> None:
    store = Watched()
    await upload(store, b"x" * 5000, budget=400)
    # One part is being read while the others are sent.
    assert 2 <= store.most_under_way <= 4


async def test_parts_grow_and_large_ones_are_spilled_to_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unseekable, "_GROW_AFTER", 2)
    store = Watched()
    content = bytes(index % 249 for index in range(1500))
    await upload(store, content, budget=300)
    assert await stored(store) == content
    assert sorted(store.parts) == [
        (1, 100, False),
        (2, 100, False),
        (3, 200, True),
        (4, 200, True),
        (5, 400, True),
        (6, 400, True),
        (7, 100, True),
    ]


async def test_parts_have_one_size_where_the_store_wants_that(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unseekable, "_GROW_AFTER", 2)
    store = Watched()
    await upload(store, bytes(550), grows=False)
    assert [size for _, size, _ in sorted(store.parts)] == [100, 100, 100, 100, 100, 50]


async def test_an_upload_that_fails_is_aborted() -> None:
    store = Watched()
    store.fail_part = 3
    with pytest.raises(StoreError, match="the part broke"):
        await upload(store, b"x" * 1000)
    assert await store.uploads() == 0
    with pytest.raises(HaulError):
        await store.head("k")


async def test_an_upload_that_is_cancelled_is_aborted() -> None:
    store = Watched()
    reading = asyncio.Event()
    calls = 0

    async def fill(view: memoryview) -> int:
        nonlocal calls
        calls += 1
        if calls == 2:
            reading.set()
            await asyncio.Event().wait()
        return len(view)

    run = UnseekableUpload(fill, store, "k", PutOptions(), part_size=100, algorithm="none", emit=ignore)
    task = asyncio.create_task(run.run())
    await reading.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await store.uploads() == 0


async def test_an_upload_that_is_cancelled_while_it_is_created_is_aborted() -> None:
    begun, finish = asyncio.Event(), asyncio.Event()

    class Slow(Watched):
        async def create_multipart(self, key: str, options: PutOptions = PUT) -> str:
            upload_id = await super().create_multipart(key, options)
            begun.set()
            await finish.wait()
            return upload_id

    store = Slow()
    task = asyncio.create_task(
        UnseekableUpload(
            source(bytes(30)), store, "key", PutOptions(), part_size=10, algorithm="CRC64NVME", emit=ignore
        ).run()
    )
    await begun.wait()
    task.cancel()
    finish.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await store.uploads() == 0


async def test_conditions_hold_for_both_ways() -> None:
    store = Watched()
    await store.put("k", b"before")
    for size in (10, 1000):
        put = PutOptions(if_none_match="*")
        run = UnseekableUpload(
            source(b"x" * size), store, "k", put, part_size=100, algorithm="none", emit=ignore
        )
        with pytest.raises(PreconditionFailed):
            await run.run()
    assert await store.uploads() == 0


async def test_a_stream_longer_than_the_parts_allow_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Watched()
    from dataclasses import replace

    store.capabilities = replace(store.capabilities, max_parts=3)
    with pytest.raises(StoreError, match="longer than 300 bytes"):
        await upload(store, b"x" * 1000)
    assert await store.uploads() == 0


async def test_a_part_size_that_the_store_does_not_take_is_refused() -> None:
    with pytest.raises(ConfigError, match="min_part_size"):
        UnseekableUpload(
            source(b""),
            MemoryStore(),
            "k",
            PutOptions(),
            part_size=100,
            algorithm="none",
            emit=ignore,
        )
