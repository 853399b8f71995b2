"""Many jobs, a bounded number of them at a time, each of them accounted for."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING

from haulyard.errors import ConfigError, HaulError, PreconditionFailed
from haulyard.events import TransferDone
from haulyard.transfer.copy import Copier
from haulyard.transfer.download import Downloader
from haulyard.transfer.items import Summary
from haulyard.transfer.scope import concerns_all
from haulyard.transfer.upload import Uploader
from haulyard.transfer.workers import run_workers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from haulyard.events import Emit
    from haulyard.stores.base import Store
    from haulyard.transfer.items import Job
    from haulyard.transfer.options import TransferOptions
    from haulyard.transfer.workers import Room

    #: Moves one object, or raises.
    Move = Callable[[Job], Awaitable[TransferDone]]


def mover(
    source: Store, destination: Store, options: TransferOptions, emit: Emit, room: Room | None = None
) -> Move:
    """Return what moves one object from ``source`` to ``destination``.

    ``room`` is for who makes several of them (`haulyard.transfer.copy.Copier`).

    Raises:
        ConfigError: Both are directories.
    """
    from haulyard.stores.local import LocalStore

    if isinstance(source, LocalStore) and isinstance(destination, LocalStore):
        raise ConfigError(
            "both ends are local",
            hint="one of them must be s3://…; for local copies there is cp",
        )
    if isinstance(source, LocalStore):
        return Uploader(source, destination, options, emit)
    if isinstance(destination, LocalStore):
        return Downloader(source, destination, options, emit)
    return Copier(source, destination, options, emit, room)


async def run(
    pages: AsyncIterator[Sequence[Job]],
    move: Move,
    *,
    concurrency: int,
    emit: Callable[[TransferDone], None],
    no_clobber: bool = False,
    stopped: Callable[[], bool] = lambda: False,
    action: str = "copy",
    ends: tuple[str, str] = ("", ""),
) -> Summary:
    """Move all jobs of ``pages``, at most ``concurrency`` at a time, and return what became of them.

    An object that fails is reported by a TransferDone with its error, and the others go on. What would fail
    for all of them (wrong credentials, no such bucket) ends the run: that error is raised. Once ``stopped``
    says True no further job is begun. ``ends`` are the prefixes (`prefix_of`) that make full names of keys.
    """
    account = _Account(emit, ends, no_clobber=no_clobber, action=action)
    feed = _Feed(pages, stopped)

    async def work() -> None:
        while (job := await feed.next()) is not None:
            await account.settle(job, move)

    await run_workers(work, concurrency)
    return account.summary(interrupted=stopped() and feed.has_more)


class _Feed:
    """Hands out the jobs of pages one by one to many takers."""

    def __init__(self, pages: AsyncIterator[Sequence[Job]], stopped: Callable[[], bool]) -> None:
        self._pages = pages
        self._stopped = stopped
        self._ready: deque[Job] = deque()
        self._turn = asyncio.Lock()
        self._over = False

    async def next(self) -> Job | None:
        """Return the next job; None when there are no more or none is wanted."""
        while not self._ready:
            async with self._turn:
                if self._over:
                    return None
                # Asked once more even where no more is wanted: who has all was not interrupted.
                if not self._ready:
                    await self._take_page()
        return None if self._stopped() else self._ready.popleft()

    @property
    def has_more(self) -> bool:
        """Whether there are, or may be, jobs that nobody took."""
        return bool(self._ready) or not self._over

    async def _take_page(self) -> None:
        try:
            self._ready.extend(await anext(self._pages))
        except StopAsyncIteration:
            self._over = True


class _Account:
    """Counts outcomes, and decides which errors concern one object and which concern all."""

    def __init__(
        self, emit: Callable[[TransferDone], None], ends: tuple[str, str], *, no_clobber: bool, action: str
    ) -> None:
        self._emit = emit
        self._from, self._to = ends
        self._no_clobber = no_clobber
        self._action = action
        self._started = time.monotonic()
        self._done = self._skipped = self._failed = self._bytes = 0

    async def settle(self, job: Job, move: Move) -> None:
        """Move one object and take note of its outcome; raises what concerns all objects."""
        try:
            outcome = await move(job)
        except HaulError as error:
            if concerns_all(error):
                raise
            outcome = self._failure(job, error)
        if outcome.error is not None:
            self._failed += 1
        elif outcome.action == "skip":
            self._skipped += 1
        else:
            self._done += 1
            self._bytes += max(outcome.size, 0)
        self._emit(outcome)

    def summary(self, *, interrupted: bool) -> Summary:
        """Return the counts so far."""
        seconds = time.monotonic() - self._started
        return Summary(self._done, self._skipped, self._failed, self._bytes, seconds, interrupted)

    def _failure(self, job: Job, error: HaulError) -> TransferDone:
        source, destination, size = self._from + job.item.key, self._to + job.destination, job.item.size
        if self._no_clobber and isinstance(error, PreconditionFailed):
            return TransferDone("skip", source, destination, size, reason="exists already")
        return TransferDone(self._action, source, destination, size, error=error)
