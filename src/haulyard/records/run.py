"""One run of a records job: sends, keeps the books, and stops when it is asked to or has to."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

import anyio

from haulyard.errors import HaulError, JobError
from haulyard.events import ignore
from haulyard.records.delivery import Delivery
from haulyard.records.health import STREAK, Health

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from haulyard.events import Emit
    from haulyard.records.books import Books
    from haulyard.records.calls import Call, Grouping, Origin
    from haulyard.records.judging import Judge
    from haulyard.records.model import Letter
    from haulyard.records.pacer import Pacer
    from haulyard.records.target import Target

#: Calls, and bytes of them, that may be open at a time, those that wait for another attempt included.
_MOST_OPEN: Final = 8192
_MOST_BYTES: Final = 16 * 1024**2
#: Calls after which others get a turn, where none of them has to wait.
_BREATH: Final = 16


@dataclass(frozen=True, slots=True)
class Manner:
    """How a run goes about it.

    ``attempts`` of one call in all, ``retry_base`` seconds bound the first pause, ``patience`` is for how
    long an API that fails altogether is waited for, ``grace`` what calls in flight get when it is asked to
    stop; all of these in seconds. ``streak`` is of how many answers without a success it takes to call it a
    failure altogether.
    """

    attempts: int = 10
    retry_base: float = 0.1
    patience: float = 60.0
    grace: float = 30.0
    streak: int = STREAK


class Records(Protocol):
    """What is to be sent."""

    @property
    def is_at_end(self) -> bool:
        """Whether all of it was given out."""
        ...

    def calls(self) -> AsyncGenerator[Call]:
        """Yield it, a call at a time."""
        ...


class Run:
    """One run of a job whose ledger is open.

    Args:
        books: Keep what happens.
        records: Yields calls of what is to be sent, one after the other.
        target: Takes the calls.
        judge: Says what answers mean.
        pacer: Says when calls may be made.
        grouping: Made the calls, and cuts those that are refused.
        manner: How to go about it.
        emit: Is told of failures and pauses.
    """

    def __init__(
        self,
        books: Books,
        records: Records,
        target: Target,
        judge: Judge,
        pacer: Pacer,
        grouping: Grouping,
        manner: Manner,
        emit: Emit = ignore,
    ) -> None:
        self._books = books
        self._records = records
        self._pacer = pacer
        self._manner = manner
        self._health: Health[tuple[Letter, Origin]] = Health(manner.patience, manner.streak)
        self._delivery = Delivery(
            target,
            judge,
            pacer,
            books,
            self._health,
            grouping,
            attempts=manner.attempts,
            retry_base=manner.retry_base,
            halt=self._halt,
            emit=emit,
        )
        self._open: set[asyncio.Task[None]] = set()
        self._open_bytes = 0
        self._changed = asyncio.Event()
        self._stopped = asyncio.Event()
        self._why: BaseException | None = None
        self.is_complete = False
        """Whether all that was to be sent came to its end."""

    def stop(self) -> None:
        """Begin no more calls; `work` ends once those in flight are answered, or their grace is over."""
        self._stopped.set()
        self._changed.set()
        self._delivery.stop()

    async def work(self) -> None:
        """Send what is left to be sent.

        Raises:
            ApiDenied, ApiUnavailable, ConfigError: No call can succeed; what was answered is kept.
            JobError: A source object was replaced, or the books cannot be kept.
            HaulError: A source cannot be read at the moment.
        """
        keeping = asyncio.create_task(self._books.keep())
        keeping.add_done_callback(self._take_over)
        sending = asyncio.create_task(self._send())
        sending.add_done_callback(self._take_over)
        try:
            await self._all_sent(sending)
            await self._all_answered()
            if not self._stopped.is_set():
                for letter, origin in self._health.settled():
                    self._books.buried(letter, origin)
                self.is_complete = self._records.is_at_end
        finally:
            with anyio.CancelScope(shield=True):
                await _ended([sending, *self._open])
                await _ended([keeping])
                await self._close_books()
        if self._why is not None:
            raise self._why

    async def _close_books(self) -> None:
        """Write what was answered, also where the run was cancelled: that much is not sent again."""
        if self._why is None or isinstance(self._why, HaulError):
            try:
                await self._books.close()
            except JobError as error:
                self._why = self._why or error

    async def _all_sent(self, sending: asyncio.Task[None]) -> None:
        stopped = asyncio.create_task(self._stopped.wait())
        try:
            await asyncio.wait((sending, stopped), return_when=asyncio.FIRST_COMPLETED)
        finally:
            await _ended([stopped])
        if self._stopped.is_set():
            await _ended([sending])

    async def _all_answered(self) -> None:
        """Let open calls come to their end; once it is stopped only those in flight, within the grace."""
        while self._open and not self._stopped.is_set():
            self._changed.clear()
            await self._changed.wait()
        if self._open:
            await asyncio.wait(self._open, timeout=self._manner.grace)

    def _halt(self, why: BaseException) -> None:
        self._why = self._why or why
        self.stop()

    def _take_over(self, task: asyncio.Task[None]) -> None:
        """Make an error of one of the run's tasks its own."""
        if not task.cancelled() and (error := task.exception()) is not None:
            self._halt(error)

    def _spawn(self, call: Call, grant: float) -> None:
        task = asyncio.create_task(self._delivery.deliver(call, grant))
        self._open.add(task)
        self._open_bytes += len(call.body)

        def ended(task: asyncio.Task[None]) -> None:
            self._open.discard(task)
            self._open_bytes -= len(call.body)
            self._changed.set()
            # Also where it was refused, and so were its parts: others may fare better.
            self._delivery.answered.set()
            self._take_over(task)

        task.add_done_callback(ended)

    async def _send(self) -> None:
        """Make calls of records until there are no more."""
        answered = self._delivery.answered
        count = 0
        async with aclosing(self._records.calls()) as calls:
            async for call in calls:
                while len(self._open) >= _MOST_OPEN or self._open_bytes > _MOST_BYTES:
                    self._changed.clear()
                    await self._changed.wait()
                grant = await self._pacer.turn()
                if self._stopped.is_set():
                    return
                self._spawn(call, grant)
                if not answered.is_set():
                    # Nothing is known of the API yet: one record is enough to ask it.
                    await answered.wait()
                count += 1
                if not count % _BREATH:
                    await asyncio.sleep(0)


async def _ended(tasks: Sequence[asyncio.Task[Any]]) -> None:
    """Cancel tasks, and wait until they have come to their end."""
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)
