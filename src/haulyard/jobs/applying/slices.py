"""One shard carried out: its operations given to workers, each outcome written to its journal."""

from __future__ import annotations

import math
import os
import time
from collections import Counter
from contextlib import suppress
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from haulyard.errors import Conflict as ConflictError
from haulyard.errors import HaulError, IntegrityError, NotFound
from haulyard.events import TransferDone
from haulyard.jobs.applying import deeds
from haulyard.jobs.applying.copied import LeftAlone
from haulyard.jobs.applying.options import Tally
from haulyard.jobs.applying.removing import Removal, Removing
from haulyard.jobs.applying.standing import Standing
from haulyard.jobs.model import Action, Conflict, Operation, Phase, Verb
from haulyard.models import GetOptions
from haulyard.transfer.items import prefix_of
from haulyard.transfer.workers import run_workers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from haulyard.jobs.applying.copied import Copied
    from haulyard.jobs.applying.trouble import Trouble
    from haulyard.jobs.applying.workshop import Workshop
    from haulyard.journal.shard import Shard
    from haulyard.models import DeleteOutcome

#: Operations under way for each request that may be in flight: the others wait for the journal.
_WORKERS: Final = 3
#: Failures that are kept with what a shard came to.
TOLD: Final = 5


class Slice:
    """The work on one shard.

    ``report`` is told of each outcome; once ``stopped`` says True no further operation is begun.
    """

    def __init__(
        self,
        shard: Shard,
        workshop: Workshop,
        trouble: Trouble,
        report: Callable[[TransferDone], None],
        stopped: Callable[[], bool],
    ) -> None:
        self._shard = shard
        self._shop = workshop
        self._trouble = trouble
        self._report = report
        self._stopped = stopped
        self._from = prefix_of(workshop.ends.source)
        self._to = prefix_of(workshop.ends.destination)
        self._standing = Standing(shard)
        self._pending: dict[int, Operation] = {}
        """Those whose deletion is under way."""
        self._started = time.monotonic()
        self._done = self._skipped = self._failed = self._bytes = 0
        self._interrupted = self._again = False

    async def run(self, *, again: bool = False) -> Tally:
        """Do what is left to do; ``again`` only what failed and may go well now.

        Raises:
            HaulError: What would fail for all the other operations as well, or the journal itself.
        """
        if not again:
            await self._shard.record(
                _entry(0, Phase.BEGUN, {"pid": os.getpid(), "host": os.uname().nodename})
            )
        else:
            # What failed a moment ago may have been done all the same.
            self._standing.has_begun = True
        if self._shop.is_ordered:
            self._recall()
        self._again = again
        wanted = self._standing.is_worth_another_try if again else self._standing.is_open
        async with Removing(self._shop.ends.source, self._deleted) as removing:
            for wave, workers in self._waves(wanted):
                await self._work(wave, workers, removing)
                # Between waves nothing may be under way, nor be unknown to who comes after a crash.
                await removing.drain()
                await self._shard.flush()
        seconds = time.monotonic() - self._started
        return Tally(self._done, self._skipped, self._failed, self._bytes, seconds, self._interrupted)

    def counts(self) -> dict[str, Any]:
        """Return what the whole shard came to: objects and bytes by phase, and the first failures."""
        phases: Counter[str] = Counter()
        sizes: Counter[str] = Counter()
        failures: list[tuple[str, str]] = []
        for operation in self._operations(lambda _: True):
            phase = self._standing.phase(operation.id)
            phases[phase] += 1
            sizes[phase] += max(operation.size, 0)
            if phase == Phase.FAILED and len(failures) < TOLD:
                message = self._standing.details(operation.id).get("message", "")
                failures.append((operation.key or operation.destination, message))
        return {"phases": phases, "sizes": sizes, "failures": failures}

    def _waves(self, wanted: Callable[[int], bool]) -> Iterator[tuple[Iterator[Operation], int]]:
        """Yield operations, all of which end before the next ones begin, and how many to do at a time."""
        most = self._shop.options.concurrency * _WORKERS
        if not self._shop.is_ordered:
            yield self._operations(wanted), most
            return
        for _, wave in groupby(self._operations(wanted), key=attrgetter("wave")):
            together = list(wave)
            yield iter(together), min(most, len(together))
            if self._interrupted:
                return

    def _recall(self) -> None:
        """Find out what an earlier run left of operations whose order matters."""
        written: dict[int, dict[str, Any]] = {}
        for item, _, _, details in self._shard.entries():
            if "etag" in details:
                written[item] = {name: details[name] for name in ("etag", "destination") if name in details}
        for operation in self._operations(lambda _: True):
            if operation.id in written and operation.conflict == Conflict.COLLISION:
                self._shop.copying.remember(operation, written[operation.id])
            if self._standing.is_open(operation.id):
                self._shop.unfinished.add(operation.key)

    def _operations(self, wanted: Callable[[int], bool]) -> Iterator[Operation]:
        for page in self._shard.rows():
            for row in page:
                if row[1] in _WORKED_ON and wanted(row[0]):
                    yield Operation(*row)

    async def _work(self, operations: Iterator[Operation], workers: int, removing: Removing) -> None:
        async def work() -> None:
            for operation in operations:
                if self._stopped():
                    self._interrupted = True
                    return
                removing.check()
                await self._do(operation, removing)

        await run_workers(work, workers)

    async def _do(self, operation: Operation, removing: Removing) -> None:
        """Bring one operation to its end, or to its deletion."""
        started = time.monotonic()
        if self._again:
            self._trouble.taken_up_again()
        try:
            if operation.action == Action.FOLDER:
                await self._place_folder(operation, started)
                return
            await self._VERBS[self._shop.verb](self, operation, removing, started)
        except LeftAlone as reason:
            self._leave(operation, str(reason))
        except HaulError as error:
            self._fail(operation, error)

    async def _place_folder(self, operation: Operation, started: float) -> None:
        ours_since = self._shop.since if self._is_in_doubt(operation) else math.inf
        details = await deeds.place_folder(
            self._shop.ends.destination, operation.destination, ours_since=ours_since
        )
        self._finish(operation, details, started)

    async def _copy(self, operation: Operation, _removing: Removing, started: float) -> None:
        copied = await self._copied(operation)
        self._finish(operation, copied.details(operation, time.monotonic() - started), started)

    async def _copied(self, operation: Operation) -> Copied:
        if operation.destination in self._shop.unfinished and operation.destination != operation.key:
            raise ConflictError(
                f"{self._to}{operation.destination} has yet to be copied before {self._from}{operation.key} "
                "may replace it",
                operation="copy",
                key=operation.key,
                hint="mend what keeps the other from being copied, and apply the job again",
            )
        return await self._shop.copying(operation, in_doubt=self._is_in_doubt(operation))

    async def _move(self, operation: Operation, removing: Removing, started: float) -> None:
        details = self._standing.details(operation.id)
        if "etag" in details:
            # An earlier run wrote down that it is copied; whether it still is, the store says.
            is_there = await self._shop.copying.is_still_there(operation, details)
            if not is_there and await self._is_gone(operation):
                # Deleted by then; what became of the copy since is no matter of this job.
                self._finish(operation, await self._marker(operation), None)
                return
            details = details if is_there else {}
        if "etag" not in details:
            copied = await self._copied(operation)
            details = copied.details(operation, time.monotonic() - started)
            if copied.in_place:
                # Its own destination, with other properties: there is nothing to delete.
                self._finish(operation, details, started)
                return
            # Durable before anything is deleted.
            await self._shard.record(_entry(operation.id, Phase.COPIED, details))
        self._standing.keep(operation.id, details)
        removal = await self._removal(operation, str(details.get("source_etag") or operation.etag))
        self._pending[operation.id] = operation
        await removing.add(removal)

    async def _removal(self, operation: Operation, etag: str) -> Removal:
        """Return what is to be deleted of a source that is copied."""
        source = self._shop.ends.source
        if not etag:
            raise IntegrityError(
                f"{self._from}{operation.key} has no ETag: nothing tells whether it is what was copied",
                operation="delete",
                key=operation.key,
                hint="it is copied and was kept; delete it yourself",
            )
        if operation.version:
            # A plan can name an older version than the current one; then only that is deleted.
            with suppress(NotFound):
                if (await source.head(operation.key)).version_id == operation.version:
                    return Removal(operation.id, operation.key, etag)
            return Removal(operation.id, operation.key, etag, operation.version)
        return Removal(operation.id, operation.key, etag)

    async def _is_gone(self, operation: Operation) -> bool:
        try:
            await self._shop.ends.source.head(operation.key, GetOptions(version_id=operation.version))
        except NotFound:
            return True
        return False

    async def _delete(self, operation: Operation, removing: Removing, _started: float) -> None:
        etag = operation.etag
        if not (etag or operation.version):
            now = await deeds.etag_now(self._shop.ends.source, operation)
            if now is None:
                # Gone by itself, or deleted by an earlier run, which could not say so.
                self._finish(operation, await self._marker(operation), None)
                return
            etag = now
        self._pending[operation.id] = operation
        await removing.add(Removal(operation.id, operation.key, etag, operation.version))

    async def _restore(self, operation: Operation, _removing: Removing, started: float) -> None:
        shop = self._shop
        await deeds.restore(shop.ends.source, operation, shop.specification.days, shop.specification.tier)
        self._finish(operation, {"size": operation.size}, started)

    async def _retag(self, operation: Operation, _removing: Removing, started: float) -> None:
        store, details = self._shop.ends.source, self._standing.details(operation.id)
        is_set = False
        if "old_tags" in details:
            is_set = await deeds.are_set(store, operation, details)
        else:
            details = await deeds.tags_before_and_after(store, operation, self._shop.wishes)
            # What was there can be put back only if it is known.
            await self._shard.record(_entry(operation.id, Phase.COPIED, details))
            self._standing.keep(operation.id, details)
        if not is_set:
            await store.set_tags(operation.key, details["new_tags"], operation.version)
        self._finish(operation, details, started)

    _VERBS: Final = {
        Verb.COPY: _copy,
        Verb.MOVE: _move,
        Verb.DELETE: _delete,
        Verb.RESTORE: _restore,
        Verb.RETAG: _retag,
    }

    async def _deleted(self, removal: Removal, outcome: DeleteOutcome) -> None:
        """Take note of what became of a source that was to be deleted."""
        operation = self._pending.pop(removal.item)
        if isinstance(outcome.error, HaulError):
            self._fail(operation, outcome.error)
            return
        if outcome.error is not None:
            raise outcome.error
        details: dict[str, Any] = {}
        if not removal.version:
            # An earlier attempt, or run, may have deleted it, and could not say so.
            marker = outcome.marker_version_id
            details = {"marker": marker} if marker else await self._marker(operation)
        self._finish(operation, details, None)

    async def _marker(self, operation: Operation) -> dict[str, Any]:
        marker = await self._shop.markers.of(operation.key)
        return {"marker": marker} if marker else {}

    def _finish(self, operation: Operation, details: dict[str, Any], started: float | None) -> None:
        copied = self._standing.details(operation.id)
        self._standing.end(operation.id, Phase.DONE)
        self._shop.unfinished.discard(operation.key)
        if "destination" in copied:
            # The last entry says where the object is.
            details["destination"] = copied["destination"]
        if started is not None and "seconds" not in details:
            details["seconds"] = round(time.monotonic() - started, 4)
        self._shard.note(_entry(operation.id, Phase.DONE, details))
        self._trouble.succeeded()
        self._done += 1
        self._bytes += max(operation.size, 0)
        told = {**copied, **details}
        self._report(
            TransferDone(
                self._shop.verb.value,
                self._from + operation.key if operation.key else "",
                self._to + (told.get("destination") or operation.destination)
                if operation.destination
                else "",
                operation.size,
                told.get("seconds", 0.0),
                told.get("verified", ""),
                told.get("etag", ""),
                told.get("version", ""),
            )
        )

    def _leave(self, operation: Operation, reason: str) -> None:
        self._standing.end(operation.id, Phase.SKIPPED)
        self._shard.note(_entry(operation.id, Phase.SKIPPED, {"reason": reason}))
        self._skipped += 1
        self._report(self._told(operation)._replace(action="skip", reason=reason))

    def _fail(self, operation: Operation, error: HaulError) -> None:
        details = {
            "error": type(error).__name__,
            "code": getattr(error, "code", ""),
            "status": getattr(error, "status", 0),
            "message": str(error),
            "attempts": getattr(error, "attempts", 1),
        }
        kept = {name: value for name, value in details.items() if value}
        self._shard.note(_entry(operation.id, Phase.FAILED, kept))
        self._standing.fail(operation.id, details)
        self._failed += 1
        self._report(self._told(operation)._replace(error=error))
        self._trouble.failed(error)

    def _told(self, operation: Operation) -> TransferDone:
        return TransferDone(
            self._shop.verb.value,
            self._from + operation.key,
            self._to + operation.destination if operation.destination else "",
            operation.size,
        )

    def _is_in_doubt(self, operation: Operation) -> bool:
        return self._standing.has_begun and self._standing.phase(operation.id) in {"", Phase.FAILED}


def _entry(item: int, phase: Phase, details: dict[str, Any]) -> tuple[int, str, float, dict[str, Any]]:
    return item, phase.value, round(time.time(), 3), details


_WORKED_ON: Final = frozenset({Action.ACT, Action.FOLDER})
