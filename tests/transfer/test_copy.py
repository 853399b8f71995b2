"""Objects from store to store: inside a service, through this machine, and by parts."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from tests.transfer.stumbling import Stumbling, at, lost

from haulyard.checksums import compute
from haulyard.errors import IntegrityError, NotFound, PreconditionFailed, S3NetworkError, SourceChanged
from haulyard.events import BytesMoved, Event
from haulyard.models import Checksum, CopySource, GetOptions, ObjectHead, PutOptions
from haulyard.stores.base import GET
from haulyard.stores.memory import MemoryStore
from haulyard.transfer import copy as copy_module
from haulyard.transfer.copy import Copier
from haulyard.transfer.items import Item, Job
from haulyard.transfer.options import TransferOptions

if TYPE_CHECKING:
    from pathlib import Path

    from haulyard.events import TransferDone

pytestmark = pytest.mark.anyio

PROPERTIES = PutOptions(
    content_type="text/x",
    content_encoding="gzip",
    content_disposition="inline",
    content_language="de",
    cache_control="no-cache",
    expires="Thu, 01 Jan 2032 00:00:00 GMT",
    metadata={"colour": "blue"},
    tags={"team": "data"},
)
CONTENT = bytes(range(250)) * 2
MIB = 1024**2
#: Five parts where parts are chosen by size, which is in whole MiB.
LARGE = bytes(range(256)) * (5 * MIB // 256)


class Service(Stumbling):
    """A bucket of a service that has several."""

    def __init__(self, bucket: str, buckets: dict[str, Service], **capabilities: Any) -> None:
        super().__init__(bucket, **capabilities)
        self.buckets = buckets
        buckets[bucket] = self
        self.service = f"service {id(buckets)}"

    def _source(self, source: CopySource, operation: str) -> Any:
        return MemoryStore._source(self.buckets[source.bucket], source, operation)


def service(**capabilities: Any) -> tuple[Service, Service]:
    buckets: dict[str, Service] = {}
    return Service("from", buckets, **capabilities), Service("to", buckets, **capabilities)


class Copying:
    """Copies between two stores."""

    def __init__(self, state: Path, source: Stumbling, destination: Stumbling) -> None:
        self.state = state
        self.source = source
        self.destination = destination
        self.events: list[Event] = []
        self.options = TransferOptions(state_dir=str(state), part_size=100, part_concurrency=1)
        self.copier: Copier | None = None

    async def __call__(self, item: Item | None = None, **options: Any) -> TransferDone:
        options_ = replace(self.options, **options)
        copier = self.copier or Copier(self.source, self.destination, options_, self.events.append)
        if item is None:
            item = await self.listed()
        return await copier(Job(item, "copy"))

    async def listed(self) -> Item:
        (page,) = [page async for page in self.source.list("k")]
        return Item.from_info(page.objects[0])

    async def fails(
        self, error: type[BaseException], item: Item | None = None, **options: Any
    ) -> BaseException:
        with pytest.raises(error) as caught:
            await self(item, **options)
        return caught.value

    async def is_in_place(self, content: bytes = CONTENT) -> bool:
        return await self.destination.content("copy") == content and not await self.leftovers()

    async def leftovers(self) -> list[str]:
        folder = self.state / "uploads"
        return [*(os.listdir(folder) if folder.exists() else ()), *await self.destination.open_uploads()]


@pytest.fixture
def inside(tmp_path: Path) -> Copying:
    return Copying(tmp_path / "state", *service())


@pytest.fixture
def in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Copying:
    # As above the 5 GiB of S3, on a smaller scale.
    monkeypatch.setattr(copy_module, "_COPIED_PART", MIB)
    return Copying(tmp_path / "state", *service(max_put_size=4 * MIB))


@pytest.fixture
def through(tmp_path: Path) -> Copying:
    return Copying(tmp_path / "state", Stumbling("from"), Stumbling("to"))


async def properties_of(store: Stumbling, key: str) -> PutOptions:
    head = await store.head(key)
    return PutOptions(
        content_type=head.content_type,
        content_encoding=head.content_encoding,
        content_disposition=head.content_disposition,
        content_language=head.content_language,
        cache_control=head.cache_control,
        expires=head.expires,
        metadata=head.metadata,
        tags=await store.get_tags(key),
    )


class TestInside:
    """One request, of a service that copies by itself."""

    async def test_a_copy_is_one_request_and_keeps_everything(self, inside: Copying) -> None:
        await inside.source.put("k", CONTENT, PROPERTIES)
        item = await inside.listed()
        inside.source.calls.clear()
        done = await inside(item)
        assert (inside.source.calls, inside.destination.calls) == ({}, {"copy": 1})
        assert await inside.is_in_place()
        assert await properties_of(inside.destination, "copy") == PROPERTIES
        assert (done.action, done.size, done.verified) == ("copy", 500, "checksum")
        assert (done.source, done.destination) == ("memory://from/k", "memory://to/copy")
        assert done.source_etag == item.etag

    @pytest.mark.parametrize("item", [Item("k"), Item("k", 500)])
    async def test_what_no_listing_told_is_asked(self, inside: Copying, item: Item) -> None:
        await inside.source.put("k", CONTENT)
        done = await inside(item)
        assert inside.source.calls["head"] == 1
        assert done.size == 500
        assert done.source_etag == (await inside.source.head("k")).etag
        assert inside.options.part_size < 500
        assert inside.destination.calls["put_part"] == 0

    async def test_an_empty_object_is_copied(self, inside: Copying) -> None:
        await inside.source.put("k", b"")
        await inside()
        assert await inside.is_in_place(b"")

    async def test_an_object_that_was_replaced_since_it_was_listed_is_not_copied(
        self, inside: Copying
    ) -> None:
        await inside.source.put("k", CONTENT)
        item = await inside.listed()
        await inside.source.put("k", b"newer")
        error = await inside.fails(SourceChanged, item)
        assert "memory://from/k was replaced while it was copied" in str(error)

    async def test_properties_are_replaced_where_that_is_asked_for(self, inside: Copying) -> None:
        await inside.source.put("k", CONTENT, PROPERTIES)
        put = PutOptions(content_type="text/y", tags={"a": "b"})
        await inside(put=put, replace_metadata=True, replace_tags=True)
        assert await properties_of(inside.destination, "copy") == put

    async def test_another_etag_proves_nothing(self, inside: Copying) -> None:
        upload = await inside.source.create_multipart("k")
        part = await inside.source.put_part("k", upload, 1, CONTENT)
        await inside.source.complete_multipart("k", upload, [part])
        assert (await inside()).verified == "size only"

    async def test_no_clobber_tells_a_taken_name_from_a_changed_source(self, inside: Copying) -> None:
        await inside.source.put("k", CONTENT)
        item = await inside.listed()
        await inside.source.put("k", b"newer")
        await inside.fails(SourceChanged, item, no_clobber=True)
        await inside.destination.put("copy", b"mine")
        await inside.fails(PreconditionFailed, no_clobber=True)
        assert await inside.destination.content("copy") == b"mine"


@pytest.mark.parametrize(("honoured", "condition"), [(True, "*"), (None, "*"), (False, "")])
async def test_conditions_are_sent_unless_they_are_known_to_be_ignored(
    honoured: bool | None, condition: str
) -> None:
    source, destination = service(conditional_put=honoured, conditional_copy=honoured)
    copier = Copier(source, destination, TransferOptions(no_clobber=True), lambda event: None)
    assert copier._put.if_none_match == copier._copy_options.put.if_none_match == condition


class TestInCopiedParts:
    """More than one request may copy."""

    async def test_properties_and_tags_are_carried_over_and_nothing_is_added(self, in_parts: Copying) -> None:
        await in_parts.source.put("k", LARGE, PROPERTIES)
        done = await in_parts()
        assert in_parts.destination.calls["copy_part"] == 5
        assert await in_parts.is_in_place(LARGE)
        assert await properties_of(in_parts.destination, "copy") == PROPERTIES
        assert (done.size, done.verified) == (5 * MIB, "checksum")
        assert in_parts.events == [BytesMoved("memory://from/k", MIB)] * 5

    async def test_what_is_given_goes_before_what_is_carried_over(self, in_parts: Copying) -> None:
        await in_parts.source.put("k", LARGE, PROPERTIES)
        await in_parts(put=PutOptions(cache_control="private", tags={"a": "b"}))
        expected = replace(PROPERTIES, cache_control="private", tags={"team": "data", "a": "b"})
        assert await properties_of(in_parts.destination, "copy") == expected

    async def test_they_are_replaced_where_that_is_asked_for(self, in_parts: Copying) -> None:
        await in_parts.source.put("k", LARGE, PROPERTIES)
        put = PutOptions(content_type="text/y", tags={"a": "b"})
        await in_parts(put=put, replace_metadata=True, replace_tags=True)
        assert await properties_of(in_parts.destination, "copy") == put

    async def test_a_copy_that_was_killed_goes_on(self, in_parts: Copying) -> None:
        await in_parts.source.put("k", LARGE)
        in_parts.destination.before["copy_part"] = at(4, lost())
        await in_parts.fails(S3NetworkError)
        assert len(await in_parts.leftovers()) == 2
        in_parts.destination.before.clear()
        in_parts.destination.calls.clear()
        await in_parts()
        assert in_parts.destination.calls["copy_part"] == 2
        assert await in_parts.is_in_place(LARGE)

    async def test_a_lost_completion_is_done_again(self, in_parts: Copying) -> None:
        await in_parts.source.put("k", LARGE)
        in_parts.destination.after["complete_multipart"] = at(1, lost())
        await in_parts.fails(S3NetworkError)
        in_parts.destination.after.clear()
        await in_parts()
        assert await in_parts.is_in_place(LARGE)

    async def test_a_source_that_was_replaced_is_copied_anew(self, in_parts: Copying) -> None:
        await in_parts.source.put("k", LARGE)
        in_parts.destination.before["copy_part"] = at(4, lost())
        await in_parts.fails(S3NetworkError)
        in_parts.destination.before.clear()
        await in_parts.source.put("k", LARGE[::-1])
        await in_parts()
        assert await in_parts.is_in_place(LARGE[::-1])

    async def test_a_source_that_was_replaced_since_it_was_listed_is_not_copied(
        self, in_parts: Copying
    ) -> None:
        await in_parts.source.put("k", LARGE)
        item = await in_parts.listed()
        await in_parts.source.put("k", b"")
        await in_parts.fails(SourceChanged, item)
        assert in_parts.destination.calls["create_multipart"] == 0

    async def test_a_source_that_is_replaced_meanwhile_is_not_mixed(self, in_parts: Copying) -> None:
        await in_parts.source.put("k", LARGE)

        async def replace_source(count: int) -> None:
            if count == 3:
                await in_parts.source.put("k", LARGE[::-1])

        in_parts.destination.before["copy_part"] = replace_source
        # Without an ETag in the listing the parts are bound to that of HEAD.
        await in_parts.fails(SourceChanged, Item("k", 5 * MIB))
        assert await in_parts.leftovers() == []
        with pytest.raises(NotFound):
            await in_parts.destination.head("copy")

    async def test_a_copy_with_another_checksum_is_no_copy(self, in_parts: Copying) -> None:
        await in_parts.source.put("k", LARGE)
        version = in_parts.source._versions.find("k", "", "test")
        version.head = version.head._replace(checksums=(compute("CRC64NVME", b"other"),))
        error = await in_parts.fails(IntegrityError)
        assert "that of the copy" in str(error)


class TestThrough:
    """Two services, with this machine between them."""

    async def test_small_objects_go_in_one_request(self, through: Copying) -> None:
        await through.source.put("k", CONTENT, PROPERTIES)
        done = await through(part_size=0)
        assert through.destination.calls == {"put": 1}
        assert await through.is_in_place()
        assert await properties_of(through.destination, "copy") == PROPERTIES
        assert (done.size, done.verified) == (500, "checksum")

    @pytest.mark.parametrize("size", [0, 1, 99, 100, 101, 1000])
    @pytest.mark.parametrize("known", [True, False])
    async def test_objects_of_every_size_arrive_byte_for_byte(
        self, through: Copying, size: int, known: bool
    ) -> None:
        content = (CONTENT * 2)[:size]
        await through.source.put("k", content, PROPERTIES)
        done = await through(None if known else Item("k"))
        assert await through.is_in_place(content)
        assert await properties_of(through.destination, "copy") == PROPERTIES
        assert (done.size, done.verified) == (size, "checksum")
        assert (through.destination.calls["put_part"] > 0) is (size > 100)

    async def test_an_object_that_grew_since_it_was_listed_goes_in_parts(self, through: Copying) -> None:
        await through.source.put("k", b"small")
        item = await through.listed()
        await through.source.put("k", CONTENT)
        await through(item)
        assert await through.is_in_place()

    @pytest.mark.parametrize("size", [0, 50])
    async def test_an_object_that_shrank_since_it_was_listed_goes_in_one_request(
        self, through: Copying, size: int
    ) -> None:
        await through.source.put("k", CONTENT)
        item = await through.listed()
        await through.source.put("k", CONTENT[:size])
        await through(item)
        assert through.destination.calls == {"put": 1}
        assert await through.is_in_place(CONTENT[:size])

    async def test_parts_too_large_to_be_held_are_not_made(self, through: Copying) -> None:
        await through.source.put("k", CONTENT)
        copier = Copier(
            through.source, through.destination, TransferOptions(part_size=1024 * MIB), lambda event: None
        )
        assert copier._part_size == 0
        await copier(Job(await through.listed(), "copy"))
        assert await through.is_in_place()

    async def test_a_copy_that_was_killed_goes_on(self, through: Copying) -> None:
        await through.source.put("k", CONTENT)
        through.source.before["get"] = at(4, S3NetworkError("no answer"))
        await through.fails(S3NetworkError)
        through.source.before.clear()
        through.source.calls.clear()
        await through()
        assert through.source.calls["get"] == 2
        assert await through.is_in_place()

    async def test_a_source_that_is_replaced_meanwhile_is_not_mixed(self, through: Copying) -> None:
        await through.source.put("k", CONTENT)

        async def replace_source(count: int) -> None:
            if count == 3:
                await MemoryStore.put(through.source, "k", CONTENT[::-1])

        through.source.before["get"] = replace_source
        await through.fails(SourceChanged)
        assert await through.leftovers() == []

    @pytest.mark.parametrize("size", [50, 500])
    @pytest.mark.parametrize("algorithm", ["none", "SHA256"])
    async def test_the_checksum_is_the_one_that_was_asked_for(
        self, through: Copying, algorithm: str, size: int
    ) -> None:
        await through.source.put("k", CONTENT[:size])
        await through(algorithm=algorithm)
        assert await through.is_in_place(CONTENT[:size])

    async def test_what_the_stores_state_otherwise_is_size_only(self, through: Copying) -> None:
        through.source = WithoutChecksums("from")
        await through.source.put("k", CONTENT)
        assert (await through()).verified == "size only"

    async def test_composite_checksums_are_not_compared(self, through: Copying) -> None:
        await through.source.put("k", CONTENT)
        version = through.source._versions.find("k", "", "test")
        composite = Checksum("CRC64NVME", "AAAAAAAAAAA=-5", "COMPOSITE")
        version.head = version.head._replace(checksums=(composite,))
        assert (await through()).verified == "size only"

    async def test_a_store_without_etags_is_copied_but_not_continued(self, through: Copying) -> None:
        through.source = WithoutEtags("from")
        await through.source.put("k", CONTENT)
        through.source.before["get"] = at(4, S3NetworkError("no answer"))
        await through.fails(S3NetworkError, Item("k"))
        through.source.before.clear()
        through.destination.calls.clear()
        await through(Item("k"))
        assert through.destination.calls["put_part"] == 5
        assert await through.is_in_place()

    @pytest.mark.parametrize("size", [50, 500])
    async def test_no_clobber_is_a_condition_of_the_write(self, through: Copying, size: int) -> None:
        await through.source.put("k", CONTENT[:size])
        await through.destination.put("copy", b"mine")
        await through.fails(PreconditionFailed, no_clobber=True)
        assert await through.destination.content("copy") == b"mine"
        assert await through.leftovers() == []

    async def test_tags_are_not_asked_for_where_the_other_side_has_none(self, through: Copying) -> None:
        through.destination.capabilities = replace(through.destination.capabilities, tags=False)
        await through.source.put("k", CONTENT, PROPERTIES)
        await through()
        assert through.source.calls["get_tags"] == 0

    async def test_what_is_held_in_memory_is_bounded_for_all_objects_together(
        self, through: Copying, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(copy_module, "HELD", 250)
        under_way = most = 0

        async def hold(count: int) -> None:
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            for _ in range(5):
                await asyncio.sleep(0)
            under_way -= 1

        through.destination.before["put_part"] = through.destination.before["put"] = hold
        for number in range(6):
            await through.source.put(f"k{number}", CONTENT[: 100 if number % 2 else 500])
        copier = Copier(
            through.source,
            through.destination,
            replace(through.options, part_concurrency=8),
            lambda event: None,
        )
        pages = [page async for page in through.source.list("k")]
        jobs = [Job(Item.from_info(info), f"copy of {info.key}") for info in pages[0].objects]
        await asyncio.gather(*map(copier, jobs))
        assert most == 2


class WithoutChecksums(Stumbling):
    """States no checksums of its objects."""

    async def head(self, key: str, options: GetOptions = GET) -> ObjectHead:
        return (await super().head(key, options))._replace(checksums=())


class WithoutEtags(Stumbling):
    """States no ETags, as some old stores."""

    async def head(self, key: str, options: GetOptions = GET) -> ObjectHead:
        return (await super().head(key, options))._replace(etag="")

    def _read(self, key: str, options: GetOptions, operation: str) -> Any:
        version = super()._read(key, options, operation)
        version.head = version.head._replace(etag="")
        return version
