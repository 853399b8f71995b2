"""The operations of one shard taken back, each step written to its journal."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from haulyard.errors import Conflict, HaulError, JobError, NotFound, SourceChanged
from haulyard.events import TransferDone
from haulyard.jobs.applying.options import Tally
from haulyard.jobs.applying.removing import Removal, Removing
from haulyard.jobs.model import Action, Operation, Phase, Verb
from haulyard.jobs.model import Conflict as Planned
from haulyard.jobs.undoing import doubt
from haulyard.jobs.undoing.past import (
    UNVERSIONED,
    Past,
    begun,
    covered,
    hopeless,
    operations,
    place_of,
)
from haulyard.models import DeleteOptions, GetOptions
from haulyard.transfer.items import prefix_of
from haulyard.transfer.workers import run_workers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from haulyard.jobs.applying.trouble import Trouble
    from haulyard.jobs.undoing.counterpart import Counterpart
    from haulyard.journal.shard import Shard
    from haulyard.models import DeleteOutcome, ObjectHead
    from haulyard.stores.base import Store

_WORKERS: Final = 3


class Kept(Exception):
    """The operation is not taken back; the text says why."""


class UndoSlice:
    """Taking back one shard; ``backwards`` where the order of its operations matters."""

    def __init__(
        self,
        shard: Shard,
        counterpart: Counterpart,
        trouble: Trouble,
        report: Callable[[TransferDone], None],
        stopped: Callable[[], bool],
        *,
        backwards: bool,
    ) -> None:
        self._shard = shard
        self._with = counterpart
        self._trouble = trouble
        self._report = report
        self._stopped = stopped
        self._backwards = backwards
        self._source, self._destination = counterpart.ends.source, counterpart.ends.destination
        self._from, self._to = prefix_of(self._source), prefix_of(self._destination)
        self._past = Past(shard)
        self._pending: dict[int, Operation] = {}
        self._done = self._kept = self._failed = self._bytes = 0
        self._interrupted = False

    async def run(self) -> Tally:
        """Take back what is left to take back.

        Raises:
            HaulError: What would fail for all the other operations as well, or the journal itself.
        """
        started = time.monotonic()
        await self._shard.record(begun())
        if self._backwards:
            self._recall()
        async with Removing(self._destination, self._deleted) as removing:
            for page in operations(self._shard, backwards=self._backwards):
                left = [operation for operation in page if self._is_open(operation)]
                await self._work(iter(left), removing, len(left))
                if self._backwards:
                    # What comes next has to find it done, also after a crash.
                    await removing.drain()
                    await self._shard.flush()
        await self._shard.flush()
        seconds = time.monotonic() - started
        return Tally(self._done, self._kept, self._failed, self._bytes, seconds, self._interrupted)

    def _recall(self) -> None:
        """Tell whoever looks for copies that are not written down of those that are."""
        for wave in operations(self._shard, backwards=False):
            for operation in wave:
                details = self._past.details.get(operation.id, {})
                if "etag" in details and operation.conflict == Planned.COLLISION:
                    self._with.shop.copying.remember(operation, details)

    def _is_open(self, operation: Operation) -> bool:
        if self._past.phases.get(operation.id) == Phase.KEPT:
            self._occupy(operation)
        return self._past.is_to_undo(operation.id) or self._past.is_in_doubt(operation.id)

    async def _work(self, left: Iterator[Operation], removing: Removing, count: int) -> None:
        async def work() -> None:
            for operation in left:
                if self._stopped():
                    self._interrupted = True
                    return
                removing.check()
                await self._undo(operation, removing)

        await run_workers(work, max(1, min(self._with.options.concurrency * _WORKERS, count)))

    async def _undo(self, operation: Operation, removing: Removing) -> None:
        try:
            if self._past.is_in_doubt(operation.id) and not await self._settle_doubt(operation):
                return
            details = self._past.details[operation.id]
            self._wait_for_others(operation, details)
            reason = hopeless(self._with.verb, operation, details, self._past.phases[operation.id])
            if reason:
                self._keep(operation, reason)
            elif operation.action == Action.FOLDER:
                await self._remove_copy(operation, details, removing)
            else:
                await self._VERBS[self._with.verb](self, operation, details, removing)
        except Kept as kept:
            self._keep(operation, str(kept))
        except (Conflict, SourceChanged) as error:
            self._keep(operation, str(error))
        except HaulError as error:
            self._fail(operation, error)

    async def _settle_doubt(self, operation: Operation) -> bool:
        """Find out whether something was done that is not written down; then write that down."""
        found = await doubt.found(self._with.shop, operation)
        if found is None:
            return False
        await self._shard.record(_entry(operation.id, *found))
        self._past.learn(operation.id, *found)
        return True

    def _wait_for_others(self, operation: Operation, details: dict[str, Any]) -> None:
        """Raise where another copy, that came later, is still at one of the operation's names."""
        if not self._backwards:
            return
        place, waiting = place_of(operation, details), self._with.unfinished
        if operation.key in waiting or place in waiting:
            raise JobError(
                f"{self._from}{operation.key} waits for another object, which failed",
                hint="undo the job again once that is mended",
            )
        if reason := covered(operation, details, self._with.occupied):
            raise Kept(reason)

    async def _move(self, operation: Operation, details: dict[str, Any], removing: Removing) -> None:
        phase = self._past.phases[operation.id]
        if details.get("in_place"):
            await self._remove_copy(operation, details, removing)
            return
        etag = _etag(operation, details)
        if phase == Phase.RETURNED:
            etag = str(details["returned"][0])
        elif phase == Phase.DONE or await _look(self._source, operation.key) is None:
            # Without `DONE` it was deleted by a run that could not say so.
            etag = await self._return(operation, details)
        await self._check_source(operation, etag)
        await self._remove_copy(operation, details, removing)

    async def _return(self, operation: Operation, details: dict[str, Any]) -> str:
        """Make the source what it was, write that down, and return its ETag."""
        copy = place_of(operation, details)
        there = await _look(self._destination, copy)
        if there is None or there.etag != details["etag"]:
            raise Kept("the copy was changed or deleted since")
        etag, version = _etag(operation, details), ""
        if not await self._is_uncovered(operation, etag, str(details.get("marker") or "")):
            self._with.before.remember(copy, details.get("before") or {})
            back = operation._replace(
                key=copy,
                destination=operation.key,
                version="",
                etag=there.etag,
                size=there.size,
                conflict=0,
                present="",
            )
            returned = await self._with.copying(back, in_doubt=self._past.has_begun)
            etag, version = returned.etag, returned.version
        await self._shard.record(_entry(operation.id, Phase.RETURNED, {"returned": [etag, version]}))
        return etag

    async def _is_uncovered(self, operation: Operation, etag: str, marker: str) -> bool:
        """Remove the job's delete marker, if it is the latest; return whether the source is there again."""
        if not marker:
            return False
        here = await _look(self._source, operation.key)
        if here is None:
            await self._source.delete(operation.key, DeleteOptions(version_id=marker))
            here = await _look(self._source, operation.key)
        if here is not None and here.etag != etag:
            raise Kept("the source was replaced since, and this may be its only copy")
        return here is not None

    async def _check_source(self, operation: Operation, etag: str) -> None:
        """Raise unless the source is what it was: only then may its copy go."""
        here = await _look(self._source, operation.key)
        if here is None:
            raise Kept("the source is gone, and this may be its only copy")
        if here.etag != etag:
            raise Kept("the source was replaced since, and this may be its only copy")

    async def _remove_copy(self, operation: Operation, details: dict[str, Any], removing: Removing) -> None:
        """Delete what the job wrote, if it is still that."""
        if details.get("made") is False:
            # It was there before the job, or came from somebody else.
            self._finish(operation)
            return
        key, version, etag = place_of(operation, details), str(details.get("version") or ""), details["etag"]
        if version in UNVERSIONED:
            if not etag:
                raise Kept("it has no ETag, which could tell whether it was changed since")
            self._pending[operation.id] = operation
            await removing.add(Removal(operation.id, key, str(etag)))
            return
        there = await _look(self._destination, key)
        if there is None or (
            there.version_id != version and await _look(self._destination, key, version) is None
        ):
            # Also where an earlier run removed it, and could not say so.
            self._finish(operation)
            return
        if there.version_id != version and not self._is_half_removed(details, there):
            raise Kept("the copy was changed since")
        # This very version: what was there before it comes back, and no marker is left.
        self._pending[operation.id] = operation
        await removing.add(Removal(operation.id, key, "", version))

    def _is_half_removed(self, details: dict[str, Any], there: ObjectHead) -> bool:
        """Return whether what the copy had replaced is back already, although the copy is not gone.

        SeaweedFS lets go of a version in two steps, and leaves out the second where who asked is killed.
        """
        replaced, _ = details.get("replaced") or ("", "")
        return self._past.has_begun and replaced == there.etag

    async def _delete(self, operation: Operation, details: dict[str, Any], _removing: Removing) -> None:
        here = await _look(self._source, operation.key)
        if here is not None:
            # An earlier run may have removed the marker, and could not say so.
            if self._past.has_begun and operation.etag in {"", here.etag}:
                self._finish(operation)
                return
            raise Kept("something else has the name since")
        await self._source.delete(operation.key, DeleteOptions(version_id=details["marker"]))
        here = await _look(self._source, operation.key)
        if here is None:
            raise Kept("the delete marker is gone, and the object is not there")
        self._finish(operation)

    async def _retag(self, operation: Operation, details: dict[str, Any], _removing: Removing) -> None:
        asked = GetOptions(version_id=operation.version)
        try:
            head = await self._source.head(operation.key, asked)
            now = await self._source.get_tags(operation.key, operation.version)
        except NotFound:
            raise Kept("the object is gone") from None
        if operation.etag and head.etag != operation.etag:
            raise Kept("the object was replaced since")
        if now == details["old_tags"]:
            self._finish(operation)
            return
        if now != details["new_tags"]:
            raise Kept("its tags were changed since")
        await self._source.set_tags(operation.key, details["old_tags"], operation.version)
        self._finish(operation)

    async def _restore(self, _operation: Operation, _details: dict[str, Any], _removing: Removing) -> None:
        raise Kept("a restored copy ends by itself")

    _VERBS: Final = {
        Verb.COPY: _remove_copy,
        Verb.MOVE: _move,
        Verb.DELETE: _delete,
        Verb.RESTORE: _restore,
        Verb.RETAG: _retag,
    }

    async def _deleted(self, removal: Removal, outcome: DeleteOutcome) -> None:
        operation = self._pending.pop(removal.item)
        if isinstance(outcome.error, SourceChanged):
            self._keep(operation, "the copy was changed since")
        elif isinstance(outcome.error, HaulError):
            self._fail(operation, outcome.error)
        elif outcome.error is not None:
            raise outcome.error
        else:
            self._finish(operation)

    def _finish(self, operation: Operation) -> None:
        self._shard.note(_entry(operation.id, Phase.UNDONE, {}))
        self._trouble.succeeded()
        self._done += 1
        self._bytes += max(operation.size, 0)
        self._report(self._told(operation))

    def _keep(self, operation: Operation, reason: str) -> None:
        self._shard.note(_entry(operation.id, Phase.KEPT, {"reason": reason}))
        self._occupy(operation)
        self._kept += 1
        self._report(self._told(operation)._replace(action="skip", reason=f"kept: {reason}"))

    def _occupy(self, operation: Operation) -> None:
        if operation.conflict == Planned.COLLISION:
            self._with.occupied.add(place_of(operation, self._past.details[operation.id]))

    def _fail(self, operation: Operation, error: HaulError) -> None:
        # No entry: its last phase still says what there is to take back.
        if self._backwards:
            self._with.unfinished.add(place_of(operation, self._past.details.get(operation.id, {})))
        self._failed += 1
        self._report(self._told(operation)._replace(error=error))
        self._trouble.failed(error)

    def _told(self, operation: Operation) -> TransferDone:
        there = self._to + operation.destination if operation.destination else ""
        return TransferDone(
            "undo", there, self._from + operation.key if operation.key else "", operation.size
        )


def _etag(operation: Operation, details: dict[str, Any]) -> str:
    return str(details.get("source_etag") or operation.etag)


async def _look(store: Store, key: str, version: str = "") -> ObjectHead | None:
    try:
        return await store.head(key, GetOptions(version_id=version))
    except NotFound:
        return None


def _entry(item: int, phase: Phase, details: dict[str, Any]) -> tuple[int, str, float, dict[str, Any]]:
    return item, phase.value, round(time.time(), 3), details
