from __future__ import annotations

import asyncio
import random
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haulyard.errors import S3NetworkError
from haulyard.models import ListOptions, ListPage
from haulyard.stores.base import LIST
from haulyard.stores.memory import MemoryStore
from haulyard.transfer import spread
from haulyard.transfer.merge import Disordered
from haulyard.transfer.split_points import from_names, guesses, levels
from haulyard.transfer.spread import Span, SpreadListing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

pytestmark = pytest.mark.anyio


class Listed(MemoryStore):
    """Pages of ``size`` keys, each answered a turn of the loop later; what was asked is kept in ``asked``."""

    def __init__(self, keys: Sequence[str], *, size: int = 3, ordered: bool | None = True) -> None:
        super().__init__("bucket")
        self.capabilities = replace(self.capabilities, ordered_listing=ordered)
        self.keys = list(keys)
        self.size = size
        self.asked: list[tuple[str, ListOptions]] = []
        self.on_request: Callable[[int], object] = lambda _number: None
        self.most = self._now = 0

    async def fill(self) -> Listed:
        for key in self.keys:
            await self.put(key, b"")
        return self

    async def list(self, prefix: str = "", options: ListOptions = LIST) -> AsyncIterator[ListPage]:
        async for page in super().list(prefix, replace(options, page_size=self.size)):
            self.asked.append((prefix, options))
            self._now += 1
            self.most = max(self.most, self._now)
            self.on_request(len(self.asked))
            await asyncio.sleep(0)
            self._now -= 1
            if not self.capabilities.ordered_listing:
                random.Random(len(self.asked)).shuffle(page.objects)
                page.prefixes.reverse()
            yield page


@pytest.fixture(autouse=True)
def pages_of_three(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spread, "PAGE", 3)


async def collect(listing: SpreadListing) -> list[str]:
    return [info.key async for page in listing for info in page]


KEYS = st.lists(
    st.one_of(
        st.text(st.sampled_from("ab/019\u00e9\U0001f600. \n"), min_size=1, max_size=8),
        st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=6),
        st.builds("d{}/h{}/part-{:03}".format, st.integers(0, 3), st.integers(0, 2), st.integers(0, 40)),
    ),
    max_size=80,
    unique=True,
)


@settings(max_examples=150, deadline=None)
@given(KEYS, st.sampled_from([True, False, None]), st.integers(1, 6), st.sampled_from(["", "d", "d1/", "a"]))
def test_every_key_is_listed_once(keys: list[str], ordered: bool | None, workers: int, prefix: str) -> None:
    async def run() -> list[str]:
        store = await Listed(keys, ordered=ordered).fill()
        return await collect(SpreadListing(store, prefix, workers=workers))

    assert sorted(asyncio.run(run())) == sorted(key for key in keys if key.startswith(prefix))


@settings(max_examples=100, deadline=None)
@given(KEYS, st.integers(1, 5), st.integers(0, 12))
def test_a_listing_goes_on_from_its_position(keys: list[str], workers: int, after: int) -> None:
    async def run() -> tuple[list[str], list[str]]:
        store = await Listed(keys).fill()
        listing, before = SpreadListing(store, workers=workers), []
        async with aclosing(listing.pages()) as pages:
            for _ in range(after):
                page = await anext(pages, None)
                before += [info.key for info in page or []]
            left = listing.position()
        rest = await collect(SpreadListing(store, workers=workers, start=left)) if left else []
        return before, rest

    before, rest = asyncio.run(run())
    assert sorted(before + rest) == sorted(keys)


async def test_a_small_listing_costs_one_request() -> None:
    for ordered in (True, None):
        store = await Listed(["a/x", "b/x"], ordered=ordered).fill()
        listing = SpreadListing(store)
        assert len(await collect(listing)) == 2
        assert len(store.asked) == listing.requests == 1


async def test_directories_in_order_are_listed_at_the_same_time() -> None:
    store = await Listed([f"in/d{day}/{number:02}" for day in range(8) for number in range(12)]).fill()
    listing = SpreadListing(store, "in/", workers=4)
    keys = await collect(listing)
    assert sorted(keys) == sorted(store.keys)
    assert store.most == 4
    # 32 pages, what ends within one, and what was asked of directories.
    assert listing.requests < 60


async def test_a_flat_namespace_is_listed_at_the_same_time() -> None:
    store = await Listed([f"in/{number:04}" for number in range(0, 9_000, 90)]).fill()
    keys = await collect(SpreadListing(store, "in/", workers=4))
    assert sorted(keys) == store.keys
    assert store.most == 4
    assert any(options.start_after.startswith("in/5") for _, options in store.asked)


async def test_without_order_large_directories_are_listed_whole_and_at_the_same_time() -> None:
    store = await Listed(
        [f"d{day}/{number:02}" for day in range(6) for number in range(12)], ordered=None
    ).fill()
    assert sorted(await collect(SpreadListing(store, workers=4))) == sorted(store.keys)
    assert store.most == 4
    assert {prefix for prefix, _ in store.asked} >= {f"d{day}/" for day in range(6)}
    assert not any(options.start_after for _, options in store.asked)


