"""The dictionary store does what S3 does, down to its ETags."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import pytest

from haulyard.errors import NotFound, StoreError, Unsupported
from haulyard.models import (
    ByteRange,
    CopySource,
    DeleteOptions,
    Encryption,
    GetOptions,
    Grant,
    ListOptions,
    PartInfo,
    PutOptions,
)
from haulyard.stores.memory import MemoryStore

pytestmark = pytest.mark.anyio


async def test_tags_are_made_as_s3_makes_them() -> None:
    store = MemoryStore(min_part_size=1)
    md5 = hashlib.md5(b"content", usedforsecurity=False)
    assert (await store.put("k", b"content")).etag == md5.hexdigest()
    upload = await store.create_multipart("m")
    parts = [await store.put_part("m", upload, number, b"content") for number in (1, 2)]
    result = await store.complete_multipart("m", upload, parts)
    assert result.etag == hashlib.md5(md5.digest() * 2, usedforsecurity=False).hexdigest() + "-2"


async def test_parts_can_be_read_alone() -> None:
    store = MemoryStore(min_part_size=1)
    upload = await store.create_multipart("m")
    parts = [await store.put_part("m", upload, number, b"x" * number) for number in (1, 2, 3)]
    await store.complete_multipart("m", upload, parts)
    async with await store.get("m", GetOptions(part_number=2)) as reader:
        assert (reader.range, await reader.read()) == (ByteRange(1, 3), b"xx")
    assert (await store.head("m")).parts_count == 3
    assert (await store.attributes("m")).parts[2].size == 3
    with pytest.raises(StoreError) as caught:
        await store.get("m", GetOptions(part_number=4))
    assert caught.value.code == "InvalidPartNumber"


async def test_parts_have_to_be_in_order_and_large_enough() -> None:
    store = MemoryStore(min_part_size=2)
    upload = await store.create_multipart("m")
    one, two = [await store.put_part("m", upload, number, b"x") for number in (1, 2)]
    for parts, code in (
        ([], "InvalidPartOrder"),
        ([two, one], "InvalidPartOrder"),
        ([one, one], "InvalidPartOrder"),
        ([one, two], "EntityTooSmall"),
        ([PartInfo(3, "e")], "InvalidPart"),
    ):
        with pytest.raises(StoreError) as caught:
            await store.complete_multipart("m", upload, parts)
        assert caught.value.code == code
    await store.abort_multipart("other", upload)
    assert [part.number async for part in store.list_parts("m", upload)] == [1, 2]


async def test_an_upload_belongs_to_its_key() -> None:
    store = MemoryStore()
    upload = await store.create_multipart("m")
    with pytest.raises(NotFound):
        await store.put_part("other", upload, 1, b"x")


async def test_grants_become_an_acl() -> None:
    store = MemoryStore()
    await store.put("k", b"x", PutOptions(grants={"read-acp": "somebody"}))
    assert Grant("somebody", "READ_ACP") in (await store.get_acl("k")).grants
    with pytest.raises(StoreError) as caught:
        await store.set_acl("k", "unknown")
    assert caught.value.code == "InvalidArgument"


async def test_what_it_does_not_have_is_refused() -> None:
    store = MemoryStore()
    await store.put("k", b"x")
    for call in (
        store.put("k", b"x", PutOptions(encryption=Encryption("AES256"))),
        store.put("k", b"x", PutOptions(website_redirect="/")),
        store.get("k", GetOptions(encryption=Encryption("AES256"))),
        store.copy(CopySource("other", "k"), "new"),
        store.restore("k"),
        store.presign("GET", "k", 60),
    ):
        with pytest.raises(Unsupported):
            await call


async def test_versions_have_an_order_and_ids_of_their_own() -> None:
    store = MemoryStore(versioned=True, clock=lambda: datetime(2024, 1, 1, tzinfo=UTC))
    for key in ("a", "b/1", "b/2"):
        await store.put(key, b"x")
    (page,) = [page async for page in store.list_versions("", ListOptions(delimiter="/"))]
    assert ([version.key for version in page.versions], page.prefixes) == (["a"], ["b/"])
    assert page.versions[0].last_modified.year == 2024
    marker = await store.delete("a")
    outcome = await store.delete("a", DeleteOptions(version_id=marker.marker_version_id))
    assert (outcome.is_marker, outcome.marker_version_id) == (True, marker.marker_version_id)
    assert (await store.delete("a", DeleteOptions(version_id="none"))).error is None
    assert (await store.head("a")).size == 1


async def test_without_versions_there_is_one_called_null() -> None:
    store = MemoryStore()
    await store.put("k", b"1")
    await store.put("k", b"2")
    (page,) = [page async for page in store.list_versions()]
    assert [(version.version_id, version.is_latest) for version in page.versions] == [("null", True)]
    assert not (await store.delete("k")).is_marker
    assert [page async for page in store.list_versions()] == []


async def test_no_checksum_is_kept_where_none_was_wanted() -> None:
    store = MemoryStore()
    await store.put("k", b"x", PutOptions(checksum_algorithm="none"))
    assert (await store.head("k")).checksums == ()
