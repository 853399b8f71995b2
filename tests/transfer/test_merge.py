from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haulyard.errors import StoreError
from haulyard.models import ObjectInfo
from haulyard.transfer.merge import Disordered, merge

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from haulyard.transfer.merge import Page

pytestmark = pytest.mark.anyio

NOW = datetime(2024, 1, 1, tzinfo=UTC)


async def listing(*pages: Sequence[str]) -> AsyncGenerator[Page]:
    for keys in pages:
        yield list(keys), [ObjectInfo(key, 1, NOW) for key in keys]


async def failing_after(*pages: Sequence[str]) -> AsyncGenerator[Page]:
    async for page in listing(*pages):
        yield page
    raise StoreError("cut off")


async def merged(left: AsyncGenerator[Page], right: AsyncGenerator[Page]) -> list[tuple[str, str]]:
    """The paths of both sides, ``""`` for one that is missing."""
    return [
        (one.key if one else "", other.key if other else "")
        async for pairs in merge(left, right)
        for one, other in pairs
    ]


async def test_each_path_of_both_sides_comes_once_and_in_order() -> None:
    assert await merged(listing(["a", "b"], ["d"]), listing(["b"], ["c", "d", "e"])) == [
        ("a", ""),
        ("b", "b"),
        ("", "c"),
        ("d", "d"),
        ("", "e"),
    ]


@pytest.mark.parametrize("pages", [[], [[]], [[], ["a"], [], ["b"]]])
async def test_a_side_without_objects_leaves_the_other_as_it_is(pages: list[list[str]]) -> None:
    keys = [key for page in pages for key in page]
    assert await merged(listing(*pages), listing()) == [(key, "") for key in keys]
    assert await merged(listing(), listing(*pages)) == [("", key) for key in keys]


paths = st.lists(st.text("ab/-.0\u00e9\U0001f600\uffff", max_size=4), unique=True, max_size=30)


def cut(keys: list[str], sizes: list[int]) -> list[list[str]]:
    """Pages of the given sizes, the rest in one."""
    pages, at = [], 0
    for size in sizes:
        pages.append(keys[at : at + size])
        at += size
    return [*pages, keys[at:]]


@given(
    left=paths,
    right=paths,
    left_sizes=st.lists(st.integers(0, 5), max_size=8),
    right_sizes=st.lists(st.integers(0, 5), max_size=8),
)
@settings(max_examples=300)
async def test_the_merge_is_the_full_outer_join_however_the_pages_are_cut(
    left: list[str], right: list[str], left_sizes: list[int], right_sizes: list[int]
) -> None:
    # The order of S3 is that of the UTF-8 bytes, whatever Python's may be.
    ordered = [sorted(keys, key=lambda key: key.encode()) for keys in (left, right)]
    pairs = [
        pair
        async for page in merge(listing(*cut(ordered[0], left_sizes)), listing(*cut(ordered[1], right_sizes)))
        for pair in page
    ]
    assert [one.key for one, _ in pairs if one] == ordered[0]
    assert [other.key for _, other in pairs if other] == ordered[1]
    keys = [one.key if one else other.key if other else "" for one, other in pairs]
    assert keys == sorted(set(left) | set(right), key=lambda key: key.encode())
    assert all(one.key == other.key for one, other in pairs if one and other)


@pytest.mark.parametrize(
    "pages",
    [
        # SeaweedFS, which sorts the names of each directory.
        [["a/b", "a-b", "a.txt", "a0"]],
        [["a/b"], ["a-b"]],
        [["b", "a"]],
        # UTF-16 puts these the other way round.
        [["\U0001f600", "\uffff"]],
        # A listing that repeats a page, or a key of it.
        [["a", "b"], ["b", "c"]],
        [["a", "a"]],
    ],
)
async def test_a_listing_out_of_order_is_noticed_on_either_side(pages: list[list[str]]) -> None:
    last = pages[-1][-1]
    with pytest.raises(Disordered, match="the listing of source is not in byte order"):
        await merged(listing(*pages), listing([last]))
    with pytest.raises(Disordered, match="the listing of destination is not in byte order") as caught:
        await merged(listing([last]), listing(*pages))
    assert "nothing was deleted" in caught.value.hint


async def test_the_disorder_is_shown() -> None:
    with pytest.raises(Disordered, match="'a-b' came after 'a/b'"):
        await merged(listing(["a/b", "a-b"]), listing())


async def test_a_listing_that_fails_is_not_a_listing_that_ended() -> None:
    with pytest.raises(StoreError, match="cut off"):
        await merged(failing_after(["a"]), listing(["a", "b"]))
    with pytest.raises(StoreError, match="cut off"):
        await merged(listing(["a", "b"]), failing_after(["a"]))


async def test_leaving_early_closes_both_listings() -> None:
    closed = []

    async def noting(name: str) -> AsyncGenerator[Page]:
        try:
            async for page in listing(["a"], ["b"], ["c"]):
                yield page
        finally:
            closed.append(name)

    pairs = merge(noting("left"), noting("right"))
    await anext(pairs)
    await pairs.aclose()
    assert sorted(closed) == ["left", "right"]
