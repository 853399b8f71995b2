"""Plans a `sync`: what to copy, in pages, and afterwards what to delete.

Two ways to compare, with the same result:

- Both stores list in UTF-8 byte order (`Capabilities.ordered_listing` is True): the listings are merged while
  they arrive (`haulyard.transfer.merge`).
- Else, or where that is not yet proved: the destination is listed to its end into a table on disk, then
  each page of the source is looked up in it. Right in any order, and memory stays bounded too.

What a listing that failed did not say is never taken for missing: deletions are told only after both
listings have ended, nothing failed, and the source was not empty.
"""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Self

from haulyard.errors import ConfigError, NotFound, S3NotFound, StoreError, TransferError
from haulyard.events import Warned, ignore
from haulyard.transfer.compare import (
    CONTENTS_DIFFER,
    DEFAULT_RULES,
    NOT_COMPARABLE,
    UNCHANGED,
    decide,
    unchanged,
)
from haulyard.transfer.evidence import ContentComparer
from haulyard.transfer.filters import ACCEPT_ALL
from haulyard.transfer.items import Item, Job, Summary, prefix_of
from haulyard.transfer.mapping import location
from haulyard.transfer.merge import merge
from haulyard.transfer.selection import as_directory
from haulyard.transfer.workers import run_workers

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator

    from haulyard.events import Emit
    from haulyard.models import ObjectInfo
    from haulyard.stores.base import Store
    from haulyard.transfer.compare import Decision, SyncRules
    from haulyard.transfer.filters import Filter
    from haulyard.transfer.merge import Page, Pair
    from haulyard.transfer.scratch import DiskListing

    #: Says whether two objects of equal size have the same content.
    SameContent = Callable[[Item, Item], Awaitable[bool]]

_LOOKS: Final = 32
"""Pairs whose contents are compared at a time."""
_NOTHING_FAILED: Final = Summary()
_AGAIN: Final = "run the same command again"


@dataclass(slots=True)
class SyncCounts:
    """What the comparison saw and decided, so far.

    ``source`` and ``destination`` count the objects that take part, ``copies``, ``skipped`` and ``deletions``
    what was decided; ``copy_bytes`` are the bytes to copy, ``reasons`` say why how often.
    """

    source: int = 0
    destination: int = 0
    copies: int = 0
    copy_bytes: int = 0
    skipped: int = 0
    deletions: int = 0
    reasons: dict[str, int] = field(default_factory=dict)


