"""What is in the destination already, as far as the listing of the source does not say it."""

from __future__ import annotations

from contextlib import aclosing, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from haulyard.errors import NotFound
from haulyard.models import ObjectInfo
from haulyard.transfer.scratch import DiskListing
from haulyard.transfer.spread import Span, SpreadListing
from haulyard.transfer.workers import run_workers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from haulyard.jobs.ends import Ends
    from haulyard.stores.base import Store

#: The last character of Unicode: what starts with a prefix comes before the prefix with it appended.
_LAST: Final = "\U0010ffff"
#: A page of a listing costs as much as twelve HEAD requests (AWS, us-east-1) and takes as long as a few. So
#: listing is given up after this many pages and one for each so many names: at worst an eighth was in vain.
_FEW: Final = 16
_SHARE: Final = 8
_PAGE: Final = 1_000
_NEVER: Final = datetime.fromtimestamp(0, UTC)


class Names(NamedTuple):
    """The destinations of a plan: how many, and a function that reads them, a page at a time."""

    number: int
    pages: Callable[[], Iterator[list[str]]]


class Present:
    """Objects of the destination, in a table on disk. Close it, or use it as a context manager.

    It costs nothing until there is one.
    """

    def __init__(self) -> None:
        self._table: DiskListing | None = None
        self.count = 0
        """How many there are."""

    @classmethod
    async def listed(
        cls,
        ends: Ends,
        prefixes: Iterable[str],
        *,
        covered: str | None = None,
        between: tuple[str, str] | None = None,
        names: Names | None = None,
        workers: int = 32,
    ) -> Present:
        """List what is in the destination below ``prefixes``; with none of them, nothing.

        ``covered`` is a prefix below which the listing of the source says all: None where it does not (a
        manifest, filters). It counts only where both ends are one store. ``between`` are the first and the
        last destination, where they are known: what lies outside is not asked for. ``names`` are all the
        destinations: where it turns out that asking for them one by one is cheaper than to go on listing,
        that is done, so that a few objects can go to where millions are. ``workers`` is how many requests
        are made at a time.

        Raises:
            StoreError: The destination is missing, or cannot be listed or read.
        """
        inside = covered if ends.is_one_store else None
        wanted = [
            prefix
            for prefix in _narrowed(prefixes, between)
            if inside is None or not prefix.startswith(inside)
        ]
        present = cls()
        try:
            if wanted and not await present._list(ends.destination, wanted, inside, between, names, workers):
                present._forget()
                await present._ask(ends.destination, names, inside, workers)
        except BaseException:
            present.close()
            raise
        return present

    def find(self, destinations: Sequence[str]) -> dict[str, ObjectInfo]:
        """Return the objects at those of ``destinations`` where there is one."""
        return self._table.find(destinations) if self._table and destinations else {}

    def pages(self) -> Iterator[list[str]]:
        """Yield all keys, a page at a time."""
        if self._table:
            for page in self._table.unticked():
                yield [each.key for each in page]

    def close(self) -> None:
        """Let the table vanish; closing twice is harmless."""
        if self._table:
            self._table.close()
            self._table = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    async def _list(
        self,
        store: Store,
        prefixes: list[str],
        covered: str | None,
        between: tuple[str, str] | None,
        names: Names | None,
        workers: int,
    ) -> bool:
        """List the prefixes; False where that was given up, for asking for ``names`` is cheaper."""
        if store.capabilities.ordered_listing:
            spans = [span for prefix in prefixes for span in _spans(prefix, between, covered)]
            listings = [SpreadListing(store, workers=workers, start=spans)]
        else:
            listings = [SpreadListing(store, prefix, workers=workers) for prefix in prefixes]
        count = 0
        for listing in listings:
            async with aclosing(listing.pages()) as pages:
                async for page in pages:
                    self._add([each for each in page if covered is None or not each.key.startswith(covered)])
                    count += 1
                    if names is not None and count > _FEW + names.number // _SHARE:
                        return False
        return True

    async def _ask(self, store: Store, names: Names | None, covered: str | None, workers: int) -> None:
        """Ask for each name."""
        wanted = iter(()) if names is None else (name for page in names.pages() for name in page)
        found: list[ObjectInfo] = []

        async def work() -> None:
            for name in wanted:
                if covered is not None and name.startswith(covered):
                    continue
                with suppress(NotFound):
                    head = await store.head(name)
                    found.append(ObjectInfo(name, head.size, head.last_modified or _NEVER, head.etag))
                if len(found) >= _PAGE:
                    self._add(found)
                    found.clear()

        await run_workers(work, workers)
        self._add(found)

    def _forget(self) -> None:
        self.close()
        self.count = 0

    def _add(self, objects: list[ObjectInfo]) -> None:
        if objects:
            self._table = self._table or DiskListing()
            self._table.add(objects)
            self.count += len(objects)


def _narrowed(prefixes: Iterable[str], between: tuple[str, str] | None) -> list[str]:
    """Return the prefixes to list: none inside another, and none that holds no destination."""
    lowest, highest = between or ("", _LAST)
    common = _common(lowest, highest)
    kept: list[str] = []
    for prefix in sorted(set(prefixes)):
        if prefix + _LAST < lowest or prefix > highest:
            continue
        longer = common if common.startswith(prefix) else prefix
        if not kept or not longer.startswith(kept[-1]):
            kept.append(longer)
    return kept


def _spans(prefix: str, between: tuple[str, str] | None, covered: str | None) -> list[Span]:
    """Return the ranges of keys to list below ``prefix``."""
    lowest, highest = between or ("", "")
    # Anything just before the first destination will do; what is listed too much does no harm.
    after = lowest[:-1] if lowest[:-1] > prefix else ""
    if covered is None or not covered.startswith(prefix):
        return [Span(prefix, after, highest)]
    behind = covered + _LAST
    spans = []
    if after < covered:
        spans.append(Span(prefix, after, min(highest or covered, covered)))
    if not highest or highest > behind:
        spans.append(Span(prefix, max(after, behind), highest))
    return spans


def _common(one: str, other: str) -> str:
    length = 0
    for left, right in zip(one, other, strict=False):
        if left != right:
            break
        length += 1
    return one[:length]
