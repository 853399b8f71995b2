"""What a run that was killed did without writing it down: asked of the store before it is taken back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from haulyard.errors import NotFound, UnsafeName
from haulyard.jobs.model import Action, Operation, Phase, Verb

if TYPE_CHECKING:
    from haulyard.jobs.applying.workshop import Workshop


async def found(shop: Workshop, operation: Operation) -> tuple[Phase, dict[str, Any]] | None:
    """Return what was done of an operation, as the journal would have it; None where nothing was."""
    if operation.action == Action.FOLDER:
        return await _placeholder(shop, operation)
    if shop.verb.writes_elsewhere:
        try:
            copied = await shop.copying.found(operation)
        except UnsafeName:
            # The destination cannot hold a name like this: nothing was written.
            return None
        return None if copied is None else (Phase.COPIED, copied.details(operation, 0.0))
    if shop.verb is Verb.DELETE and not operation.version:
        return await _deletion(shop, operation)
    # Of a retagged object the old tags are written down first; a restore is not taken back.
    return None


async def _placeholder(shop: Workshop, operation: Operation) -> tuple[Phase, dict[str, Any]] | None:
    try:
        there = await shop.ends.destination.head(operation.destination)
    except NotFound:
        return None
    modified = there.last_modified
    if there.size or modified is None or modified.timestamp() < shop.since:
        return None
    return Phase.COPIED, {"etag": there.etag, "version": there.version_id, "size": 0}


async def _deletion(shop: Workshop, operation: Operation) -> tuple[Phase, dict[str, Any]] | None:
    try:
        await shop.ends.source.head(operation.key)
    except NotFound:
        marker = await shop.markers.of(operation.key)
        return (Phase.DONE, {"marker": marker}) if marker else None
    return None