async def test_without_order_small_directories_are_not_asked_one_by_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(spread, "_SMALL", 1)
    store = await Listed([f"{number:02}/x" for number in range(30)], ordered=None).fill()
    assert len(await collect(SpreadListing(store, workers=4))) == 30
    assert len(store.asked) == 10


async def test_without_order_many_directories_are_looked_into_before_they_are_asked_one_by_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(spread, "PAGE", 5)
    monkeypatch.setattr(spread, "_MANY", 3)
    monkeypatch.setattr(spread, "_SMALL", 1)
    # The first page is of one directory that is large.
    small = [*(f"a/{number}" for number in range(7)), *(f"b{number:02}/x" for number in range(60))]
    large = [f"d{number}/{at}" for number in range(8) for at in range(9)]
    for keys, at_most in ((small, 30), (large, 60)):
        store = await Listed(keys, ordered=None, size=5).fill()
        assert sorted(await collect(SpreadListing(store, workers=4))) == sorted(keys)
        assert len(store.asked) <= at_most
        assert (store.most > 1) == (keys is large)


async def test_many_directories_are_listed_before_more_of_them_are_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(spread, "_WAITING", 2)
    store = await Listed(
        [f"{number:02}/{at}" for number in range(20) for at in range(4)], ordered=None
    ).fill()
    assert sorted(await collect(SpreadListing(store, workers=2))) == store.keys


async def test_what_is_listed_ahead_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spread, "_AHEAD", 2)
    store = await Listed([f"{number:04}" for number in range(600)]).fill()
    async with aclosing(SpreadListing(store, workers=4).pages()) as pages:
        await anext(pages)
        for _ in range(50):
            await asyncio.sleep(0)
        # Two that wait, one each in the hands of four, and those that were asked for before there were two.
        assert len(store.asked) < 20


async def test_an_error_ends_the_listing_and_leaves_nobody_working() -> None:
    before = asyncio.all_tasks()
    store = await Listed([f"{number:04}" for number in range(600)]).fill()

    def fail(number: int) -> None:
        if number == 9:
            raise S3NetworkError("the cable is cut")

    store.on_request = fail
    with pytest.raises(S3NetworkError, match="the cable is cut"):
        await collect(SpreadListing(store, workers=4))
    assert asyncio.all_tasks() == before


async def test_a_reader_that_leaves_early_leaves_nobody_working() -> None:
    before = asyncio.all_tasks()
    store = await Listed([f"{number:04}" for number in range(600)]).fill()
    async with aclosing(SpreadListing(store, workers=4).pages()) as pages:
        await anext(pages)
    assert asyncio.all_tasks() == before


async def test_a_broken_promise_of_order_is_an_error() -> None:
    class Backwards(Listed):
        async def list(self, prefix: str = "", options: ListOptions = LIST) -> AsyncIterator[ListPage]:
            async for page in super().list(prefix, options):
                yield ListPage(page.objects[::-1], page.prefixes)

    store = await Backwards(["a", "b", "c"]).fill()
    with pytest.raises(Disordered, match="is not in byte order"):
        await collect(SpreadListing(store))


async def test_only_an_ordered_listing_can_be_taken_up_again() -> None:
    with pytest.raises(ValueError, match="in byte order"):
        SpreadListing(Listed([], ordered=None), start=[Span("")])


async def test_the_time_of_an_answer_is_the_median() -> None:
    ticks = iter(range(1_000))
    times: dict[str, Any] = {"clock": lambda: float(next(ticks))}
    listing = SpreadListing(await Listed(["a"]).fill(), **times)
    assert listing.latency == 0.0
    await collect(listing)
    assert listing.latency == 1.0


def test_directories_are_asked_from_the_one_that_holds_both_ends_down() -> None:
    assert list(levels("in/", "in/a/b/x", "")) == ["in/", "in/a/", "in/a/b/"]
    assert list(levels("", "in/a/b/x", "in/a/c/")) == ["in/a/", "in/a/b/"]
    assert list(levels("i", "in", "")) == ["i"]


def test_cuts_leave_a_page_of_names_on_each_side() -> None:
    names = ["d/a/", "d/b/", "d/c/", "d/d/", "d/e/", "d/f/"]
    assert from_names(names, "d/a/9", "", ["d/a/8", "d/a/9"], 10) == names[1:]
    assert from_names(names, "d/a/9", "d/e/", ["d/a/8"], 10) == ["d/b/", "d/c/", "d/d/"]
    assert from_names(names, "d/a/9", "", ["d/a/8"], 2) == ["d/d/"]
    assert from_names(names, "d/b/9", "", ["d/a/1", "d/b/9"], 9) == ["d/d/", "d/f/"]
    assert from_names(names, "d/z", "", [], 9) == []


def test_guesses_go_from_far_to_near_and_stay_within_the_bounds() -> None:
    assert list(guesses(2, "d/000", "d/019", "")) == ["d/5", "d/05"]
    assert list(guesses(2, "d/000", "d/019", "d/3")) == ["d/1", "d/05"]
    assert list(guesses(0, "9a", "9f", "")) == ["a", "9p"]
    assert list(guesses(0, "-", "-", "")) == []
