"""A whole job carried out: shard by shard, what failed once more at the end."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from haulyard.errors import JobError
from haulyard.jobs.applying.options import Tally
from haulyard.jobs.applying.slices import Slice
from haulyard.jobs.applying.standing import OPEN
from haulyard.jobs.applying.trouble import Trouble
from haulyard.journal.shard import Shard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from haulyard.events import TransferDone
    from haulyard.jobs.applying.workshop import Workshop

    Report = Callable[[TransferDone], None]
    Stopped = Callable[[], bool]


#: How often a shard is tried that others lock and let go of meanwhile.
_TRIES: Final = 10


class ShardsRun:
    """Runs shards one after another in this process, and those with failures once more.

    Where they are ``shared`` with other processes, those that another one works on are left to it.
    """

    def __init__(
        self, workshop: Workshop, report: Report, stopped: Stopped, *, owner: str, shared: bool = False
    ) -> None:
        self._shop = workshop
        self._report = report
        self._stopped = stopped
        self._owner = owner
        self._shared = shared
        self._trouble = Trouble(workshop.options.max_errors)
        self._failed: list[str] = []
        self.tally = Tally()

    async def run(self, paths: Iterable[str]) -> None:
        """Do what is left to do in each shard; those whose order matters come last."""
        started = time.monotonic()
        for path in paths:
            if self._stopped():
                self.tally = self.tally._replace(interrupted=True)
                break
            tally = await self._run_one(path, again=False)
            self.tally += tally._replace(seconds=0.0)
            if tally.failed:
                self._failed.append(path)
        self._time(started)

    async def run_again(self) -> None:
        """Try once more what failed in a way that may go well now."""
        started = time.monotonic()
        paths, self._failed = self._failed, []
        for path in paths:
            if self._stopped() or self.tally.interrupted:
                return
            tally = await self._run_one(path, again=True)
            total = self.tally
            self.tally = total._replace(
                done=total.done + tally.done,
                skipped=total.skipped + tally.skipped,
                failed=total.failed - tally.done - tally.skipped,
                bytes=total.bytes + tally.bytes,
                interrupted=tally.interrupted,
            )
        self._time(started)

    async def _run_one(self, path: str, *, again: bool) -> Tally:
        if not again and is_finished(path):
            return Tally()
        shard = self._open(path)
        if shard is None:
            return Tally()
        self._shop.is_ordered = is_ordered(path)
        async with shard:
            slice_ = Slice(shard, self._shop, self._trouble, self._report, self._stopped)
            tally = await slice_.run(again=again)
            if not tally.interrupted:
                await shard.finish(slice_.counts())
        return tally

    def _open(self, path: str) -> Shard | None:
        """Open a shard for work; None where another process works on it, or has finished it meanwhile."""
        for _ in range(_TRIES):
            try:
                return Shard.open(path, owner=self._owner)
            except JobError:
                if not self._shared:
                    raise
                if Shard.holder(path) is not None or is_finished(path):
                    return None
        # Nobody holds it: it is something else that keeps it from being opened.
        return Shard.open(path, owner=self._owner)

    def _time(self, started: float) -> None:
        self.tally = self.tally._replace(seconds=self.tally.seconds + time.monotonic() - started)


def is_ordered(path: str) -> bool:
    """Return whether the operations of a shard have to be done in their order."""
    return path.rpartition("/")[2].startswith("ordered-")


def is_finished(path: str) -> bool:
    """Return whether nothing is left to do in a shard."""
    with Shard.open(path, owner="", read_only=True) as shard:
        tally = shard.tally()
    return tally is not None and not any(map(tally["phases"].get, OPEN))
