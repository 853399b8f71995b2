"""Deleting the source of a move, once its copy is verified and only while it is what was copied."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from haulyard.errors import (
    HaulError,
    IntegrityError,
    NotFound,
    PreconditionFailed,
    SourceChanged,
    StoreError,
)
from haulyard.events import Warned
from haulyard.models import DeleteOptions
from haulyard.transfer.guard import looking_at
from haulyard.transfer.items import Item, prefix_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from haulyard.events import Emit, TransferDone
    from haulyard.models import ObjectHead
    from haulyard.stores.base import Store
    from haulyard.transfer.items import Job
    from haulyard.transfer.options import TransferOptions

    Move = Callable[[Job], Awaitable[TransferDone]]
    #: Says whether two objects of equal size have the same content.
    SameContent = Callable[[Item, Item], Awaitable[bool]]


def then_remove(
    move: Move,
    source: Store,
    destination: Store,
    options: TransferOptions,
    emit: Emit,
    *,
    same_content: SameContent | None = None,
) -> Move:
    """Return ``move`` followed by the deletion of the source.

    What the transfer could not verify by a checksum is compared by its size, and with ``same_content`` by
    that. The deletion carries If-Match on the ETag that was copied; a store whose If-Match on deletes was
    not proved (`Capabilities.conditional_delete`) is asked for the ETag again right before. ``options`` are
    those of ``move``, and should be durable.
    """
    remover = _Remover(source, destination, options, same_content)

    async def remove_after(job: Job) -> TransferDone:
        await remover.refuse_the_same(job)
        done = await move(job)
        if done.action == "skip" or done.error is not None:
            return done
        try:
            await remover.verify(job, done)
            await remover.delete(job.item.key, done)
        except SourceChanged:
            raise
        except HaulError as error:
            emit(Warned(f"{done.source} was copied to {done.destination} but not deleted", error.hint))
            raise
        return done._replace(action="move")

    return remove_after


class _Remover:
    def __init__(
        self,
        source: Store,
        destination: Store,
        options: TransferOptions,
        same_content: SameContent | None,
    ) -> None:
        self._source = source
        self._destination = destination
        self._reading = looking_at(source, options.source_encryption)
        self._looking = looking_at(destination, options.put.encryption)
        self._same_content = same_content
        # One bucket reached in two ways (endpoints, profiles, an access point) looks like two.
        self._may_be_one = source.identity != destination.identity and (
            source.bucket == destination.bucket
            or any(store.bucket.startswith("arn:") for store in (source, destination))
        )

    async def refuse_the_same(self, job: Job) -> None:
        """Raise where the object would be deleted instead of moved."""
        key = job.item.key
        if job.item.version_id:
            raise StoreError(
                f"{prefix_of(self._source)}{key}: a version cannot be moved, deleting it would leave others",
                operation="move",
                key=key,
                hint="copy it with haul cp, then delete it with haul rm --version-id",
            )
        if not self._may_be_one or key != job.destination:
            return
        try:
            there = await self._destination.head(key, self._looking)
        except NotFound:
            return
        here = await self._source.head(key, self._reading)
        if _looks(here) == _looks(there):
            raise IntegrityError(
                f"{prefix_of(self._source)}{key} seems to be its own destination: nothing was moved",
                operation="move",
                key=key,
                hint="if they are two objects that are equal, delete one of them with haul rm",
            )

    async def verify(self, job: Job, done: TransferDone) -> None:
        """Raise IntegrityError unless the copy is known to be one."""
        if done.verified == "checksum":
            return
        head = await self._destination.head(job.destination, self._looking)
        there = Item(job.destination, head.size)
        if head.size != done.size:
            found = f"has {head.size} bytes instead of {done.size}"
        elif self._same_content is not None and not await self._same_content(job.item, there):
            found = "has another content"
        else:
            return
        raise IntegrityError(
            f"the copy {done.destination} {found}",
            operation="move",
            key=job.destination,
            hint="the source was not deleted; run the command again",
        )

    async def delete(self, key: str, done: TransferDone) -> None:
        """Delete the source if it is still what was copied; one that is gone already counts as deleted."""
        etag, conditional = done.source_etag, self._source.capabilities.conditional_delete
        if not etag:
            raise IntegrityError(
                f"{done.source} has no ETag, so that nothing tells whether it is still what was copied",
                operation="move",
                key=key,
                hint="delete it with haul rm once nobody writes to it",
            )
        try:
            if conditional is not True:
                await self._source.head(key, replace(self._reading, if_match=etag))
            await self._source.delete(key, DeleteOptions(if_match="" if conditional is False else etag))
        except NotFound:
            return
        except PreconditionFailed as error:
            raise SourceChanged(
                f"{done.source} was replaced after it was copied; it was not deleted",
                operation="move",
                key=key,
                hint="the copy holds the older content; run the command again to move the newer one",
            ) from error


def _looks(head: ObjectHead) -> tuple[object, ...]:
    return (head.etag, head.size, head.last_modified)
