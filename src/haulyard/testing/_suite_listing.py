"""Conformance: listings, complete, without repeats, and ordered where that is declared."""

# ruff: noqa: S101 -- these are tests, and assert is how pytest asserts

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

import pytest

from haulyard.errors import UnsafeName
from haulyard.models import ListOptions
from haulyard.testing._suite_base import SuiteBase, keys_of

if TYPE_CHECKING:
    from haulyard.stores.base import Store

_KEYS = [
    "0",
    "A",
    "a-b",
    "a.txt",
    "a/1",
    "a/b/1",
    "a/b/2",
    "a/z",
    "a0",
    "ab",
    "b",
    "b/",
    "z",
    "~",
    "é",
    "日本",
    "😀",
]


class ListingSuite(SuiteBase):
    """What every listing does."""

    async def _fill(self, store: Store, prefix: str) -> list[str]:
        """Write the keys that the store can hold and return them in UTF-8 byte order."""
        written = []
        for key in _KEYS:
            if key.endswith("/") and not self.flat_keys:
                continue
            try:
                await store.put(prefix + key, key.encode())
            except UnsafeName:
                continue
            written.append(key)
        return sorted(written, key=str.encode)

    def _in_order(self, store: Store, keys: list[str]) -> list[str]:
        return keys if store.capabilities.ordered_listing else sorted(keys, key=str.encode)

    async def test_nothing_is_listed_where_nothing_is(self, store: Store, prefix: str) -> None:
        assert await keys_of(store, prefix) == []
        assert await keys_of(store, prefix + "deeper/") == []

    async def test_each_key_is_listed_once_in_the_declared_order(self, store: Store, prefix: str) -> None:
        expected = await self._fill(store, prefix)
        assert self._in_order(store, await keys_of(store, prefix)) == expected

    @pytest.mark.parametrize("size", [1, 2, 5])
    async def test_pages_of_any_size_hold_the_same_keys(self, store: Store, prefix: str, size: int) -> None:
        expected = await self._fill(store, prefix)
        seen: list[str] = []
        async for page in store.list(prefix, ListOptions(page_size=size)):
            assert len(page.objects) <= size
            seen += [info.key.removeprefix(prefix) for info in page.objects]
        assert self._in_order(store, seen) == expected

    async def test_a_line_says_what_head_says(self, store: Store, prefix: str) -> None:
        await store.put(prefix + "k", b"content")
        head = await store.head(prefix + "k")
        (info,) = [info async for page in store.list(prefix) for info in page.objects]
        assert (info.key, info.size, info.etag) == (head.key, head.size, head.etag)
        assert info.last_modified.tzinfo is UTC
        assert head.last_modified is not None
        assert info.last_modified.replace(microsecond=0) == head.last_modified.replace(microsecond=0)

    @pytest.mark.parametrize("start", ["a", "a/", "a/b", "a/b/", "é", "nothing", "a/b/2/"])
    async def test_a_prefix_is_a_string_not_a_directory(self, store: Store, prefix: str, start: str) -> None:
        await self._fill(store, prefix)
        all_keys = await keys_of(store, prefix)
        expected = [key for key in all_keys if key.startswith(start)]
        listed = [
            info.key.removeprefix(prefix)
            async for page in store.list(prefix + start)
            for info in page.objects
        ]
        assert self._in_order(store, listed) == self._in_order(store, expected)

    @pytest.mark.parametrize("start", ["", "a", "a-", "a/", "a/b"])
    async def test_a_delimiter_folds_what_lies_below(self, store: Store, prefix: str, start: str) -> None:
        every = [key for key in await self._fill(store, prefix) if key.startswith(start)]
        files = [key for key in every if "/" not in key[len(start) :]]
        folded = {key[: key.index("/", len(start)) + 1] for key in every if "/" in key[len(start) :]}
        objects: list[str] = []
        prefixes: list[str] = []
        async for page in store.list(prefix + start, ListOptions(delimiter="/", page_size=3)):
            objects += [info.key.removeprefix(prefix) for info in page.objects]
            prefixes += [common.removeprefix(prefix) for common in page.prefixes]
        assert self._in_order(store, objects) == files
        assert self._in_order(store, prefixes) == sorted(folded, key=str.encode)

    async def test_a_listing_starts_after_a_key(self, store: Store, prefix: str) -> None:
        if not store.capabilities.ordered_listing:
            pytest.skip("the order of this store is its own")
        expected = await self._fill(store, prefix)
        for start in ["a", "a.txt", "a/", "a/b/1", "a/b0", "c", "é", "😀"]:
            options = ListOptions(start_after=prefix + start)
            listed = await keys_of(store, prefix, options)
            assert listed == [key for key in expected if key.encode() > start.encode()]

    async def test_a_key_may_also_be_the_start_of_others(self, store: Store, prefix: str) -> None:
        if not self.flat_keys:
            pytest.skip("the server behind this store keeps keys as paths")
        await store.put(prefix + "a", b"file")
        try:
            await store.put(prefix + "a/b", b"below")
        except UnsafeName:
            assert await keys_of(store, prefix) == ["a"]
        else:
            assert self._in_order(store, await keys_of(store, prefix)) == ["a", "a/b"]
