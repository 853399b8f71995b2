"""Conformance: whole objects, ranges, bodies, keys and deletes."""

# ruff: noqa: S101, PLR2004 -- these are tests: assert is how pytest asserts, and numbers are the point

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from haulyard.checksums import compute
from haulyard.errors import IntegrityError, NotFound, SourceChanged, StoreError, UnsafeName, Unsupported
from haulyard.models import ByteRange, Checksum, DeleteItem, GetOptions, PutOptions
from haulyard.testing._suite_base import BrokenSource, Source, SuiteBase, keys_of, read, require

if TYPE_CHECKING:
    from haulyard.models.body import Body
    from haulyard.stores.base import Store

_ORDINARY_KEYS = [
    "plain.txt",
    "with space",
    "plus+and%20percent%",
    "ünïcödé",
    "日本語/ファイル",
    "😀",
    "q?u=e#r;y&amp;<>\"'",
    "=equals@at:colon,comma$",
    "~tilde!(paren)*star",
    "deep/er/and/deeper/still",
    "..hidden",
    "e\u0301-decomposed",
]
_ODD_KEYS = ["a//b", "/a", "../a", "a/../b", "./a", "a/.", "a/", ".", "back\\slash"]


class ObjectSuite(SuiteBase):
    """What every store does with single objects."""

    async def test_what_was_put_is_what_get_and_head_tell(self, store: Store, prefix: str) -> None:
        key = prefix + "k"
        before = datetime.now(UTC) - timedelta(minutes=5)
        result = await store.put(key, b"hello")
        head = await store.head(key)
        assert (head.key, head.size, head.etag) == (key, 5, result.etag)
        assert result.etag
        assert '"' not in result.etag
        assert head.last_modified is not None
        assert before < head.last_modified < datetime.now(UTC) + timedelta(minutes=5)
        async with await store.get(key) as reader:
            assert reader.head.size == 5
            assert reader.head.etag == result.etag
            assert reader.range == ByteRange(0, 5)
            assert await reader.read() == b"hello"

    async def test_an_empty_object_is_an_object(self, store: Store, prefix: str) -> None:
        await store.put(prefix + "empty", b"")
        assert (await store.head(prefix + "empty")).size == 0
        assert await read(store, prefix + "empty") == b""
        async with await store.get(prefix + "empty") as reader:
            assert [chunk async for chunk in reader.chunks()] == []
        assert await keys_of(store, prefix) == ["empty"]

    async def test_chunks_are_the_bytes_in_order(self, store: Store, prefix: str) -> None:
        data = bytes(range(256)) * 12_000
        await store.put(prefix + "k", data)
        async with await store.get(prefix + "k") as reader:
            assert b"".join([bytes(chunk) async for chunk in reader.chunks()]) == data
        async with await store.get(prefix + "k") as reader:
            assert await reader.read() == data

    async def test_a_reader_may_be_closed_early_and_twice(self, store: Store, prefix: str) -> None:
        await store.put(prefix + "k", bytes(3_000_000))
        reader = await store.get(prefix + "k")
        chunks = reader.chunks()
        assert len(await anext(chunks)) > 0
        await reader.close()
        await reader.close()
        assert await read(store, prefix + "k") == bytes(3_000_000)

    @pytest.mark.parametrize(
        ("asked", "expected"),
        [
            (ByteRange(0, 1), (0, 1)),
            (ByteRange(3, 7), (3, 7)),
            (ByteRange(7), (7, 10)),
            (ByteRange(0), (0, 10)),
            (ByteRange(9, 10), (9, 10)),
            (ByteRange(5, 1_000), (5, 10)),
            (ByteRange(-3), (7, 10)),
            (ByteRange(-100), (0, 10)),
        ],
    )
    async def test_a_range_is_read_exactly(
        self, store: Store, prefix: str, asked: ByteRange, expected: tuple[int, int]
    ) -> None:
        await store.put(prefix + "k", b"0123456789")
        async with await store.get(prefix + "k", GetOptions(range=asked)) as reader:
            assert reader.range == ByteRange(*expected)
            assert reader.head.size == 10
            assert await reader.read() == b"0123456789"[slice(*expected)]

    @pytest.mark.parametrize("asked", [ByteRange(10), ByteRange(10, 12), ByteRange(99), ByteRange(4, 4)])
    async def test_a_range_of_nothing_is_refused(self, store: Store, prefix: str, asked: ByteRange) -> None:
        await store.put(prefix + "k", b"0123456789")
        with pytest.raises(StoreError) as caught:
            await store.get(prefix + "k", GetOptions(range=asked))
        assert caught.value.code == "InvalidRange"

    @pytest.mark.parametrize("asked", [ByteRange(0), ByteRange(0, 5), ByteRange(-5)])
    async def test_an_empty_object_answers_a_range_from_its_start(
        self, store: Store, prefix: str, asked: ByteRange
    ) -> None:
        await store.put(prefix + "empty", b"")
        async with await store.get(prefix + "empty", GetOptions(range=asked)) as reader:
            assert await reader.read() == b""

    async def test_a_second_put_replaces_the_object(self, store: Store, prefix: str) -> None:
        first = await store.put(prefix + "k", b"first")
        second = await store.put(prefix + "k", b"second")
        assert first.etag != second.etag
        assert await read(store, prefix + "k") == b"second"
        assert await keys_of(store, prefix) == ["k"]

    async def test_what_is_not_there_is_not_found(self, store: Store, prefix: str) -> None:
        for call in (store.head, store.get, store.attributes):
            with pytest.raises(NotFound) as caught:
                await call(prefix + "absent")
            assert caught.value.key == prefix + "absent"

    @pytest.mark.parametrize("name", _ORDINARY_KEYS)
    async def test_a_key_of_any_characters_is_kept_as_it_is(
        self, store: Store, prefix: str, name: str
    ) -> None:
        key = prefix + name
        await store.put(key, name.encode())
        assert (await store.head(key)).key == key
        assert await read(store, key) == name.encode()
        assert await keys_of(store, prefix) == [name]
        assert (await store.delete_many([DeleteItem(key)]))[0].error is None
        assert await keys_of(store, prefix) == []

    @pytest.mark.parametrize("name", _ODD_KEYS)
    async def test_a_key_that_paths_cannot_express_is_kept_or_refused(
        self, store: Store, prefix: str, name: str
    ) -> None:
        if not self.flat_keys:
            pytest.skip("the server behind this store rewrites such keys")
        key = prefix + name
        with suppress(UnsafeName):
            await store.put(key, b"odd")
            assert await keys_of(store, prefix) == [name]
            assert await read(store, key) == b"odd"
            await store.delete(key)
        assert await keys_of(store, prefix) == []

    @pytest.mark.parametrize(
        "body",
        [b"abc", bytearray(b"abc"), memoryview(b"xabcx")[1:4], Source([b"a", b"bc"])],
        ids=["bytes", "bytearray", "memoryview", "source"],
    )
    async def test_any_kind_of_body_is_written(self, store: Store, prefix: str, body: Body) -> None:
        await store.put(prefix + "k", body)
        assert await read(store, prefix + "k") == b"abc"

    async def test_a_large_source_is_written(self, store: Store, prefix: str) -> None:
        chunks = [bytes([number]) * 300_000 for number in range(8)]
        await store.put(prefix + "k", Source(chunks))
        assert await read(store, prefix + "k") == b"".join(chunks)

    @pytest.mark.parametrize("size", [999_999, 1_000_001], ids=["longer", "shorter"])
    async def test_a_source_of_another_size_than_announced_writes_nothing(
        self, store: Store, prefix: str, size: int
    ) -> None:
        await store.put(prefix + "k", b"old")
        with pytest.raises(SourceChanged):
            await store.put(prefix + "k", Source([bytes(500_000)] * 2, size))
        assert await read(store, prefix + "k") == b"old"

    async def test_a_source_that_breaks_writes_nothing(self, store: Store, prefix: str) -> None:
        await store.put(prefix + "k", b"old")
        with pytest.raises(OSError, match="the source broke"):
            await store.put(prefix + "k", BrokenSource([bytes(400_000)] * 2, 1_000_000))
        assert await read(store, prefix + "k") == b"old"
        assert await keys_of(store, prefix) == ["k"]

    async def test_content_that_is_not_what_was_promised_is_not_written(
        self, store: Store, prefix: str
    ) -> None:
        if not self.checks_checksums:
            pytest.skip("the server behind this store does not check")
        wrong = Checksum("CRC64NVME", compute("CRC64NVME", b"other").value)
        with pytest.raises(IntegrityError):
            await store.put(prefix + "k", b"content", PutOptions(checksum=wrong))
        with pytest.raises(NotFound):
            await store.head(prefix + "k")

    @pytest.mark.parametrize("algorithm", ["CRC64NVME", "CRC32", "CRC32C", "SHA256", "SHA1"])
    async def test_content_that_is_what_was_promised_is_written(
        self, store: Store, prefix: str, algorithm: str
    ) -> None:
        checksum = compute(algorithm, b"content")
        await store.put(prefix + "k", b"content", PutOptions(checksum=checksum))
        head = await store.head(prefix + "k")
        assert await read(store, prefix + "k") == b"content"
        if store.capabilities.checksums:
            assert checksum in head.checksums

    async def test_readers_see_the_old_object_until_the_new_one_is_whole(
        self, store: Store, prefix: str
    ) -> None:
        await store.put(prefix + "k", b"old")
        source = Source([bytes(300_000)] * 4, pause=0.001)
        write = asyncio.ensure_future(store.put(prefix + "k", source))
        await source.started.wait()
        assert await read(store, prefix + "k") in {b"old", bytes(1_200_000)}
        await write
        assert await read(store, prefix + "k") == bytes(1_200_000)

    async def test_an_object_replaced_while_it_is_read_is_never_mixed(
        self, store: Store, prefix: str
    ) -> None:
        old, new = b"o" * 6_000_000, b"n" * 6_000_000
        await store.put(prefix + "k", old)
        async with await store.get(prefix + "k") as reader:
            chunks = reader.chunks()
            seen = [bytes(await anext(chunks))]
            await store.put(prefix + "k", new)
            with suppress(StoreError):
                seen += [bytes(chunk) async for chunk in chunks]
                assert b"".join(seen) == old
        assert set(b"".join(seen)) == set(b"o")

    async def test_a_cancelled_write_never_overwrites_a_later_one(self, store: Store, prefix: str) -> None:
        slow = Source([b"1" * 300_000] * 20, pause=0.01)
        first = asyncio.ensure_future(store.put(prefix + "k", slow))
        await slow.started.wait()
        first.cancel()
        with suppress(asyncio.CancelledError):
            await first
        await store.put(prefix + "k", b"second")
        assert await read(store, prefix + "k") == b"second"
        await asyncio.wait_for(slow.ended.wait(), 30)
        assert await read(store, prefix + "k") == b"second"

    async def test_deleting_removes_and_forgives_absence(self, store: Store, prefix: str) -> None:
        await store.put(prefix + "k", b"x")
        assert (await store.delete(prefix + "k")).error is None
        with pytest.raises(NotFound):
            await store.head(prefix + "k")
        assert (await store.delete(prefix + "k")).key == prefix + "k"

    async def test_many_are_deleted_with_an_outcome_each_in_order(self, store: Store, prefix: str) -> None:
        for number in (0, 500, 1_100):
            await store.put(f"{prefix}{number}", b"x")
        await store.put(prefix + "kept", b"x")
        items = [DeleteItem(f"{prefix}{number}") for number in range(1_101)]
        outcomes = await store.delete_many(items)
        assert [outcome.key for outcome in outcomes] == [item.key for item in items]
        assert all(outcome.error is None for outcome in outcomes)
        assert await keys_of(store, prefix) == ["kept"]

    async def test_deleting_nothing_is_nothing(self, store: Store) -> None:
        assert await store.delete_many([]) == []

    async def test_metadata_is_kept_or_refused(self, store: Store, prefix: str) -> None:
        options = PutOptions(
            content_type="text/x-suite",
            content_encoding="identity",
            content_disposition='attachment; filename="a b"',
            content_language="de",
            cache_control="max-age=60",
            metadata={"Colour": "blue", "empty": ""},
        )
        if not store.capabilities.metadata:
            with pytest.raises(Unsupported):
                await store.put(prefix + "k", b"x", options)
            with pytest.raises(NotFound):
                await store.head(prefix + "k")
            return
        await store.put(prefix + "k", b"x", options)
        head = await store.head(prefix + "k")
        assert head.content_type == "text/x-suite"
        assert head.content_disposition == 'attachment; filename="a b"'
        assert head.content_language == "de"
        assert head.cache_control == "max-age=60"
        assert head.metadata["colour"] == "blue"
        async with await store.get(prefix + "k") as reader:
            assert reader.head.metadata == head.metadata

    async def test_checksums_are_told_where_they_are_declared(self, store: Store, prefix: str) -> None:
        require(store, "checksums")
        await store.put(prefix + "k", b"content")
        assert compute("CRC64NVME", b"content") in (await store.head(prefix + "k")).checksums

    async def test_names_tell_stores_apart(self, store: Store) -> None:
        assert store.name
        assert store.identity
        await store.close()
        await store.close()
