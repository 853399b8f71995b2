from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.jobs.planning.sealed_plans import one_store, two_stores

from haulyard.jobs.planning.present import Names, Present
from haulyard.stores.base import LIST
from haulyard.stores.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from haulyard.jobs.ends import Ends
    from haulyard.models import ListOptions, ListPage

pytestmark = pytest.mark.anyio


class CountingStore(MemoryStore):
    """Remembers what was asked for, and how many pages of two keys were read."""

    def __init__(self, *, ordered: bool = True) -> None:
        super().__init__("b")
        self.capabilities = replace(self.capabilities, ordered_listing=ordered)
        self.asked: list[tuple[str, str]] = []
        self.pages = 0

    async def list(self, prefix: str = "", options: ListOptions = LIST) -> AsyncIterator[ListPage]:
        self.asked.append((prefix, options.start_after))
        async for page in super().list(prefix, replace(options, page_size=2)):
            self.pages += 1
            yield page


async def listed(
    ends: Ends,
    prefixes: Sequence[str],
    *,
    covered: str | None = None,
    between: tuple[str, str] | None = None,
    names: Names | None = None,
) -> Present:
    # With one worker the requests are those of a plain listing.
    return await Present.listed(ends, prefixes, covered=covered, between=between, names=names, workers=1)


async def store_of(keys: Sequence[str], *, ordered: bool = True) -> CountingStore:
    store = CountingStore(ordered=ordered)
    for key in keys:
        await store.put(key, b"1")
    return store


def keys_of(present: Present) -> list[str]:
    return [key for page in present.pages() for key in page]


async def test_nothing_is_asked_for_without_prefixes() -> None:
    store = await store_of(["a"])
    with await listed(two_stores(store), []) as present:
        assert present.count == 0
        assert present.find(["a"]) == {}
        assert keys_of(present) == []
    assert store.asked == []


async def test_an_empty_destination_costs_one_request() -> None:
    store = await store_of(["elsewhere/a"])
    with await listed(two_stores(store), ["in/"]) as present:
        assert present.count == 0
    assert store.asked == [("in/", "")]


async def test_what_is_there_is_found_by_name() -> None:
    store = await store_of(["in/a", "in/b", "in/c", "out"])
    with await listed(two_stores(store), ["in/"]) as present:
        assert present.count == 3
        assert keys_of(present) == ["in/a", "in/b", "in/c"]
        found = present.find(["in/b", "in/x", "out"])
    assert {key: each.etag for key, each in found.items()} == {"in/b": (await store.head("in/b")).etag}


async def test_a_prefix_inside_another_is_not_listed_again() -> None:
    store = await store_of([])
    (await listed(two_stores(store), ["b/", "a/x/", "a/", "b/"])).close()
    assert store.asked == [("a/", ""), ("b/", "")]


async def test_what_the_listing_of_the_source_says_is_not_asked_for() -> None:
    store = await store_of(["in/a", "out/b", "over/c"])
    with await listed(one_store(store), ["in/deep/", "out/"], covered="in/") as present:
        assert keys_of(present) == ["out/b"]
    assert store.asked == [("out/", "")]


async def test_what_the_source_says_is_left_out_of_a_wider_listing() -> None:
    store = await store_of(["a", "in/a", "in/b", "in/c", "in0", "out/b", "over/c"])
    with await listed(one_store(store), [""], covered="in/") as present:
        assert keys_of(present) == ["a", "in0", "out/b", "over/c"]
    assert store.asked == [("", ""), ("", "in/\U0010ffff")]
    for between, keys in {("by", "d"): [], ("a", "in0"): ["a", "in0"], ("over/", "z"): ["over/c"]}.items():
        with await listed(one_store(store), [""], covered="in/", between=between) as present:
            assert keys_of(present) == keys


async def test_in_another_store_a_listing_of_the_source_says_nothing() -> None:
    store = await store_of(["in/a"])
    with await listed(two_stores(store), ["in/"], covered="in/") as present:
        assert keys_of(present) == ["in/a"]


async def test_only_what_lies_between_the_destinations_is_listed() -> None:
    store = await store_of([f"year/{n:03}" for n in range(100)])
    between = ("year/050", "year/053")
    with await listed(two_stores(store), ["year/", "zoo/"], between=between) as present:
        assert {f"year/{n:03}" for n in range(50, 54)} <= set(keys_of(present))
    assert store.asked == [("year/05", "")]
    assert store.pages == 2


async def test_an_ordered_listing_begins_before_the_first_destination() -> None:
    store = await store_of([f"k/{n:03}" for n in range(100)])
    with await listed(two_stores(store), ["k/"], between=("k/088", "k/191")) as present:
        assert {f"k/{n:03}" for n in range(88, 100)} <= set(keys_of(present))
    assert store.asked == [("k/", "k/08")]
    assert store.pages == 10


async def test_without_a_proved_order_the_whole_prefix_is_listed() -> None:
    store = await store_of([f"k/{n:03}" for n in range(20)], ordered=False)
    with await listed(two_stores(store), ["k/"], between=("k/008", "k/191")) as present:
        assert present.count == 20
    assert store.asked == [("k/", "")]


async def test_one_destination_is_asked_for_by_its_name() -> None:
    store = await store_of(["a", "b", "bb"])
    with await listed(two_stores(store), [""], between=("b", "b")) as present:
        assert "b" in keys_of(present)
    assert store.asked == [("b", "")]


def few(*names: str) -> Names:
    return Names(len(names), lambda: iter([list(names)]))


async def test_few_names_among_many_objects_are_asked_for_one_by_one() -> None:
    store = await store_of([f"k/{n:03}" for n in range(200)])
    names = few("k/000", "k/050", "k/0505", "k/099", "other")
    with await listed(two_stores(store), [""], between=("k/000", "other"), names=names) as present:
        assert keys_of(present) == ["k/000", "k/050", "k/099"]
        assert present.count == 3
        assert present.find(["k/050"])["k/050"].etag == (await store.head("k/050")).etag
    # 17 pages of two, and what was listed ahead; the whole listing has 100.
    assert store.pages < 40


async def test_many_names_are_listed() -> None:
    store = await store_of([f"k/{n:03}" for n in range(100)])
    names = Names(8 * 50, lambda: pytest.fail("asked for one by one"))
    with await listed(two_stores(store), [""], names=names) as present:
        assert present.count == 100


async def test_what_the_source_says_is_not_asked_for_one_by_one() -> None:
    store = await store_of([*(f"k/{n:03}" for n in range(100)), "in/a"])
    with await listed(one_store(store), [""], covered="in/", names=few("in/a", "k/001")) as present:
        assert keys_of(present) == ["k/001"]


async def test_names_are_asked_for_by_several_workers() -> None:
    keys = [f"k/{n:04}" for n in range(0, 2_400, 2)]
    store = await store_of(keys)
    names = Names(
        1, lambda: iter([[f"k/{n:04}" for n in range(1_200)], [f"k/{n:04}" for n in range(1_200, 2_400)]])
    )
    with await Present.listed(two_stores(store), ["k/"], names=names, workers=4) as present:
        assert keys_of(present) == keys


async def test_a_listing_that_fails_is_not_taken_for_a_short_one() -> None:
    class Failing(CountingStore):
        async def list(self, prefix: str = "", options: ListOptions = LIST) -> AsyncIterator[ListPage]:
            async for page in super().list(prefix, options):
                yield page
            raise OSError("cut")

    store = Failing()
    await store.put("a", b"")
    with pytest.raises(OSError, match="cut"):
        await listed(two_stores(store), [""])
