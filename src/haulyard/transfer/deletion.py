"""Many objects removed, a batch a request, several requests at a time; each key has its own outcome."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from haulyard.errors import HaulError
from haulyard.events import TransferDone
from haulyard.models import DeleteItem, DeleteOptions, DeleteOutcome
from haulyard.transfer.items import Summary, prefix_of
from haulyard.transfer.scope import concerns_all
from haulyard.transfer.workers import run_workers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from haulyard.stores.base import Store
    from haulyard.transfer.items import Item

#: Requests under way; each removes up to 1,000 keys, which is work enough for any store.
BATCHES: Final = 8


async def delete_items(
    store: Store,
    pages: AsyncIterator[Sequence[Item]],
    report: Callable[[TransferDone], None],
    *,
    stopped: Callable[[], bool] = lambda: False,
) -> Summary:
    """Remove the items of ``pages`` (their versions where they name any) and return what became of them.

    An absent key counts as removed. A request that fails as a whole fails each of its keys, unless all others
    would fail for the same reason (wrong credentials, no such bucket): that error is raised. Once ``stopped``
    says True no further batch is begun.
    """
    run = _Run(store, pages, report, stopped)
    await run_workers(run.work, BATCHES)
    return run.summary()


class _Run:
    def __init__(
        self,
        store: Store,
        pages: AsyncIterator[Sequence[Item]],
        report: Callable[[TransferDone], None],
        stopped: Callable[[], bool],
    ) -> None:
        self._store = store
        self._pages = pages
        self._report = report
        self._stopped = stopped
        self._prefix = prefix_of(store)
        self._turn = asyncio.Lock()
        self._started = time.monotonic()
        self._done = self._failed = self._bytes = 0
        self._over = self._interrupted = False

    async def work(self) -> None:
        while (page := await self._next()) is not None:
            for item, outcome in zip(page, await self._delete(page), strict=True):
                self._settle(item, outcome)

    def summary(self) -> Summary:
        seconds = time.monotonic() - self._started
        return Summary(self._done, 0, self._failed, self._bytes, seconds, self._interrupted)

    async def _next(self) -> Sequence[Item] | None:
        async with self._turn:
            if self._over:
                return None
            # Asked once more even where no more is wanted: who has all was not interrupted.
            page = await anext(self._pages, None)
            if page is not None and not self._stopped():
                return page
            self._over, self._interrupted = True, page is not None
            return None

    async def _delete(self, page: Sequence[Item]) -> Sequence[DeleteOutcome]:
        try:
            if len(page) == 1:
                # Alone, a single object goes by DeleteObject: it needs no batch permission and no body.
                item = page[0]
                return [await self._store.delete(item.key, DeleteOptions(version_id=item.version_id))]
            return await self._store.delete_many([DeleteItem(item.key, item.version_id) for item in page])
        except HaulError as error:
            if concerns_all(error):
                raise
            return [DeleteOutcome(item.key, item.version_id, error=error) for item in page]

    def _settle(self, item: Item, outcome: DeleteOutcome) -> None:
        if outcome.error is None:
            self._done += 1
            self._bytes += max(item.size, 0)
        else:
            self._failed += 1
        self._report(
            TransferDone(
                "delete",
                self._prefix + item.key,
                "",
                item.size,
                version_id=item.version_id or outcome.marker_version_id,
                error=outcome.error,
            )
        )
