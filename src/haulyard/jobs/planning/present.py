"""What is in the destination already, as far as the listing of the source does not say it."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Final, Self

from haulyard.transfer.scratch import DiskListing
from haulyard.transfer.spread import Span, SpreadListing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from haulyard.jobs.ends import Ends
    from haulyard.models import ObjectInfo

#: The last character of Unicode: what starts with a prefix comes before the prefix with it appended.
_LAST: Final = "\U0010ffff"


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
        workers: int = 32,
    ) -> Present:
        """List what is in the destination below ``prefixes``; with none of them, nothing.

        ``covered`` is a prefix below which the listing of the source says all: None where it does not (a
        manifest, filters). It counts only where both ends are one store. ``between`` are the first and the
        last destination, where they are known: what lies outside is not asked for, so that a job with few
        objects need not list all that is there. ``workers`` is how many requests are made at a time.

        Raises:
            StoreError: The destination is missing, or cannot be listed.
        """
        inside = covered if ends.is_one_store else None
        wanted = [
            prefix
            for prefix in _narrowed(prefixes, between)
            if inside is None or not prefix.startswith(inside)
        ]
        present = cls()
        if not wanted:
            return present
        try:
            if ends.destination.capabilities.ordered_listing:
                spans = [span for prefix in wanted for span in _spans(prefix, between, inside)]
                await present._list(SpreadListing(ends.destination, workers=workers, start=spans), inside)
            else:
                for prefix in wanted:
                    await present._list(SpreadListing(ends.destination, prefix, workers=workers), inside)
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

    async def _list(self, listing: SpreadListing, covered: str | None) -> None:
        async with aclosing(listing.pages()) as pages:
            async for page in pages:
                self._add([each for each in page if covered is None or not each.key.startswith(covered)])

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
