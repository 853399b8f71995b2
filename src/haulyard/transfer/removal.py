"""Deleting the source of a move, once its copy is verified and only while it is what was copied."""

from __future__ import annotations

from typing import TYPE_CHECKING

from haulyard.errors import HaulError, PreconditionFailed, SourceChanged
from haulyard.events import Warned
from haulyard.models import DeleteOptions, GetOptions

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from haulyard.events import Emit, TransferDone
    from haulyard.stores.base import Store
    from haulyard.transfer.items import Job

    Move = Callable[[Job], Awaitable[TransferDone]]


def then_remove(move: Move, source: Store, emit: Emit) -> Move:
    """Return ``move`` followed by the deletion of the source.

    The deletion carries If-Match on the ETag that was copied. A store whose If-Match on deletes was not
    proved (`Capabilities.conditional_delete`) is asked for the ETag again right before.
    """

    async def remove_after(job: Job) -> TransferDone:
        done = await move(job)
        if done.action == "skip" or done.error is not None:
            return done
        key, etag = job.item.key, done.source_etag
        try:
            if source.capabilities.conditional_delete is not True:
                await source.head(key, GetOptions(if_match=etag))
            conditional = source.capabilities.conditional_delete is not False
            await source.delete(key, DeleteOptions(if_match=etag if conditional else ""))
        except PreconditionFailed as error:
            raise SourceChanged(
                f"{done.source} was replaced after it was copied; it was not deleted",
                operation="move",
                key=key,
                hint="The copy holds the older content; run the command again to move the newer one.",
            ) from error
        except HaulError as error:
            emit(Warned(f"{done.source} was copied to {done.destination} but not deleted", error.hint))
            raise
        return done._replace(action="move")

    return remove_after
