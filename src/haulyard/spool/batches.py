"""Which files came together: a list of each batch, beside the files in the store and to who wants to know.

::

    .haul-ship/batch.jsonl                      the batch that is open
    .haul-ship/outbox/20250729_161500-1.jsonl   one that is sealed: the same file, renamed

A file is noted, durably, *before* it is let go of: so whatever happens, each file that was shipped stands in
a list, and one that a crash made go twice may stand in two. A sealed batch stays until its list is in the
store (``PREFIX_manifests/20250729_161500-1.json``) and the receiver took it with a 2xx: at least once, each
time with the same id.
"""

from __future__ import annotations

import asyncio
import os
import random
import threading
import time
import uuid
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from itertools import count
from typing import TYPE_CHECKING, Final

import anyio.to_thread

from haulyard.errors import HaulError, SpoolError
from haulyard.events import Warned, ignore
from haulyard.journal import durable
from haulyard.pacing.backoff import full_jitter
from haulyard.spool.batch_files import (
    SUFFIX,
    document,
    key,
    line,
    order,
    read,
    recover,
    spool_errors,
    write,
)

if TYPE_CHECKING:
    from haulyard.events import Emit
    from haulyard.spool.batch_files import Listed, Place
    from haulyard.spool.webhook import Webhook

MOST: Final = 1000
"""Files in a list: as many as ``FILES`` of Snowflake's COPY INTO takes
(https://docs.snowflake.com/en/user-guide/data-load-considerations-load)."""

EVERY: Final = 60.0
"""Seconds after which a batch that is open is sealed: about as often as Snowflake advises to stage files
(https://docs.snowflake.com/en/user-guide/data-load-considerations-prepare)."""

#: Seconds: the bounds of the pause after the first round that failed, and of any.
_BASE: Final = 1.0
_LONGEST: Final = 60.0
_OPEN: Final = "batch.jsonl"
_OUTBOX: Final = "outbox"

Put = Callable[[str, bytes], Awaitable[bool]]
"""Makes an object of a key and its bytes (JSON), and never overwrites: True if it is there now with these
bytes, False if the key holds something else."""


