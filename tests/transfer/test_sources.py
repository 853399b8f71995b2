from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from haulyard.errors import AccessDenied, ConfigError, NotFound
from haulyard.models import DeleteOptions, ListPage
from haulyard.stores.memory import MemoryStore
from haulyard.transfer.filters import Filter, Pattern
from haulyard.transfer.items import Item
from haulyard.transfer.selection import select, select_manifest
from haulyard.transfer.sources import Found, described, explain_missing, find, find_versions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from haulyard.models import ListOptions

pytestmark = pytest.mark.anyio


async def store_of(*keys: str, versioned: bool = False) -> MemoryStore:
    store = MemoryStore(versioned=versioned)
    for key in keys:
        await store.put(key, b"" if key.endswith("/") else key.encode())
    return store


async def relatives(pages: AsyncIterator[list[Found]]) -> list[str]:
    return [found.relative async for page in pages for found in page]


async def test_a_single_object_is_not_asked_for() -> None:
    pages = [page async for page in find(MemoryStore(), select("in/a/x"))]
    assert pages == [[Found(Item("in/a/x"), "x")]]


async def test_a_version_is_passed_on() -> None:
    pages = [page async for page in find(MemoryStore(), select("x"), version_id="v7")]
    assert pages == [[Found(Item("x", version_id="v7"), "x")]]


async def test_a_version_of_many_objects_is_refused() -> None:
    with pytest.raises(ConfigError, match="--version-id v7 is for a single object"):
        await relatives(find(await store_of("in/x"), select("in/"), version_id="v7"))


async def test_a_tree_yields_what_lies_below_it_and_nothing_that_merely_starts_alike() -> None:
    store = await store_of("in/a", "in/a/x", "in/a/y/z", "in/ab", "other")
    assert await relatives(find(store, select("in/a", recursive=True))) == ["x", "y/z"]
    assert await relatives(find(store, select("in/a/"))) == ["x", "y/z"]
    assert await relatives(find(store, select(""))) == ["in/a", "in/a/x", "in/a/y/z", "in/ab", "other"]


async def test_items_carry_what_the_listing_said() -> None:
    store = await store_of("in/x")
    ((found,),) = [page async for page in find(store, select("in/"))]
    (info,) = [info async for page in store.list() for info in page.objects]
    assert found.item == Item.from_info(info)
    assert found.item.size == 4


async def test_a_wildcard_yields_its_matches_relative_to_its_directory() -> None:
    store = await store_of("in/2024/a.gz", "in/2024/b.txt", "in/2025/c.gz", "in/2024x/d/e.gz", "out/f.gz")
    assert await relatives(find(store, select("in/2024*.gz"))) == ["2024/a.gz", "2024x/d/e.gz"]


async def test_directory_markers_are_found_like_any_object() -> None:
    store = await store_of("in/", "in/a/", "in/a/x")
    assert await relatives(find(store, select("in/"))) == ["", "a/", "a/x"]


async def test_filters_see_the_path_relative_to_the_source() -> None:
    store = await store_of("in/a/x.txt", "in/b/x.csv", "in/tmp/y.txt")
    filters = Filter([Pattern(True, "*.txt"), Pattern(False, "tmp/*")])
    assert await relatives(find(store, select("in/"), filters)) == ["a/x.txt"]
    assert await relatives(find(store, select("in/tmp/y.txt"), filters)) == ["y.txt"]
    assert await relatives(find(store, select("in/b/x.csv"), filters)) == []


async def test_what_the_filters_leave_empty_was_found_all_the_same() -> None:
    store = await store_of("in/x")
    assert await relatives(find(store, select("in/"), Filter([Pattern(False, "*")]))) == []


async def test_a_wildcard_that_matches_nothing_is_named() -> None:
    with pytest.raises(NotFound, match=r"nothing matches memory://memory/in/\*\.gz"):
        await relatives(find(await store_of("in/x"), select("in/*.gz")))


async def test_an_empty_tree_is_named() -> None:
    store = await store_of("in/ab")
    with pytest.raises(NotFound, match="nothing under memory://memory/in/a") as caught:
        await relatives(find(store, select("in/a", recursive=True)))
    assert "without --recursive" in caught.value.hint
    with pytest.raises(NotFound, match="nothing under memory://memory/no/"):
        await relatives(find(store, select("no/")))


async def test_a_manifest_is_not_listed() -> None:
    with pytest.raises(ValueError, match="names its objects itself"):
        await relatives(find(MemoryStore(), select_manifest("in/")))


async def test_all_versions_and_markers_of_a_selection() -> None:
    store = await store_of("in/a", "in/a", "in/ab", "in/a/x", versioned=True)
    await store.delete("in/a")
    found = [each async for page in find_versions(store, select("in/a")) for each in page]
    assert [each.item.key for each in found] == ["in/a"] * 3
    assert len({each.item.version_id for each in found}) == 3
    everything = await relatives(find_versions(store, select("in/")))
    assert sorted(everything) == ["a", "a", "a", "a/x", "ab"]
    only = Filter([Pattern(True, "ab")])
    assert await relatives(find_versions(store, select("in/*"), only)) == ["ab"]


async def test_versions_of_nothing_are_not_found() -> None:
    store = await store_of("in/ab", versioned=True)
    with pytest.raises(NotFound, match="memory://memory/in/a does not exist"):
        await relatives(find_versions(store, select("in/a")))
    await store.delete("in/ab", DeleteOptions())
    assert await relatives(find_versions(store, select("in/ab"))) == ["ab", "ab"]


async def test_a_missing_object_that_is_a_prefix_is_explained() -> None:
    store = await store_of("in/a/x")
    missing = NotFound("no such key", key="in/a")
    explained = await explain_missing(store, "in/a", missing)
    assert isinstance(explained, ConfigError)
    assert "in/a is a directory or prefix" in str(explained)
    assert "--recursive" in explained.hint
    assert await explain_missing(store, "in/b", missing) is missing


async def test_an_explanation_that_cannot_be_had_leaves_the_error_as_it_was() -> None:
    class Closed(MemoryStore):
        async def list(self, prefix: str = "", options: ListOptions | None = None) -> AsyncIterator[ListPage]:
            if prefix:
                raise AccessDenied("no")
            yield ListPage([], [])

    missing = NotFound("no such key", key="in/a")
    assert await explain_missing(Closed(), "in/a", missing) is missing


async def test_what_a_manifest_names_is_described_as_a_listing_would() -> None:
    store = await store_of("in/x", "in/y")

    async def pages() -> AsyncIterator[list[Found]]:
        yield [Found(Item(key), key) for key in ("in/y", "in/gone", "in/x")]

    (infos,) = [page async for page in described(store, pages())]
    assert {info.key: info.size for info in infos} == {"in/y": 4, "in/gone": -1, "in/x": 4}
    (listed,) = [page.objects async for page in store.list("in/x")]
    assert listed[0][:5] in [info[:5] for info in infos]


async def test_a_version_is_not_described() -> None:
    async def pages() -> AsyncIterator[list[Found]]:
        yield [Found(Item("x", version_id="v1"), "x")]

    with pytest.raises(ConfigError, match="memory://memory/x: the manifest names a version"):
        [page async for page in described(MemoryStore(), pages())]