class SyncPlan:
    """The comparison of two trees. Use it as an async context manager: first `jobs`, then `deletions`.

    ``source_prefix`` and ``destination_prefix`` are trees, with or without their slash. ``same_content`` is
    for ``rules.checksum``; given, it can know SSE-C keys. ``source_pages`` takes the place of the source's
    listing (a manifest, `haulyard.transfer.sources.described`). ``emit`` hears a `Warned` where there is
    nothing to do.

    Objects of one tree that lie under the other tree (of the same store) take no part.

    Raises:
        ConfigError: Both trees are the same, or a manifest is to decide what is deleted.
    """

    def __init__(
        self,
        source: Store,
        source_prefix: str,
        destination: Store,
        destination_prefix: str,
        rules: SyncRules = DEFAULT_RULES,
        filters: Filter = ACCEPT_ALL,
        *,
        same_content: SameContent | None = None,
        source_pages: AsyncGenerator[list[ObjectInfo]] | None = None,
        emit: Emit = ignore,
    ) -> None:
        if rules.delete and source_pages is not None:
            raise ConfigError(
                "--delete with --manifest would delete all that the manifest does not name",
                hint="leave one of them out",
            )
        ends = (source, as_directory(source_prefix)), (destination, as_directory(destination_prefix))
        self.counts = SyncCounts()
        self._source = _Side(*ends[0], ends[1], rules, filters, listing=source_pages)
        self._destination = _Side(*ends[1], ends[0], rules, filters, may_be_missing=True)
        self._rules = rules
        self._same_content = same_content or ContentComparer(source, destination)
        self._emit = emit
        self._table: DiskListing | None = None
        self._is_complete = False
        self._jobs = self._plan()

    @property
    def merges(self) -> bool:
        """Whether both listings come in order, so that jobs are told while they arrive."""
        return self._source.is_ordered and self._destination.is_ordered

    def jobs(self) -> AsyncGenerator[list[Job]]:
        """Return the pages of what to copy; there is one pass over them.

        Raises:
            NotFound: The source is missing; or it is empty, and ``rules.delete`` would empty the destination.
            Disordered: A store does not list in the order that it was proved to.
            StoreError: A listing failed.
        """
        return self._jobs

    def deletions(self, copied: Summary = _NOTHING_FAILED) -> Iterator[list[Item]]:
        """Return pages of what to delete in the destination, in the order of its keys.

        To be called after `jobs` has ended; ``copied`` is what became of them (of a dry run: nothing bad).

        Raises:
            TransferError: Nothing must be deleted: a copy failed, not all were made, `jobs` was not read to
                its end, or there is more to delete than ``rules.max_delete``.
        """
        count, limit = self.counts.deletions, self._rules.max_delete
        if copied.interrupted or not self._is_complete:
            raise TransferError("sync did not get to the end: nothing was deleted", hint=_AGAIN)
        if count and copied.failed:
            raise TransferError(
                f"{copied.failed} objects were not copied: nothing was deleted",
                failed=copied.failed,
                hint=_AGAIN,
            )
        if limit is not None and count > limit:
            raise TransferError(
                f"{count} objects would be deleted, more than --max-delete {limit}: nothing was deleted",
                hint="look at them with --dry-run, then raise --max-delete",
            )
        pages = self._table.unticked() if self._table is not None and count else iter(())
        return ([Item.from_info(info) for info in page] for page in pages)

    async def close(self) -> None:
        """Stop listing and let go of what is on disk; closing twice is harmless."""
        await self._jobs.aclose()
        if self._table is not None:
            self._table.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def _plan(self) -> AsyncGenerator[list[Job]]:
        async with aclosing(self._merged() if self.merges else self._looked_up()) as pages:
            async for pairs in pages:
                jobs = await self._decide(pairs)
                if jobs:
                    yield jobs
        self._end()

    def _end(self) -> None:
        """Both listings have ended: know what is to be deleted, or refuse to."""
        counts = self.counts
        counts.source, counts.destination = self._source.count, self._destination.count
        if not counts.source:
            message = f"there is nothing to sync under {self._source.name}"
            if self._rules.delete:
                raise NotFound(
                    f"{message}: --delete would empty {self._destination.name}",
                    operation="list",
                    bucket=self._source.store.bucket,
                    key=self._source.prefix,
                    hint="check the source and the filters; what is really unwanted goes with `haul rm`",
                )
            self._emit(Warned(message, hint="check the source and the filters"))
        if self._rules.delete and self._table is not None:
            counts.deletions = self._table.count_unticked()
        self._is_complete = True

    async def _merged(self) -> AsyncGenerator[list[Pair]]:
        pages = self._source.pages(), self._destination.pages()
        async with aclosing(merge(*pages, (self._source.name, self._destination.name))) as merged:
            async for pairs in merged:
                if self._rules.delete and (
                    extra := [there for here, there in pairs if here is None and there]
                ):
                    self._scratch().add(extra)
                yield pairs

    async def _looked_up(self) -> AsyncGenerator[list[Pair]]:
        table = self._scratch()
        async with aclosing(self._destination.pages()) as pages:
            async for _, objects in pages:
                table.add(objects)
        prefix = self._destination.prefix
        async with aclosing(self._source.pages()) as pages:
            async for relatives, objects in pages:
                keys = [prefix + relative for relative in relatives]
                found = table.find(keys)
                if self._rules.delete:
                    table.tick(list(found))
                yield [(here, found.get(key)) for here, key in zip(objects, keys, strict=True)]

    def _scratch(self) -> DiskListing:
        if self._table is None:
            # Only here: most runs need no SQLite, whose import takes 8 ms.
            from haulyard.transfer.scratch import DiskListing

            self._table = DiskListing()
        return self._table

    async def _decide(self, pairs: list[Pair]) -> list[Job]:
        """Return the copies of a page of pairs."""
        jobs: list[Job] = []
        looks: list[tuple[Item, Item]] = []
        trusts = self._rules.trusts_listings
        same = 0
        for here, there in pairs:
            if here is None:
                continue
            if trusts and there is not None and unchanged(here, there):
                same += 1
                continue
            source, destination = Item.from_info(here), Item.from_info(there) if there else None
            decision = decide(source, destination, self._rules)
            if destination is not None and decision.action == "look":
                looks.append((source, destination))
            else:
                self._take(source, decision, jobs)
        if same:
            self._count(UNCHANGED, same)
        if looks:
            await self._look(looks, jobs)
        return jobs

    async def _look(self, looks: list[tuple[Item, Item]], jobs: list[Job]) -> None:
        """Compare contents, some at a time; what cannot be compared is copied."""
        queue = iter(looks)

        async def work() -> None:
            for source, destination in queue:
                decision = await self._compare(source, destination)
                self._take(source, decision, jobs)

        await run_workers(work, min(_LOOKS, len(looks)))

    async def _compare(self, source: Item, destination: Item) -> Decision:
        try:
            return UNCHANGED if await self._same_content(source, destination) else CONTENTS_DIFFER
        except StoreError:
            return NOT_COMPARABLE

    def _take(self, source: Item, decision: Decision, jobs: list[Job]) -> None:
        self._count(decision)
        if decision.action == "copy":
            self.counts.copy_bytes += max(source.size, 0)
            relative = source.key[len(self._source.prefix) :]
            jobs.append(Job(source, self._destination.prefix + relative))

    def _count(self, decision: Decision, times: int = 1) -> None:
        counts = self.counts
        if decision.action == "copy":
            counts.copies += times
        else:
            counts.skipped += times
        counts.reasons[decision.reason] = counts.reasons.get(decision.reason, 0) + times


