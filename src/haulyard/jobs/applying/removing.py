"""Sources deleted in batches, each only while it is what was copied.

A batch carries If-Match for each key where that was proved on the endpoint. Some stores accept the condition
in a batch, ignore it, and delete: there keys go one by one with If-Match, or right after a look.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from haulyard.errors import HaulError, NotFound, PreconditionFailed, SourceChanged
from haulyard.models import DeleteItem, DeleteOptions, DeleteOutcome
from haulyard.transfer.items import prefix_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from haulyard.stores.base import Store

#: Seconds that the first key of a batch waits for others. A batch of 1,000 comes together in less at full
#: speed; alone, a key waits no longer than a request takes.
_LINGER: Final = 0.1
#: Batches under way at a time.
_BATCHES: Final = 4


class Removal(NamedTuple):
    """A key to be deleted, as long as it has this ETag (``""``: whatever it is), or one of its versions."""

    item: int
    key: str
    etag: str
    version: str = ""


class Removing:
    """Takes keys one by one and deletes them together; each outcome goes to ``settle``.

    Used as an async context manager: leaving it waits until everything is deleted and settled. What
    ``settle`` raises, and what would fail for every key, ends it.
    """

    def __init__(self, store: Store, settle: Callable[[Removal, DeleteOutcome], Awaitable[None]]) -> None:
        self._store = store
        self._settle = settle
        self._prefix = prefix_of(store)
        capabilities = store.capabilities
        self._single = capabilities.conditional_delete
        self._batched = capabilities.batch_delete and capabilities.conditional_batch_delete is True
        self._size = capabilities.max_batch_delete
        self._waiting: list[Removal] = []
        self._timer: asyncio.TimerHandle | None = None
        self._slots = asyncio.Semaphore(_BATCHES)
        self._tasks: set[asyncio.Task[None]] = set()
        self._error: BaseException | None = None
        self._idle = asyncio.Event()
        self._idle.set()

    async def add(self, removal: Removal) -> None:
        """Take a key; waits while too many are under way."""
        self.check()
        self._waiting.append(removal)
        self._idle.clear()
        if len(self._waiting) >= self._size:
            self._send()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_LINGER, self._send)
        if len(self._tasks) > _BATCHES:
            async with self._slots:
                pass

    async def drain(self) -> None:
        """Return once everything that was added is deleted and settled."""
        self._send()
        await self._idle.wait()
        self.check()

    def check(self) -> None:
        """Raise what ended the work."""
        if self._error is not None:
            raise self._error

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        try:
            if kind is None:
                await self.drain()
        finally:
            await self._close()

    async def _close(self) -> None:
        """Let go of what waits, and end what is under way."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._waiting.clear()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _send(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._waiting:
            batch, self._waiting = self._waiting, []
            task = asyncio.create_task(self._remove(batch))
            self._tasks.add(task)
            task.add_done_callback(self._over)
        elif not self._tasks:
            self._idle.set()

    def _over(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None and self._error is None:
            self._error = error
        if not self._tasks and not self._waiting:
            self._idle.set()

    async def _remove(self, batch: list[Removal]) -> None:
        async with self._slots:
            if self._batched and len(batch) > 1:
                outcomes = await self._together(batch)
            else:
                outcomes = await asyncio.gather(*(self._alone(removal) for removal in batch))
            errors: list[Exception] = []
            for removal, outcome in zip(batch, outcomes, strict=True):
                try:
                    await self._settle(removal, self._explained(removal, outcome))
                except Exception as error:  # noqa: BLE001 -- what was deleted is written down before it ends the run
                    errors.append(error)
        if errors:
            raise errors[0]

    async def _together(self, batch: list[Removal]) -> list[DeleteOutcome]:
        # Conditions look at the current version only: who names one says enough.
        items = [DeleteItem(each.key, each.version, "" if each.version else each.etag) for each in batch]
        try:
            return await self._store.delete_many(items)
        except HaulError as error:
            return [DeleteOutcome(each.key, each.version, error=error) for each in batch]

    async def _alone(self, removal: Removal) -> DeleteOutcome:
        try:
            return await self._delete(removal)
        except HaulError as error:
            return DeleteOutcome(removal.key, removal.version, error=error)

    async def _delete(self, removal: Removal) -> DeleteOutcome:
        if removal.version or not removal.etag:
            return await self._store.delete(removal.key, DeleteOptions(version_id=removal.version))
        if self._single is not True:
            try:
                head = await self._store.head(removal.key)
            except NotFound:
                return DeleteOutcome(removal.key)
            if head.etag != removal.etag:
                raise PreconditionFailed(
                    f"{removal.key} has another ETag", operation="delete", key=removal.key
                )
        if_match = "" if self._single is False else removal.etag
        return await self._store.delete(removal.key, DeleteOptions(if_match=if_match))

    def _explained(self, removal: Removal, outcome: DeleteOutcome) -> DeleteOutcome:
        if isinstance(outcome.error, NotFound):
            return outcome._replace(error=None)
        if not isinstance(outcome.error, PreconditionFailed):
            return outcome
        changed = SourceChanged(
            f"{self._prefix}{removal.key} was replaced meanwhile; it was not deleted",
            operation="delete",
            key=removal.key,
            hint="haul plan --new lists again what is to be done",
        )
        changed.__cause__ = outcome.error
        return outcome._replace(error=changed)
