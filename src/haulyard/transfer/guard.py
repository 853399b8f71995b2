"""Not replacing what is there: ``--no-clobber`` and ``--update``, decided by a look at the destination."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from haulyard.errors import NotFound
from haulyard.events import TransferDone
from haulyard.models import GetOptions
from haulyard.transfer.items import prefix_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from haulyard.models import Encryption, ObjectHead
    from haulyard.stores.base import Store
    from haulyard.transfer.items import Item, Job
    from haulyard.transfer.options import TransferOptions

    Move = Callable[[Job], Awaitable[TransferDone]]


def guarded(move: Move, source: Store, destination: Store, options: TransferOptions) -> Move:
    """Return ``move``, whose ``options`` these are, preceded by a look at what has the destination's name.

    With ``no_clobber`` anything there is kept; the write itself is conditional too, where the store can.
    Without, it is replaced only by what is newer (whole seconds) or of another size.
    """
    here, there = prefix_of(source), prefix_of(destination)
    looking = looking_at(destination, options.put.encryption)

    async def move_guarded(job: Job) -> TransferDone:
        try:
            current = await destination.head(job.destination, looking)
        except NotFound:
            return await move(job)
        reason = "exists already"
        item = job.item
        if not options.no_clobber:
            item = item if item.modified else await _described(item)
            if _is_newer(item, current):
                return await move(job)
            reason = "is not newer"
        return TransferDone("skip", here + item.key, there + job.destination, item.size, reason=reason)

    async def _described(item: Item) -> Item:
        reading = looking_at(source, options.source_encryption)
        head = await source.head(item.key, replace(reading, version_id=item.version_id))
        modified = head.last_modified.timestamp() if head.last_modified else 0.0
        return item._replace(size=head.size, modified=modified, etag=head.etag)

    return move_guarded


def _is_newer(item: Item, current: ObjectHead) -> bool:
    if item.size != current.size or current.last_modified is None:
        return True
    return int(item.modified) > int(current.last_modified.timestamp())


def looking_at(store: Store, encryption: Encryption | None) -> GetOptions:
    """Return how an object of ``store`` is described: one with SSE-C only to who has its key."""
    is_customers = encryption is not None and encryption.mode == "SSE-C" and store.capabilities.metadata
    return GetOptions(encryption=encryption) if is_customers else GetOptions()