class _Side:
    """One end of a sync: the tree below a prefix, and which of its objects take part."""

    def __init__(
        self,
        store: Store,
        prefix: str,
        other: tuple[Store, str],
        rules: SyncRules,
        filters: Filter,
        *,
        listing: AsyncGenerator[list[ObjectInfo]] | None = None,
        may_be_missing: bool = False,
    ) -> None:
        self.store = store
        self.prefix = prefix
        self.name = prefix_of(store) + prefix
        self.count = 0
        self.is_ordered = listing is None and store.capabilities.ordered_listing is True
        self._listing = listing
        self._may_be_missing = may_be_missing
        self._accepts = filters.accepts
        self._keep_markers = rules.keep_markers
        self._foreign = self._under(*other)
        self._takes_all = filters.is_open and rules.keep_markers and self._foreign is None

    async def pages(self) -> AsyncGenerator[Page]:
        """Yield what takes part, with paths relative to the prefix."""
        cut = len(self.prefix)
        async for objects in self._listed():
            taking = objects if self._takes_all else [info for info in objects if self._takes(info)]
            relatives = [info.key[cut:] for info in taking]
            if "" in relatives:
                # The marker of the tree itself, which is no object in it.
                taking = [info for info in taking if len(info.key) > cut]
                relatives = [info.key[cut:] for info in taking]
            self.count += len(relatives)
            if relatives:
                yield relatives, taking

    async def _listed(self) -> AsyncGenerator[list[ObjectInfo]]:
        if self._listing is not None:
            async for objects in self._listing:
                yield objects
            return
        is_begun = False
        try:
            async for page in self.store.list(self.prefix):
                is_begun = True
                yield page.objects
        except NotFound as error:
            # A local directory is made by the first object that comes into it; a bucket is not.
            if is_begun or not self._may_be_missing or isinstance(error, S3NotFound):
                raise

    def _takes(self, info: ObjectInfo) -> bool:
        key = info.key
        if self._foreign is not None and key.startswith(self._foreign):
            return False
        if not self._keep_markers and info.size == 0 and key.endswith("/"):
            return False
        return self._accepts(key[len(self.prefix) :])

    def _under(self, other: Store, other_prefix: str) -> str | None:
        """Return what keys of this store that lie under the other tree start with; None if there are none."""
        here, there = location(self.store, self.prefix), location(other, other_prefix)
        if here == there:
            raise ConfigError(f"{self.name} is both source and destination", hint="name another destination")
        return there[len(location(self.store, "")) :] if there.startswith(here) else None
