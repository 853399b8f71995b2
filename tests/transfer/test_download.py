"""Objects into files, which get their names only when they are complete and verified."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from tests.transfer.stumbling import Stumbling, always, at

from haulyard.checksums import compute
from haulyard.errors import (
    AccessDenied,
    IntegrityError,
    NotFound,
    PreconditionFailed,
    S3NetworkError,
    SourceChanged,
    StoreError,
    UnsafeName,
)
from haulyard.events import BytesMoved, Event
from haulyard.models import Checksum, GetOptions, ObjectHead
from haulyard.stores.base import GET
from haulyard.stores.local import LocalStore
from haulyard.stores.memory import MemoryReader, MemoryStore
from haulyard.transfer.download import Downloader
from haulyard.transfer.items import Item, Job
from haulyard.transfer.options import TransferOptions

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from haulyard.events import TransferDone

pytestmark = pytest.mark.anyio

KIB, MIB = 1024, 1024**2
#: Three parts of the smallest size that S3 has.
PART = 5 * MIB
LARGE = bytes(range(256)) * (12 * MIB // 256)


class Down:
    """Downloads objects into one directory."""

    def __init__(self, root: Path, store: Stumbling) -> None:
        self.root = root
        self.store = store
        self.events: list[Event] = []
        self.options = TransferOptions(part_size=PART, part_concurrency=1)

    async def __call__(
        self, key: str = "k", target: str = "", size: int = -1, **options: Any
    ) -> TransferDone:
        down = Downloader(
            self.store, LocalStore(self.root), replace(self.options, **options), self.events.append
        )
        return await down(Job(Item(key, size), target or key))

    async def fails(self, error: type[BaseException], **words: Any) -> BaseException:
        with pytest.raises(error) as caught:
            await self(**words)
        return caught.value

    @property
    def files(self) -> list[str]:
        return sorted(os.listdir(self.root)) if self.root.exists() else []

    def content(self, name: str = "k") -> bytes:
        return (self.root / name).read_bytes()

    @property
    def moved(self) -> int:
        return sum(event.size for event in self.events if isinstance(event, BytesMoved))


@pytest.fixture
def store() -> Stumbling:
    return Stumbling()


@pytest.fixture
def down(tmp_path: Path, store: Stumbling) -> Down:
    return Down(tmp_path / "root", store)


@pytest.mark.parametrize(
    "size",
    [0, 1, 256 * KIB + 1, MIB - 1, MIB, MIB + 1, 8 * MIB - 1, 8 * MIB, 8 * MIB + 1, 16 * MIB],
)
@pytest.mark.parametrize("known", [True, False])
async def test_objects_of_every_size_arrive_byte_for_byte(
    down: Down, store: Stumbling, size: int, known: bool
) -> None:
    content = (bytes(range(251)) * (size // 251 + 1))[:size]
    await store.put("k", content)
    done = await down(target="in/file", size=size if known else -1, part_size=0)
    assert down.content("in/file") == content
    assert os.listdir(down.root / "in") == ["file"]
    head = await store.head("k")
    assert head.last_modified is not None
    assert os.stat(down.root / "in/file").st_mtime == int(head.last_modified.timestamp())
    assert (done.action, done.size, done.verified) == ("download", size, "checksum")
    assert (done.source, done.source_etag) == ("memory://bucket/k", head.etag)


async def test_a_version_is_read_where_one_is_named(tmp_path: Path) -> None:
    store = MemoryStore(versioned=True)
    for content in (b"old", LARGE, b"new"):
        await store.put("k", content)
    (page,) = [page async for page in store.list_versions()]
    ids = [version.version_id for version in page.versions]
    down = Downloader(store, LocalStore(tmp_path), TransferOptions(part_size=PART), lambda event: None)
    for version_id, content in zip(ids, (b"new", LARGE, b"old"), strict=True):
        await down(Job(Item("k", version_id=version_id), "k"))
        assert (tmp_path / "k").read_bytes() == content


@pytest.mark.parametrize("key", ["../up", "/absolute", "a//b", "a/./b", "a/", "nul\0", "x" * 300, ".."])
async def test_a_name_that_is_no_file_costs_no_request(down: Down, store: Stumbling, key: str) -> None:
    await down.fails(UnsafeName, key="k", target=key)
    assert not store.calls
    assert down.files == []


async def test_what_was_there_stays_until_all_has_arrived(down: Down, store: Stumbling) -> None:
    down.root.mkdir()
    (down.root / "k").write_bytes(b"before")
    await store.put("k", LARGE)
    store.before["get"] = at(3, S3NetworkError("no answer"))
    await down.fails(S3NetworkError, size=len(LARGE))
    assert down.content() == b"before"
    store.before.clear()
    await down()
    assert down.content() == LARGE
    assert down.files == ["k"]


class TestContinuing:
    """A large download that was interrupted."""

    async def break_off(self, down: Down, after: int = 2) -> None:
        down.store.before["get"] = at(after + 1, S3NetworkError("no answer"))
        await down.fails(S3NetworkError, size=len(LARGE))
        (part,) = down.files
        assert part.startswith(".haul-")
        down.store.before.clear()
        down.store.calls.clear()
        down.events.clear()

    async def test_only_missing_ranges_are_read(self, down: Down, store: Stumbling) -> None:
        await store.put("k", LARGE)
        await self.break_off(down)
        done = await down(size=len(LARGE))
        assert store.calls["get"] == 1
        assert (down.content(), done.verified, down.moved) == (LARGE, "checksum", len(LARGE))
        assert down.files == ["k"]

    async def test_an_object_that_was_replaced_is_read_anew(self, down: Down, store: Stumbling) -> None:
        await store.put("k", LARGE)
        await self.break_off(down)
        await store.put("k", LARGE[::-1])
        # What was begun over the leftovers can be continued as well.
        await self.break_off(down, after=1)
        await down(size=len(LARGE))
        assert store.calls["get"] == 2
        assert down.content() == LARGE[::-1]

    @pytest.mark.parametrize("size", [0, 100, MIB, 3 * MIB, 30 * MIB])
    async def test_an_object_of_another_size_takes_the_file_over(
        self, down: Down, store: Stumbling, size: int
    ) -> None:
        await store.put("k", LARGE)
        await self.break_off(down)
        await store.put("k", b"n" * size)
        await down(size=size)
        assert down.content() == b"n" * size
        assert down.files == ["k"]

    @pytest.mark.parametrize("size", [0, 100])
    async def test_an_object_that_shrank_since_it_was_listed_is_what_it_is(
        self, down: Down, store: Stumbling, size: int
    ) -> None:
        await store.put("k", b"n" * size)
        done = await down(size=len(LARGE))
        assert (down.content(), done.size, done.verified) == (b"n" * size, size, "checksum")
        assert store.calls["get"] == (1 if size else 0)

    async def test_an_object_that_is_gone_leaves_nothing(self, down: Down, store: Stumbling) -> None:
        await store.put("k", LARGE)
        await self.break_off(down)
        await store.delete("k")
        await down.fails(NotFound, size=len(LARGE))
        assert down.files == []

    async def test_a_cancelled_download_is_continued(self, down: Down, store: Stumbling) -> None:
        await store.put("k", LARGE)
        entered = asyncio.Event()

        async def wait(count: int) -> None:
            if count == 3:
                entered.set()
                await asyncio.Event().wait()

        store.before["get"] = wait
        task = asyncio.ensure_future(down(size=len(LARGE)))
        await entered.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        store.before.clear()
        store.calls.clear()
        await down(size=len(LARGE))
        assert store.calls["get"] == 1
        assert down.content() == LARGE

    async def test_before_anything_has_arrived_nothing_is_kept(self, down: Down, store: Stumbling) -> None:
        await store.put("k", LARGE)
        store.before["get"] = always(AccessDenied("denied"))
        await down.fails(AccessDenied, size=len(LARGE))
        assert down.files == []
        store.before = {"head": always(S3NetworkError("no answer"))}
        await down.fails(S3NetworkError, size=len(LARGE))
        assert down.files == []


def _replace(store: Stumbling, content: Callable[[int], bytes], *numbers: int) -> Callable[[int], Any]:
    async def hook(count: int) -> None:
        if count in numbers:
            await MemoryStore.put(store, "k", content(count))

    return hook


async def test_an_object_that_is_replaced_once_is_read_anew_and_never_mixed(
    down: Down, store: Stumbling
) -> None:
    await store.put("k", LARGE)
    store.before["get"] = _replace(store, lambda count: LARGE[::-1], 2)
    await down(size=len(LARGE))
    assert down.content() == LARGE[::-1]
    assert down.files == ["k"]
    # What had arrived of the first is taken back.
    assert down.moved == len(LARGE)


async def test_an_object_that_is_replaced_again_and_again_is_given_up(down: Down, store: Stumbling) -> None:
    await store.put("k", LARGE)
    store.before["get"] = _replace(store, lambda count: LARGE[count:] + LARGE[:count], 2, 4)
    error = await down.fails(SourceChanged, size=len(LARGE))
    assert "memory://bucket/k was replaced while it was read" in str(error)
    assert down.files == []


class Heedless(Stumbling):
    """Accepts If-Match and ignores it, as some stores do."""

    async def get(self, key: str, options: GetOptions = GET) -> MemoryReader:
        return await super().get(key, replace(options, if_match=""))


async def test_a_store_that_ignores_conditions_gets_no_mixed_file_through(tmp_path: Path) -> None:
    store = Heedless()
    down = Down(tmp_path / "root", store)
    await store.put("k", LARGE)
    store.before["get"] = _replace(store, lambda count: LARGE[::-1], 2)
    await down(size=len(LARGE))
    assert down.content() == LARGE[::-1]


class Lying(Stumbling):
    """States checksums of its own."""

    stated: tuple[Checksum, ...] = ()

    async def head(self, key: str, options: GetOptions = GET) -> ObjectHead:
        return (await super().head(key, options))._replace(checksums=self.stated)


async def test_what_does_not_have_its_checksum_gets_no_name(tmp_path: Path) -> None:
    store = Lying()
    down = Down(tmp_path / "root", store)
    await store.put("k", LARGE)
    store.stated = (compute("CRC32C", b"something else"),)
    error = await down.fails(IntegrityError, size=len(LARGE))
    assert "the CRC32C of what arrived is" in str(error)
    assert down.files == []


@pytest.mark.parametrize(
    ("stated", "verified"),
    [
        ((compute("SHA256", LARGE), compute("CRC32", LARGE)), "checksum"),
        ((compute("SHA256", LARGE),), "size only"),
        ((Checksum("CRC32", "AAAAAA==-2", "COMPOSITE"),), "size only"),
        ((), "size only"),
    ],
)
async def test_it_is_said_what_could_be_verified(
    tmp_path: Path, stated: tuple[Checksum, ...], verified: str
) -> None:
    store = Lying()
    down = Down(tmp_path / "root", store)
    await store.put("k", LARGE)
    store.stated = stated
    assert (await down(size=len(LARGE))).verified == verified
    assert down.content() == LARGE


async def test_a_composite_checksum_verifies_nothing_of_a_small_object(down: Down, store: Stumbling) -> None:
    await store.put("k", b"small")
    version = store._versions.find("k", "", "test")
    version.head = version.head._replace(checksums=(Checksum("SHA256", "AAAA-2", "COMPOSITE"),))
    assert (await down()).verified == "size only"


@pytest.mark.parametrize("size", [1000, 2 * MIB, len(LARGE)])
async def test_a_full_disk_leaves_nothing(
    down: Down, store: Stumbling, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    await store.put("k", LARGE[:size])
    pwrite, left = os.pwrite, [size // 2]

    def fill(fd: int, data: memoryview, at: int) -> int:
        if not left[0]:
            raise OSError(28, "No space left on device")
        count = pwrite(fd, data[: left[0]], at)
        left[0] -= count
        return count

    monkeypatch.setattr("haulyard.transfer.control.os.pwrite", fill)
    error = await down.fails(StoreError, size=size)
    assert str(error) == f"{down.root}/k: the disk is full"
    assert down.files == []
    monkeypatch.undo()
    await down(size=size)
    assert down.content() == LARGE[:size]


@pytest.mark.parametrize("size", [2 * MIB, 10])
async def test_a_body_that_breaks_leaves_nothing(
    down: Down, store: Stumbling, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    await store.put("k", b"x" * size)

    async def broken(self: MemoryReader) -> Any:
        yield b"x"
        raise IntegrityError("cut short")

    async def read(self: MemoryReader) -> bytes:
        raise IntegrityError("cut short")

    monkeypatch.setattr(MemoryReader, "chunks", broken)
    monkeypatch.setattr(MemoryReader, "read", read)
    await down.fails(IntegrityError, size=size)
    assert down.files == []


@pytest.mark.parametrize("size", [10, len(LARGE)])
async def test_no_clobber_keeps_what_came_meanwhile(down: Down, store: Stumbling, size: int) -> None:
    await store.put("k", LARGE[:size])
    down.root.mkdir()
    store.before["get"] = lambda count: (down.root / "k").write_bytes(b"mine")
    await down.fails(PreconditionFailed, size=size, no_clobber=True)
    assert down.content() == b"mine"
    assert down.files == ["k"]
    # It was read once: that somebody took the name is no reason to read it again.
    assert store.calls["get"] == (1 if size == 10 else 3)


@pytest.mark.parametrize("size", [10, len(LARGE)])
async def test_a_durable_download_waits_for_the_disk(
    down: Down, store: Stumbling, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    await store.put("k", LARGE[:size])
    synced: list[int] = []
    fsync = os.fsync

    def sync(fd: int) -> None:
        synced.append(fd)
        fsync(fd)

    monkeypatch.setattr("haulyard.stores.tree.os.fsync", sync)
    await down(size=size)
    assert synced == []
    os.unlink(down.root / "k")
    await down(size=size, durable=True)
    assert len(synced) == 2
    assert down.content() == LARGE[:size]
