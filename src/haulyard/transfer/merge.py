"""Merges two listings into pairs of objects with the same path, a page at a time, in constant memory.

**Contract.** Both listings come in UTF-8 byte order of their relative paths, each path once. That is what
`Capabilities.ordered_listing` True promises, and nothing less: of a store where it is False or not yet
proved the listing must not come here (`haulyard.transfer.sync` then compares on disk), because "missing on
the other side" is told as soon as the other listing has passed the place, and acted upon. The order is
verified under way all the same; `Disordered` means that a promise was broken. Then what was told before is
not to be relied on, which is why `sync` deletes nothing until both listings have ended without it.

Strings of Python compare by code point, which is the order of their UTF-8 bytes.
"""

from __future__ import annotations

from operator import lt
from typing import TYPE_CHECKING

from haulyard.errors import StoreError
from haulyard.models import ObjectInfo
from haulyard.transfer.ahead import Ahead

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

#: A page of a listing: the paths relative to what is compared, and the objects that they belong to.
Page = tuple[list[str], list[ObjectInfo]]
#: Source and destination of one path; one of them may be None.
Pair = tuple[ObjectInfo | None, ObjectInfo | None]


class Disordered(StoreError):
    """A listing that was promised in UTF-8 byte order is not."""


async def merge(
    left: AsyncGenerator[Page],
    right: AsyncGenerator[Page],
    names: tuple[str, str] = ("source", "destination"),
) -> AsyncGenerator[list[Pair]]:
    """Yield pages of pairs, every path of both listings once and in order.

    ``names`` are what the listings are called in an error.

    Raises:
        Disordered: The order is not as promised.
    """
    sides = _Cursor(left, names[0]), _Cursor(right, names[1])
    one, other = sides
    try:
        while True:
            await one.fill()
            await other.fill()
            if pairs := _join(one, other):
                yield pairs
            elif one.is_over and other.is_over:
                return
    finally:
        for side in sides:
            await side.close()


class _Cursor:
    """A listing that is being merged: the page at hand, from position ``at`` on."""

    def __init__(self, pages: AsyncGenerator[Page], name: str) -> None:
        self.keys: list[str] = []
        self.objects: list[ObjectInfo] = []
        self.at = 0
        self.is_over = False
        self._last: str | None = None
        self._ahead = Ahead(pages)
        self._name = name

    async def fill(self) -> None:
        """Have something at hand, or know that there is nothing more."""
        while self.at == len(self.keys) and not self.is_over:
            page = await self._ahead.take()
            self.is_over = page is None
            self.keys, self.objects = page or ([], [])
            self.at = 0
            self._check()

    async def close(self) -> None:
        await self._ahead.close()

    def _check(self) -> None:
        """Verify that the page at hand is in order and follows the one before."""
        keys = self.keys
        if not keys:
            return
        if (self._last is None or self._last < keys[0]) and all(map(lt, keys, keys[1:])):
            self._last = keys[-1]
            return
        before = self._last
        for key in keys:
            if before is not None and not before < key:
                raise Disordered(
                    f"the listing of {self._name} is not in byte order, which the store was taken to keep: "
                    f"{key!r} came after {before!r}",
                    operation="list",
                    key=key,
                    hint="nothing was deleted; let `haul doctor` prove anew what the store can do",
                )
            before = key


def _join(left: _Cursor, right: _Cursor) -> list[Pair]:
    """Pair what is at hand until one side has to turn its page; a side that is over has nothing to say."""
    keys, others = left.keys, right.keys
    ours, theirs = left.objects, right.objects
    i, j, end, other_end = left.at, right.at, len(keys), len(others)
    pairs: list[Pair] = []
    add = pairs.append
    while i < end and j < other_end:
        key, other = keys[i], others[j]
        if key == other:
            add((ours[i], theirs[j]))
            i += 1
            j += 1
        elif key < other:
            add((ours[i], None))
            i += 1
        else:
            add((None, theirs[j]))
            j += 1
    if right.is_over:
        pairs.extend([(each, None) for each in ours[i:]])
        i = end
    if left.is_over:
        pairs.extend([(None, each) for each in theirs[j:]])
        j = other_end
    left.at, right.at = i, j
    return pairs
