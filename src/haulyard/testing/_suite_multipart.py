"""Conformance: multipart uploads, where they are declared."""

# ruff: noqa: S101 -- these are tests, and assert is how pytest asserts

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

import pytest

from haulyard.checksums import compute
from haulyard.errors import IntegrityError, NotFound, PreconditionFailed, StoreError, Unsupported
from haulyard.models import ByteRange, CopySource, PartInfo, PutOptions
from haulyard.testing._suite_base import Source, SuiteBase, keys_of, read, require

if TYPE_CHECKING:
    from haulyard.stores.base import Store


class MultipartSuite(SuiteBase):
    """An object of parts appears whole, or not at all."""

    async def test_an_object_is_made_of_its_parts(self, store: Store, prefix: str) -> None:
        require(store, "multipart")
        key, size = prefix + "k", store.capabilities.min_part_size
        options = PutOptions(content_type="text/x-suite", metadata={"colour": "blue"})
        upload = await store.create_multipart(key, options)
        last = await store.put_part(key, upload, 3, b"end")
        first = await store.put_part(key, upload, 1, b"1" * size)
        second = await store.put_part(key, upload, 2, Source([b"2" * (size // 2), b"2" * (size - size // 2)]))
        assert (first.number, first.size, last.size) == (1, size, 3)
        with pytest.raises(NotFound):
            await store.head(key)
        result = await store.complete_multipart(key, upload, [first, second, last])
        head = await store.head(key)
        assert (head.size, head.etag) == (2 * size + 3, result.etag or head.etag)
        assert (head.content_type, head.metadata["colour"]) == ("text/x-suite", "blue")
        assert await read(store, key) == b"1" * size + b"2" * size + b"end"
        assert [found async for found in store.list_uploads(prefix)] == []

    async def test_a_part_written_again_replaces_the_first(self, store: Store, prefix: str) -> None:
        require(store, "multipart")
        key = prefix + "k"
        upload = await store.create_multipart(key)
        old = await store.put_part(key, upload, 1, b"old")
        new = await store.put_part(key, upload, 1, b"newer")
        assert old.etag != new.etag
        await store.complete_multipart(key, upload, [new])
        assert await read(store, key) == b"newer"

    async def test_a_part_that_was_replaced_is_not_listed(self, store: Store, prefix: str) -> None:
        require(store, "multipart")
        key = prefix + "k"
        upload = await store.create_multipart(key)
        await store.put_part(key, upload, 1, b"old")
        new = await store.put_part(key, upload, 1, b"newer")
        listed = [part async for part in store.list_parts(key, upload)]
        await store.abort_multipart(key, upload)
        assert [(part.number, part.etag, part.size) for part in listed] == [(1, new.etag, 5)]

    async def test_parts_and_uploads_are_listed_until_the_upload_is_given_up(
        self, store: Store, prefix: str
    ) -> None:
        require(store, "multipart")
        keys = [prefix + "a", prefix + "b"]
        uploads = [await store.create_multipart(key) for key in keys]
        for number in (2, 1, 5):
            await store.put_part(keys[0], uploads[0], number, b"x" * number)
        listed = [part async for part in store.list_parts(keys[0], uploads[0])]
        assert [(part.number, part.size) for part in listed] == [(1, 1), (2, 2), (5, 5)]
        found = [upload async for upload in store.list_uploads(prefix)]
        assert {(upload.key, upload.upload_id) for upload in found} == set(zip(keys, uploads, strict=True))
        assert all(upload.initiated.tzinfo is UTC for upload in found)
        assert await keys_of(store, prefix) == []
        for key, upload in zip(keys, uploads, strict=True):
            await store.abort_multipart(key, upload)
            await store.abort_multipart(key, upload)
        assert [upload async for upload in store.list_uploads(prefix)] == []
        with pytest.raises(NotFound):
            _ = [part async for part in store.list_parts(keys[0], uploads[0])]
        assert await keys_of(store, prefix) == []

    async def test_an_unknown_upload_is_not_found(self, store: Store, prefix: str) -> None:
        require(store, "multipart")
        key = prefix + "k"
        upload = await store.create_multipart(key)
        part = await store.put_part(key, upload, 1, b"x")
        await store.abort_multipart(key, upload)
        with pytest.raises(NotFound):
            await store.put_part(key, upload, 1, b"x")
        with pytest.raises(NotFound):
            await store.complete_multipart(key, upload, [part])

    async def test_a_part_that_is_not_the_one_written_completes_nothing(
        self, store: Store, prefix: str
    ) -> None:
        require(store, "multipart")
        key = prefix + "k"
        upload = await store.create_multipart(key)
        part = await store.put_part(key, upload, 1, b"x")
        wrong = PartInfo(1, "0123456789abcdef0123456789abcdef", 1)
        for parts in ([wrong], [part, PartInfo(2, part.etag, 1)]):
            with pytest.raises(StoreError):
                await store.complete_multipart(key, upload, parts)
        with pytest.raises(NotFound):
            await store.head(key)
        await store.abort_multipart(key, upload)

    async def test_completing_obeys_conditions(self, store: Store, prefix: str) -> None:
        require(store, "multipart", "conditional_put")
        key = prefix + "k"
        upload = await store.create_multipart(key)
        part = await store.put_part(key, upload, 1, b"late")
        await store.put(key, b"early")
        with pytest.raises(PreconditionFailed):
            await store.complete_multipart(key, upload, [part], PutOptions(if_none_match="*"))
        assert await read(store, key) == b"early"
        await store.abort_multipart(key, upload)

    async def test_the_checksum_of_the_whole_is_checked_and_kept(self, store: Store, prefix: str) -> None:
        require(store, "multipart", "checksums")
        key, size = prefix + "k", store.capabilities.min_part_size
        whole = compute("CRC64NVME", b"1" * size + b"2")
        upload = await store.create_multipart(key)
        parts = [
            await store.put_part(key, upload, 1, b"1" * size),
            await store.put_part(key, upload, 2, b"2"),
        ]
        if self.checks_checksums:
            wrong = PutOptions(checksum=compute("CRC64NVME", b"other"))
            with pytest.raises(IntegrityError):
                await store.complete_multipart(key, upload, parts, wrong)
        await store.complete_multipart(key, upload, parts, PutOptions(checksum=whole))
        assert whole in (await store.head(key)).checksums
        assert await read(store, key) == b"1" * size + b"2"

    async def test_a_part_is_copied_from_a_range(self, store: Store, prefix: str) -> None:
        require(store, "multipart", "copy_part")
        key, size = prefix + "k", store.capabilities.min_part_size
        data = bytes(range(256)) * (2 * size // 256 + 4)
        source = CopySource("", prefix + "source", etag=(await store.put(prefix + "source", data)).etag)
        upload = await store.create_multipart(key)
        parts = [
            await store.copy_part(key, upload, 1, source, ByteRange(0, size)),
            await store.copy_part(key, upload, 2, source, ByteRange(size, len(data))),
            await store.put_part(key, upload, 3, b"own"),
        ]
        assert [part.size for part in parts] == [size, len(data) - size, 3]
        await store.complete_multipart(key, upload, parts)
        assert await read(store, key) == data + b"own"

    async def test_multipart_that_is_not_declared_is_refused(self, store: Store, prefix: str) -> None:
        if store.capabilities.multipart:
            pytest.skip("it is declared")
        key, part = prefix + "k", PartInfo(1, "etag", 1)
        for call in (
            store.create_multipart(key),
            store.put_part(key, "upload", 1, b"x"),
            store.copy_part(key, "upload", 1, CopySource("", key), ByteRange(0, 1)),
            store.complete_multipart(key, "upload", [part]),
            store.abort_multipart(key, "upload"),
        ):
            with pytest.raises(Unsupported):
                await call
        with pytest.raises(Unsupported):
            _ = [found async for found in store.list_parts(key, "upload")]
        with pytest.raises(Unsupported):
            _ = [found async for found in store.list_uploads(prefix)]