class Batches:
    """The batches of one spool directory; exactly one process has them (the lock of the directory).

    Args:
        directory: The state directory, ``.haul-ship``; it exists.
        place: Where the files go.
        put: How a list gets into the store; None if it is only posted.
        webhook: Who is told of each batch; None for nobody.
        most: Files in a batch.
        every: Seconds after which a batch is sealed.
        clock: Tells seconds since the epoch.
        random: Draws a float from 0 up to 1.
        emit: Told, once, why a list cannot be delivered.

    Raises:
        SpoolError: The state cannot be read or written.
    """

    def __init__(
        self,
        directory: str,
        place: Place,
        *,
        put: Put | None = None,
        webhook: Webhook | None = None,
        most: int = MOST,
        every: float = EVERY,
        clock: Callable[[], float] = time.time,
        random: Callable[[], float] = random.random,
        emit: Emit = ignore,
    ) -> None:
        self._place = place
        self._put = put
        self._webhook = webhook
        self._most = most
        self._every = every
        self._clock = clock
        self._random = random
        self._emit = emit
        self._path = os.path.join(directory, _OPEN)
        self._outbox = os.path.join(directory, _OUTBOX)
        self._pending: deque[bytes] = deque()
        self._noted = 0
        self._durable = 0
        self._writing = asyncio.Lock()
        # A cancelled task leaves its thread behind, which finishes alone: the lock of the loop is not enough.
        self._disk = threading.Lock()
        self._delivering = asyncio.Lock()
        self._put_already: set[str] = set()
        self._told = ""
        self._urge = asyncio.Event()
        with spool_errors(self._path):
            os.makedirs(self._outbox, mode=0o700, exist_ok=True)
            was, self._count, self._length = recover(self._path)
            if self._count and was != place:
                self._rename()

    @property
    def waiting(self) -> int:
        """How many lists are still to be delivered."""
        return len(self._sealed())

    async def note(self, *listed: Listed) -> None:
        """Take files into the open batch; it is durable on return. Those who call together share one sync.

        Raises:
            SpoolError: It cannot be written; the files must not be let go of.
        """
        self._pending.extend(line(one._asdict()) for one in listed)
        self._noted = ticket = self._noted + len(listed)
        async with self._writing:
            while self._durable < ticket:
                if await anyio.to_thread.run_sync(self._append):
                    self._urge.set()
        await self._seal_from(self._most)

    async def seal(self) -> None:
        """Close the open batch, if there is one with files in it; its list goes out from now on.

        Raises:
            SpoolError: It cannot be renamed; it stays open.
        """
        await self._seal_from(1)

    async def run(self) -> None:
        """Seal and deliver until cancelled.

        A batch is sealed every ``every`` seconds, or when it is full; it is delivered at once, and again
        after a growing pause, a minute at most, where that fails.
        """
        failures, due = 0, time.monotonic() + self._every
        while True:
            if time.monotonic() >= due:
                try:
                    await self.seal()
                except SpoolError as error:
                    self._tell(str(error))
                due = time.monotonic() + self._every
            self._urge.clear()
            failures = failures + 1 if await self.deliver() else 0
            pause = max(0.0, due - time.monotonic())
            if failures:
                await asyncio.sleep(min(pause, self._pause(failures)))
            else:
                # In Python 3.11 wait_for swallows a cancellation that comes together with the event.
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._urge.wait()

    async def finish(self, patience: float) -> int:
        """Seal and deliver, for ``patience`` seconds at most; return how many lists are left then."""
        await self.seal()
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                for failures in count(1):
                    if not await self.deliver():
                        break
                    await asyncio.sleep(self._pause(failures))
        return self.waiting

    async def deliver(self) -> int:
        """Try each sealed batch once, the oldest first; return how many are left.

        One that its receiver refuses does not hold up the others; any other failure would meet them, too.
        """
        async with self._delivering:
            failure = ""
            for name in self._sealed():
                try:
                    await self._deliver(name)
                except SpoolError as error:
                    failure = str(error)
                except (HaulError, OSError) as error:
                    failure = str(error)
                    break
            self._tell(failure)
            return self.waiting

    async def _seal_from(self, least: int) -> None:
        """Seal the open batch if it has ``least`` files."""
        async with self._writing:
            if self._count >= least:
                await anyio.to_thread.run_sync(self._seal)
                self._urge.set()

    async def _deliver(self, name: str) -> None:
        batch = read(os.path.join(self._outbox, name))
        if self._put is not None and batch.message not in self._put_already:
            if batch.place.bucket != self._place.bucket:
                raise SpoolError(
                    f"{name} belongs to s3://{batch.place.bucket}/, where this run ships nothing"
                )
            while not await self._put(key(batch.place, name), document(batch, name)):
                # Another directory, or another machine, sealed one in the same second.
                name = self._renamed(name)
            self._put_already.add(batch.message)
        if self._webhook is not None:
            await self._webhook.post(batch.message, document(batch, name))
        os.unlink(os.path.join(self._outbox, name))
        self._put_already.discard(batch.message)

    def _sealed(self) -> list[str]:
        names = [name for name in os.listdir(self._outbox) if name.endswith(SUFFIX)]
        return sorted(names, key=order)

    def _append(self) -> bool:
        """Write, in a thread, what is pending and still fits: it is durable then, or stays pending.

        Returns whether a batch was full, and was sealed.
        """
        with self._disk:
            if is_full := self._count >= self._most:
                self._rename()
            some = min(len(self._pending), self._most - self._count)
            lines = [self._pending.popleft() for _ in range(some)]
            head = b"" if self._length else line({"id": str(uuid.uuid4()), **self._place._asdict()})
            content = head + b"".join(lines)
            try:
                with spool_errors(self._path):
                    write(self._path, self._length, content)
            except SpoolError:
                self._pending.extendleft(reversed(lines))
                raise
            self._length += len(content)
            self._count += len(lines)
            self._durable += len(lines)
            return is_full

    def _seal(self) -> None:
        with self._disk:
            if self._count:
                self._rename()

    def _rename(self) -> None:
        with spool_errors(self._path):
            moment = datetime.fromtimestamp(self._clock(), UTC).strftime("%Y%m%d_%H%M%S")
            os.rename(self._path, self._free(moment))
            self._count = self._length = 0
            durable.fsync_directory(self._outbox)
            durable.fsync_directory(os.path.dirname(self._path))

    def _renamed(self, name: str) -> str:
        """Give a sealed batch the next number of its second, and return its name."""
        moment, number = order(name)
        path = self._free(moment, number + 1)
        os.rename(os.path.join(self._outbox, name), path)
        durable.fsync_directory(self._outbox)
        return os.path.basename(path)

    def _free(self, moment: str, first: int = 1) -> str:
        paths = (os.path.join(self._outbox, f"{moment}-{number}{SUFFIX}") for number in count(first))
        return next(path for path in paths if not os.path.lexists(path))

    def _pause(self, failures: int) -> float:
        return full_jitter(failures, _BASE, _LONGEST, random=self._random)

    def _tell(self, failure: str) -> None:
        if failure and failure != self._told:
            self._emit(Warned(f"the list of a batch waits: {failure}", "it is sent again by itself"))
        self._told = failure
