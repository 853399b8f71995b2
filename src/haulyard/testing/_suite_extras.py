"""Conformance: copies, tags, ACLs, versions, attributes, restores and presigned URLs."""

# ruff: noqa: S101 -- these are tests, and assert is how pytest asserts

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from haulyard.errors import NotFound, PreconditionFailed, Unsupported
from haulyard.models import CopyOptions, CopySource, DeleteItem, DeleteOptions, GetOptions, PutOptions
from haulyard.testing._suite_base import SuiteBase, keys_of, read, require

if TYPE_CHECKING:
    from haulyard.stores.base import Store


class CopySuite(SuiteBase):
    """A copy inside the store is the object again, with what the options change."""

    async def test_a_copy_has_the_content(self, store: Store, prefix: str) -> None:
        await store.put(prefix + "source", b"content")
        await store.put(prefix + "taken", b"overwritten")
        for target in ("new", "taken"):
            result = await store.copy(CopySource("", prefix + "source"), prefix + target)
            assert (await store.head(prefix + target)).etag == result.etag
            assert await read(store, prefix + target) == b"content"
        assert await read(store, prefix + "source") == b"content"

    async def test_an_odd_key_can_be_copied(self, store: Store, prefix: str) -> None:
        source = prefix + "q?u=e#r+y %41 ü/日本"
        await store.put(source, b"content")
        await store.copy(CopySource("", source), prefix + "copy")
        assert await read(store, prefix + "copy") == b"content"

    async def test_a_copy_of_nothing_is_not_found(self, store: Store, prefix: str) -> None:
        with pytest.raises(NotFound):
            await store.copy(CopySource("", prefix + "absent"), prefix + "new")
        assert await keys_of(store, prefix) == []

    async def test_a_copy_is_bound_to_the_source_that_was_seen(self, store: Store, prefix: str) -> None:
        if store.capabilities.conditional_copy is not True:
            pytest.skip("conditions on copies are not declared")
        seen = (await store.put(prefix + "source", b"first")).etag
        current = (await store.put(prefix + "source", b"second")).etag
        with pytest.raises(PreconditionFailed):
            await store.copy(CopySource("", prefix + "source", etag=seen), prefix + "new")
        assert await keys_of(store, prefix) == ["source"]
        await store.copy(CopySource("", prefix + "source", etag=current), prefix + "new")
        assert await read(store, prefix + "new") == b"second"

    async def test_metadata_is_kept_or_replaced(self, store: Store, prefix: str) -> None:
        require(store, "metadata")
        old = PutOptions(content_type="text/x-old", cache_control="no-store", metadata={"colour": "blue"})
        new = PutOptions(content_type="text/x-new", metadata={"shape": "round"})
        await store.put(prefix + "source", b"x", old)
        source = CopySource("", prefix + "source")
        await store.copy(source, prefix + "kept", CopyOptions(put=new))
        kept = await store.head(prefix + "kept")
        assert (kept.content_type, kept.cache_control, dict(kept.metadata)) == (
            "text/x-old",
            "no-store",
            {"colour": "blue"},
        )
        await store.copy(source, prefix + "replaced", CopyOptions(put=new, replace_metadata=True))
        replaced = await store.head(prefix + "replaced")
        assert (replaced.content_type, replaced.cache_control) == ("text/x-new", "")
        assert dict(replaced.metadata) == {"shape": "round"}

    async def test_tags_are_kept_or_replaced(self, store: Store, prefix: str) -> None:
        require(store, "tags")
        await store.put(prefix + "source", b"x", PutOptions(tags={"team": "data"}))
        source, new = CopySource("", prefix + "source"), PutOptions(tags={"team": "other", "b": "2"})
        await store.copy(source, prefix + "kept")
        assert await store.get_tags(prefix + "kept") == {"team": "data"}
        await store.copy(source, prefix + "replaced", CopyOptions(put=new, replace_tags=True))
        assert await store.get_tags(prefix + "replaced") == {"team": "other", "b": "2"}


