"""The source objects of a job, in the order of reading, each with what proves that it is still the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from haulyard.errors import ConfigError
from haulyard.models import GetOptions
from haulyard.records.model import SourceObject
from haulyard.transfer.filters import Filter
from haulyard.transfer.items import prefix_of
from haulyard.transfer.manifest import find_listed
from haulyard.transfer.sources import find
from haulyard.transfer.workers import run_workers

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Sequence

    from haulyard.stores.base import Store
    from haulyard.transfer.filters import Pattern
    from haulyard.transfer.items import Item
    from haulyard.transfer.manifest import OpenBucket
    from haulyard.transfer.selection import Selection
    from haulyard.transfer.sources import Found

#: Objects that are asked for at a time.
_HEADS: Final = 32


async def source_objects(
    store: Store,
    selection: Selection,
    patterns: Sequence[Pattern] = (),
    *,
    manifest: str = "",
    version_id: str = "",
    open_bucket: OpenBucket | None = None,
) -> AsyncGenerator[list[SourceObject]]:
    """Yield pages of what is selected; what a listing does not tell is asked for.

    Raises:
        NotFound: An object does not exist, or nothing is selected.
        ConfigError: A manifest cannot be understood.
    """
    filters = Filter(tuple(patterns))
    pages: AsyncIterator[list[Found]]
    if manifest:
        pages = find_listed(store, selection, manifest, filters, open_bucket=open_bucket)
    else:
        pages = find(store, selection, filters, version_id=version_id)
    count = 0
    async for page in pages:
        found = await _described(store, [each.item for each in page])
        yield [
            SourceObject(count + number, item.key, item.size, item.etag, item.version_id)
            for number, item in enumerate(found, 1)
        ]
        count += len(found)


def check_etag(store: Store, key: str, etag: str) -> None:
    """Raise ConfigError where an object has no ETag."""
    if not etag:
        raise ConfigError(
            f"{prefix_of(store)}{key} has no ETag: nobody could tell whether it was replaced",
            hint="copy it to a store that has ETags, or to a local file",
        )


async def _described(store: Store, items: list[Item]) -> list[Item]:
    """Return the items with their sizes and ETags."""
    unknown = iter([at for at, item in enumerate(items) if not item.etag or item.size < 0])

    async def work() -> None:
        for at in unknown:
            item = items[at]
            head = await store.head(item.key, GetOptions(version_id=item.version_id))
            check_etag(store, item.key, head.etag)
            items[at] = item._replace(size=head.size, etag=head.etag)

    if any(not item.etag or item.size < 0 for item in items):
        await run_workers(work, min(_HEADS, len(items)))
    return items
