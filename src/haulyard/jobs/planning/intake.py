"""What a plan is made of: the selected objects, a page at a time, from a listing, a manifest or one HEAD.

An `Intake` knows how far it has come (`Intake.position`), so that a plan that was killed goes on where its
last shard ends. A listing in byte order goes on behind the keys that were listed, a manifest behind the
entries that were read. A listing without order cannot: it starts again.
"""

from __future__ import annotations

import zlib
from contextlib import aclosing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from haulyard.errors import JobError, NotFound
from haulyard.models import GetOptions, ObjectInfo
from haulyard.stores.local import LocalStore
from haulyard.transfer.filters import Filter
from haulyard.transfer.manifest import find_listed
from haulyard.transfer.sources import explain_missing, nothing_there
from haulyard.transfer.spread import Span, SpreadListing
from haulyard.transfer.workers import run_workers

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping, Sequence

    from haulyard.jobs.ends import Ends
    from haulyard.jobs.specification import Specification
    from haulyard.stores.base import Store
    from haulyard.transfer.items import Item
    from haulyard.transfer.manifest import OpenBucket

_NEVER: Final = datetime.fromtimestamp(0, UTC)
#: Objects of a manifest that are described, and written down, at a time.
_PAGE: Final = 1_000


class Batch(NamedTuple):
    """Some objects of the source; ``versions`` are their version ids, None where all are the current ones."""

    objects: list[ObjectInfo]
    versions: list[str] | None = None


class Intake:
    """The selected objects of a job's source.

    Args:
        ends: The job's stores.
        specification: What is selected, with which filters, from which manifest.
        concurrency: Requests at a time.
        position: Where to go on: what `position` returned before; None for the beginning.
        open_bucket: Opens other buckets than the source's, for manifests that lie there.

    ``requests`` counts what was asked of the store, by kind; ``latency`` is the median of the seconds that a
    page of a listing took, 0.0 without one.
    """

    def __init__(
        self,
        ends: Ends,
        specification: Specification,
        *,
        concurrency: int,
        position: Mapping[str, Any] | None = None,
        open_bucket: OpenBucket | None = None,
    ) -> None:
        self.requests: dict[str, int] = {}
        self.latency = 0.0
        self._store: Store = ends.source
        self._selection = ends.selection
        self._filters = Filter(specification.patterns)
        self._manifest = specification.manifest
        self._concurrency = concurrency
        self._open_bucket = open_bucket
        self._begin: Mapping[str, Any] = position or {}
        self._tell: Callable[[], dict[str, Any] | None] = lambda: {"complete": True}

    def position(self) -> dict[str, Any] | None:
        """Return, for JSON, how far the batches that were yielded reach; None where that cannot be said."""
        return self._tell()

    def batches(self) -> AsyncGenerator[Batch]:
        """Return the pages of objects that are left; close it where it is left early.

        Raises:
            NotFound: There is nothing to select (before filtering).
            JobError: The manifest is not the one that was begun with.
        """
        if self._begin.get("complete"):
            return _nothing()
        if self._manifest:
            return self._listed()
        return self._alone() if self._selection.kind == "object" else self._found()

    async def _found(self) -> AsyncGenerator[Batch]:
        """List the source."""
        spans = [Span(*span) for span in self._begin["spans"]] if self._begin else None
        listing = SpreadListing(
            self._store,
            self._selection.prefix,
            # A directory is read by one thread, and from its beginning for each part.
            workers=1 if isinstance(self._store, LocalStore) else self._concurrency,
            start=spans,
        )
        self._tell = lambda: {"spans": listing.position()} if listing.is_ordered else None
        is_wildcard = self._selection.kind == "wildcard"
        selected, accepts = self._selection.predicate(), self._filters.accepts
        cut, is_open = len(self._selection.base), self._filters.is_open
        empty = spans is None
        async with aclosing(listing.pages()) as pages:
            async for objects in pages:
                self.requests["list"], self.latency = listing.requests, listing.latency
                if is_wildcard:
                    objects = [info for info in objects if selected(info.key)]  # noqa: PLW2901 -- a page filtered
                empty = empty and not objects
                if not is_open:
                    objects = [info for info in objects if accepts(info.key[cut:])]  # noqa: PLW2901 -- likewise
                yield Batch(objects)
        self.requests["list"] = max(1, listing.requests)
        if empty:
            raise nothing_there(self._store, self._selection)

    async def _alone(self) -> AsyncGenerator[Batch]:
        """Describe the one object that is named."""
        self._tell = lambda: None
        key = self._selection.key
        if not self._filters.accepts(key[len(self._selection.base) :]):
            return
        self.requests["head"] = 1
        try:
            head = await self._store.head(key)
        except NotFound as error:
            raise await explain_missing(self._store, key, error) from error
        yield Batch([ObjectInfo(key, head.size, head.last_modified or _NEVER, head.etag, head.storage_class)])

    async def _listed(self) -> AsyncGenerator[Batch]:
        """Read the manifest, and ask for what it does not tell."""
        read = _Read(self._begin)
        self._tell = read.position
        listed = find_listed(
            self._store,
            self._selection,
            self._manifest,
            self._filters,
            open_bucket=self._open_bucket,
            with_properties=True,
        )
        async with aclosing(listed) as pages:
            async for found in pages:
                for start in range(0, len(found), _PAGE):
                    page = read.unread([each.item for each in found[start : start + _PAGE]])
                    if page:
                        yield await self._described(page)
        read.check_end()

    async def _described(self, items: Sequence[Item]) -> Batch:
        """Return what a listing would say of these objects; one that does not exist has the size -1."""
        infos: list[ObjectInfo | None] = [None] * len(items)
        queue = iter(enumerate(items))
        asked = sum(item.size < 0 for item in items)

        async def work() -> None:
            for at, item in queue:
                infos[at] = _as_told(item) if item.size >= 0 else await _describe(self._store, item)

        await run_workers(work, max(1, min(self._concurrency, asked)))
        self.requests["head"] = self.requests.get("head", 0) + asked
        versions = [item.version_id for item in items]
        return Batch([info for info in infos if info is not None], versions if any(versions) else None)