class ExtrasSuite(SuiteBase):
    """What only some stores have: it works where it is declared and is refused elsewhere."""

    @pytest.fixture
    def versioned_store(self) -> Store:
        """Return a store that keeps versions; override this where there is one."""
        pytest.skip("no versioned store given")

    async def test_tags_are_written_read_replaced_and_removed(self, store: Store, prefix: str) -> None:
        key = prefix + "k"
        if not store.capabilities.tags:
            await store.put(key, b"x")
            for call in (store.get_tags(key), store.set_tags(key, {"a": "1"})):
                with pytest.raises(Unsupported):
                    await call
            with pytest.raises(Unsupported):
                await store.put(key, b"x", PutOptions(tags={"a": "1"}))
            return
        await store.put(key, b"x", PutOptions(tags={"team": "data", "with space": "a+b=c:d/e@f"}))
        assert await store.get_tags(key) == {"team": "data", "with space": "a+b=c:d/e@f"}
        await store.set_tags(key, {"ünï": "wert"})
        assert await store.get_tags(key) == {"ünï": "wert"}
        await store.set_tags(key, {})
        assert await store.get_tags(key) == {}
        assert await read(store, key) == b"x"
        with pytest.raises(NotFound):
            await store.get_tags(prefix + "absent")

    async def test_an_acl_is_written_and_read(self, store: Store, prefix: str) -> None:
        key = prefix + "k"
        await store.put(key, b"x")
        if not store.capabilities.acl:
            for call in (store.get_acl(key), store.set_acl(key, "private")):
                with pytest.raises(Unsupported):
                    await call
            return
        private = await store.get_acl(key)
        assert [grant.permission for grant in private.grants] == ["FULL_CONTROL"]
        await store.set_acl(key, "public-read")
        public = await store.get_acl(key)
        assert {grant.permission for grant in public.grants} == {"FULL_CONTROL", "READ"}
        await store.set_acl(key, private)
        assert await store.get_acl(key) == private

    async def test_attributes_tell_size_and_tag(self, store: Store, prefix: str) -> None:
        await store.put(prefix + "k", b"content")
        attributes = await store.attributes(prefix + "k")
        head = await store.head(prefix + "k")
        assert (attributes.size, attributes.etag) == (7, head.etag)

    async def test_a_restore_that_is_not_declared_is_refused(self, store: Store, prefix: str) -> None:
        if store.capabilities.restore:
            pytest.skip("it is declared, and what it needs is an archive")
        with pytest.raises(Unsupported):
            await store.restore(prefix + "k")

    async def test_presigned_urls_are_given_or_refused(self, store: Store, prefix: str) -> None:
        await store.put(prefix + "k", b"x")
        if not store.capabilities.presign:
            with pytest.raises(Unsupported):
                await store.presign("GET", prefix + "k", 60)
            return
        for method in ("GET", "HEAD", "PUT", "DELETE"):
            assert (await store.presign(method, prefix + "k", 60)).startswith("http")
        with pytest.raises(Unsupported):
            await store.presign("BREW", prefix + "k", 60)

    async def test_versions_that_are_not_declared_are_refused(self, store: Store, prefix: str) -> None:
        if store.capabilities.versions:
            pytest.skip("they are declared")
        await store.put(prefix + "k", b"x")
        with pytest.raises(Unsupported):
            _ = [page async for page in store.list_versions(prefix)]
        with pytest.raises(Unsupported):
            await store.get(prefix + "k", GetOptions(version_id="v1"))
        with pytest.raises(Unsupported):
            await store.delete(prefix + "k", DeleteOptions(version_id="v1"))
        assert await read(store, prefix + "k") == b"x"

    async def test_versions_are_kept_listed_and_removed(self, versioned_store: Store, prefix: str) -> None:
        store, key = versioned_store, prefix + "k"
        first = await store.put(key, b"first")
        second = await store.put(key, b"second")
        assert first.version_id
        assert first.version_id != second.version_id
        async with await store.get(key, GetOptions(version_id=first.version_id)) as reader:
            assert reader.head.version_id == first.version_id
            assert await reader.read() == b"first"
        gone = await store.delete(key)
        assert gone.is_marker
        with pytest.raises(NotFound):
            await store.head(key)
        listed = [version async for page in store.list_versions(prefix) for version in page.versions]
        latest = [version.version_id for version in listed if version.is_latest]
        markers = [version.version_id for version in listed if version.is_marker]
        assert latest == markers == [gone.marker_version_id]
        contents = [(version.version_id, version.size) for version in listed if not version.is_marker]
        assert contents == [(second.version_id, 6), (first.version_id, 5)]
        await store.delete(key, DeleteOptions(version_id=gone.marker_version_id))
        assert await read(store, key) == b"second"
        outcomes = await store.delete_many(
            [DeleteItem(key, second.version_id), DeleteItem(key, first.version_id)]
        )
        assert [outcome.error for outcome in outcomes] == [None, None]
        assert [page.versions async for page in store.list_versions(prefix) if page.versions] == []

    async def test_an_old_version_can_be_copied(self, versioned_store: Store, prefix: str) -> None:
        store = versioned_store
        first = await store.put(prefix + "k", b"first")
        await store.put(prefix + "k", b"second")
        await store.copy(CopySource("", prefix + "k", first.version_id), prefix + "new")
        assert await read(store, prefix + "new") == b"first"
