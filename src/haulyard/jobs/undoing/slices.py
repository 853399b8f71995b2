"""The operations of one shard taken back, each step written to its journal."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from haulyard.errors import Conflict, HaulError, NotFound, SourceChanged
from haulyard.events import TransferDone
from haulyard.jobs.applying.copying import Copying
from haulyard.jobs.applying.options import ApplyOptions, Tally
from haulyard.jobs.applying.removing import Removal, Removing
from haulyard.jobs.applying.wanted import Wanted
from haulyard.jobs.ends import Ends
from haulyard.jobs.model import Action, Operation, Phase, Verb
from haulyard.jobs.undoing.past import Past, begun, hopeless, operations
from haulyard.models import DeleteOptions, GetOptions, PutOptions
from haulyard.transfer.items import prefix_of
from haulyard.transfer.mapping import Target
from haulyard.transfer.selection import select
from haulyard.transfer.workers import run_workers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from haulyard.events import Emit
    from haulyard.jobs.applying.trouble import Trouble
    from haulyard.jobs.specification import Specification
    from haulyard.journal.shard import Shard
    from haulyard.models import DeleteOutcome, ObjectHead
    from haulyard.stores.base import Store

_WORKERS: Final = 3


class Kept(Exception):
    """The operation is not taken back; the text says why."""


class Counterpart:
    """What all operations that are taken back share.

    ``since`` is when the job was first undone, in POSIX seconds.
    """

    def __init__(
        self, specification: Specification, ends: Ends, options: ApplyOptions, emit: Emit, *, since: float
    ) -> None:
        self.verb = specification.verb
        self.ends = ends
        self.options = options
        back = Ends(ends.destination, select(""), ends.source, Target("", into=True))
        self.before = Before()
        self.copying = Copying(back, self.before, replace(options, on_conflict="fail"), emit, begun=since)


class Before:
    """What a copy gets that is copied back: the properties that its source had."""

    def __init__(self) -> None:
        self._kept: dict[str, dict[str, Any]] = {}

    def remember(self, key: str, before: dict[str, Any]) -> None:
        """Take note of the properties that the source of the copy ``key`` had."""
        if before:
            self._kept[key] = before

    async def of(self, operation: Operation, head: ObjectHead) -> Wanted:
        """Return what the copy that is copied back is to get."""
        before = dict(self._kept.pop(operation.key, {}))
        tags = before.pop("tags", None)
        storage_class = before.pop("storage_class", "")
        put = PutOptions(**before, storage_class=storage_class, tags=tags or {})
        expected = PutOptions(**before) if "metadata" in before else PutOptions(metadata=head.metadata)
        return Wanted(put, "metadata" in before, tags is not None, expected)


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
        async with Removing(self._destination, self._deleted) as removing:
            for page in operations(self._shard, backwards=self._backwards):
                left = [operation for operation in page if self._past.is_to_undo(operation.id)]
                await self._work(iter(left), removing, len(left))
                if self._backwards:
                    await removing.drain()
        await self._shard.flush()
        seconds = time.monotonic() - started
        return Tally(self._done, self._kept, self._failed, self._bytes, seconds, self._interrupted)

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
        details = self._past.details[operation.id]
        try:
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

    async def _move(self, operation: Operation, details: dict[str, Any], removing: Removing) -> None:
        phase = self._past.phases[operation.id]
        if operation.key == _place(operation, details):
            await self._remove_copy(operation, details, removing)
            return
        if phase == Phase.DONE:
            await self._return(operation, details)
        elif phase == Phase.RETURNED:
            await self._check_source(operation, details["returned"][0])
        else:
            await self._check_source(operation, _etag(operation, details))
        await self._remove_copy(operation, details, removing)

    async def _return(self, operation: Operation, details: dict[str, Any]) -> None:
        """Make the source what it was, and write that down."""
        key, copy = operation.key, _place(operation, details)
        there = await _look(self._destination, copy)
        if there is None or there.etag != details["etag"]:
            raise Kept("the copy was changed or deleted since")
        if marker := details.get("marker"):
            await self._source.delete(key, DeleteOptions(version_id=marker))
            etag, version = _etag(operation, details), ""
            await self._check_source(operation, etag)
        else:
            self._with.before.remember(copy, details.get("before") or {})
            back = operation._replace(
                key=copy,
                destination=key,
                version="",
                etag=there.etag,
                size=there.size,
                conflict=0,
                present="",
            )
            returned = await self._with.copying(back, in_doubt=self._past.has_begun)
            etag, version = returned.etag, returned.version
        await self._shard.record(_entry(operation.id, Phase.RETURNED, {"returned": [etag, version]}))

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
        key, version = _place(operation, details), str(details.get("version") or "")
        if version in {"", "null"}:
            self._pending[operation.id] = operation
            await removing.add(Removal(operation.id, key, str(details["etag"])))
            return
        there = await _look(self._destination, key)
        if there is None:
            self._finish(operation)
            return
        if there.version_id != version:
            raise Kept("the copy was changed since")
        # This very version: what was there before it comes back, and no marker is left.
        self._pending[operation.id] = operation
        await removing.add(Removal(operation.id, key, "", version))

    async def _delete(self, operation: Operation, details: dict[str, Any], _removing: Removing) -> None:
        if await _look(self._source, operation.key) is not None:
            raise Kept("something else has the name since")
        await self._source.delete(operation.key, DeleteOptions(version_id=details["marker"]))
        here = await _look(self._source, operation.key)
        if here is None:
            raise Kept("the delete marker is gone, and the object is not there")
        self._finish(operation)

    async def _retag(self, operation: Operation, details: dict[str, Any], _removing: Removing) -> None:
        try:
            now = await self._source.get_tags(operation.key, operation.version)
        except NotFound:
            raise Kept("the object is gone") from None
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
        self._kept += 1
        self._report(self._told(operation)._replace(action="skip", reason=f"kept: {reason}"))

    def _fail(self, operation: Operation, error: HaulError) -> None:
        # No entry: its last phase still says what there is to take back.
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


def _place(operation: Operation, details: dict[str, Any]) -> str:
    return str(details.get("destination") or operation.destination)


async def _look(store: Store, key: str) -> ObjectHead | None:
    try:
        return await store.head(key, GetOptions())
    except NotFound:
        return None


def _entry(item: int, phase: Phase, details: dict[str, Any]) -> tuple[int, str, float, dict[str, Any]]:
    return item, phase.value, round(time.time(), 3), details