class _Read:
    """Counts the entries of a manifest that were read, with a checksum of their names."""

    def __init__(self, position: Mapping[str, Any]) -> None:
        self._skip: int = position.get("entries", 0)
        self._expected: int = position.get("checksum", 0)
        self._entries = self._checksum = 0

    def position(self) -> dict[str, Any]:
        """Return how far it was read."""
        return {"entries": self._entries, "checksum": self._checksum}

    def unread(self, items: Sequence[Item]) -> Sequence[Item]:
        """Take a page of entries, and return those that an earlier run has not read."""
        skipped = min(len(items), max(0, self._skip - self._entries))
        for part in (items[:skipped], items[skipped:]):
            names = "".join(f"{item.key}\n{item.version_id}\n" for item in part)
            self._checksum = zlib.crc32(names.encode(), self._checksum)
            self._entries += len(part)
            if self._entries == self._skip and self._checksum != self._expected:
                raise _another_manifest()
        return items[skipped:]

    def check_end(self) -> None:
        """Refuse a manifest that ends before what was read of it."""
        if self._entries < self._skip:
            raise _another_manifest()


async def fetch_tags(
    store: Store, batch: Batch, wanted: Sequence[bool], concurrency: int
) -> list[Mapping[str, str] | None]:
    """Return the tags of the objects that are wanted, None for the others; an absent object has none."""
    tags: list[Mapping[str, str] | None] = [None] * len(batch.objects)
    queue = iter([at for at, is_wanted in enumerate(wanted) if is_wanted])

    async def work() -> None:
        for at in queue:
            version = batch.versions[at] if batch.versions else ""
            try:
                tags[at] = await store.get_tags(batch.objects[at].key, version)
            except NotFound:
                tags[at] = {}

    count = sum(wanted)
    if count:
        await run_workers(work, min(concurrency, count))
    return tags


async def _nothing() -> AsyncGenerator[Batch]:
    nothing: tuple[Batch, ...] = ()
    for batch in nothing:
        yield batch


def _as_told(item: Item) -> ObjectInfo:
    modified = datetime.fromtimestamp(item.modified, UTC)
    return ObjectInfo(item.key, item.size, modified, item.etag, item.storage_class or "STANDARD")


async def _describe(store: Store, item: Item) -> ObjectInfo:
    try:
        head = await store.head(item.key, GetOptions(version_id=item.version_id))
    except NotFound:
        return ObjectInfo(item.key, -1, _NEVER)
    return ObjectInfo(item.key, head.size, head.last_modified or _NEVER, head.etag, head.storage_class)


def _another_manifest() -> JobError:
    return JobError(
        "the manifest is not the one that this plan was begun with",
        hint="give the same one, or start over with --new",
    )
