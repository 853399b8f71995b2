"""Conformance: conditions on reads, writes, copies and deletes, each where it is declared."""

# ruff: noqa: S101 -- these are tests, and assert is how pytest asserts

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from haulyard.errors import NotFound, PreconditionFailed, Unsupported
from haulyard.models import CopyOptions, CopySource, DeleteItem, DeleteOptions, GetOptions, PutOptions
from haulyard.testing._suite_base import SuiteBase, read, require

if TYPE_CHECKING:
    from haulyard.stores.base import Store

_CREATE = PutOptions(if_none_match="*")


class ConditionSuite(SuiteBase):
    """A condition that does not hold changes nothing and says so; one that is not offered is refused."""

    async def test_reading_obeys_tags(self, store: Store, prefix: str) -> None:
        etag = (await store.put(prefix + "k", b"x")).etag
        for call in (store.head, store.get):
            await call(prefix + "k", GetOptions(if_match=etag))
            await call(prefix + "k", GetOptions(if_none_match="other"))
            with pytest.raises(PreconditionFailed):
                await call(prefix + "k", GetOptions(if_match="other"))
            with pytest.raises(PreconditionFailed):
                await call(prefix + "k", GetOptions(if_none_match=etag))

    async def test_reading_obeys_times(self, store: Store, prefix: str) -> None:
        await store.put(prefix + "k", b"x")
        modified = (await store.head(prefix + "k")).last_modified
        assert modified is not None
        hour = timedelta(hours=1)
        await store.head(prefix + "k", GetOptions(if_unmodified_since=modified + hour))
        await store.head(prefix + "k", GetOptions(if_modified_since=modified - hour))
        with pytest.raises(PreconditionFailed):
            await store.head(prefix + "k", GetOptions(if_unmodified_since=modified - hour))
        with pytest.raises(PreconditionFailed):
            await store.head(prefix + "k", GetOptions(if_modified_since=modified))

    async def test_creating_only_replaces_nothing(self, store: Store, prefix: str) -> None:
        require(store, "conditional_put")
        await store.put(prefix + "k", b"first", _CREATE)
        with pytest.raises(PreconditionFailed):
            await store.put(prefix + "k", b"second", _CREATE)
        assert await read(store, prefix + "k") == b"first"

    async def test_replacing_only_what_was_seen(self, store: Store, prefix: str) -> None:
        require(store, "conditional_put")
        seen = (await store.put(prefix + "k", b"first")).etag
        current = (await store.put(prefix + "k", b"second", PutOptions(if_match=seen))).etag
        with pytest.raises(PreconditionFailed):
            await store.put(prefix + "k", b"third", PutOptions(if_match=seen))
        assert await read(store, prefix + "k") == b"second"
        assert (await store.head(prefix + "k")).etag == current

    async def test_replacing_what_is_not_there_creates_nothing(self, store: Store, prefix: str) -> None:
        require(store, "conditional_put")
        with pytest.raises((NotFound, PreconditionFailed)):
            await store.put(prefix + "k", b"x", PutOptions(if_match="0123456789abcdef0123456789abcdef"))
        with pytest.raises(NotFound):
            await store.head(prefix + "k")

    async def test_copying_to_a_new_key_only(self, store: Store, prefix: str) -> None:
        require(store, "conditional_copy")
        await store.put(prefix + "source", b"source")
        await store.put(prefix + "taken", b"taken")
        options = CopyOptions(put=_CREATE)
        await store.copy(CopySource("", prefix + "source"), prefix + "new", options)
        assert await read(store, prefix + "new") == b"source"
        with pytest.raises(PreconditionFailed):
            await store.copy(CopySource("", prefix + "source"), prefix + "taken", options)
        assert await read(store, prefix + "taken") == b"taken"

    async def test_deleting_only_what_was_seen(self, store: Store, prefix: str) -> None:
        require(store, "conditional_delete")
        seen = (await store.put(prefix + "k", b"first")).etag
        current = (await store.put(prefix + "k", b"second")).etag
        with pytest.raises(PreconditionFailed):
            await store.delete(prefix + "k", DeleteOptions(if_match=seen))
        assert await read(store, prefix + "k") == b"second"
        await store.delete(prefix + "k", DeleteOptions(if_match=current))
        with pytest.raises(NotFound):
            await store.head(prefix + "k")
        assert (await store.delete(prefix + "k", DeleteOptions(if_match=current))).error is None

    async def test_deleting_many_obeys_the_condition_of_each(self, store: Store, prefix: str) -> None:
        require(store, "conditional_delete")
        etag = (await store.put(prefix + "same", b"x")).etag
        await store.put(prefix + "changed", b"other")
        await store.put(prefix + "any", b"any")
        outcomes = await store.delete_many(
            [
                DeleteItem(prefix + "same", if_match=etag),
                DeleteItem(prefix + "changed", if_match=etag),
                DeleteItem(prefix + "any"),
            ]
        )
        assert [outcome.error is None for outcome in outcomes] == [True, False, True]
        assert isinstance(outcomes[1].error, PreconditionFailed)
        assert await read(store, prefix + "changed") == b"other"

    async def test_a_condition_that_is_not_declared_is_refused(self, store: Store, prefix: str) -> None:
        etag = (await store.put(prefix + "k", b"kept")).etag
        declared = store.capabilities
        if declared.conditional_put is False:
            for options in (_CREATE, PutOptions(if_match=etag)):
                with pytest.raises(Unsupported):
                    await store.put(prefix + "k", b"x", options)
        if declared.conditional_copy is False:
            with pytest.raises(Unsupported):
                await store.copy(CopySource("", prefix + "k"), prefix + "new", CopyOptions(put=_CREATE))
        if declared.conditional_delete is False:
            with pytest.raises(Unsupported):
                await store.delete(prefix + "k", DeleteOptions(if_match=etag))
            with pytest.raises(Unsupported):
                await store.delete_many([DeleteItem(prefix + "k", if_match=etag)])
        assert await read(store, prefix + "k") == b"kept"
