"""The files of a directory on their way: found, carried many at a time, let go of, each with its result.

::

    look ── waiting ── workers (carry, prove) ── settler (list, let go: many files at once) ── results

Looking goes on while files are carried, so that a large one holds nobody up. What meets all files
(`haulyard.spool.weather`) stops the workers for a while; a file that fails for itself comes back later.
"""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from haulyard.client.cancelling import wait_shielded
from haulyard.errors import HaulError, S3AuthError, SourceChanged, SpoolError
from haulyard.events import Warned
from haulyard.spool.account import Shipped
from haulyard.spool.addressing import Addressing
from haulyard.spool.carrying import Gone
from haulyard.spool.finished import Lookout
from haulyard.spool.settling import Done, Settler
from haulyard.spool.waiting import Waiting
from haulyard.spool.weather import Weather, is_denied, is_final, is_hopeless, is_own, pause_after
from haulyard.transfer.filters import ACCEPT_ALL
from haulyard.transfer.workers import first_error

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

    from haulyard.events import Emit
    from haulyard.spool.account import Account
    from haulyard.spool.carrying import Carried
    from haulyard.spool.finished import Candidate, Sight
    from haulyard.spool.health import Vitals
    from haulyard.spool.keys import KeyRules
    from haulyard.spool.letting_go import After
    from haulyard.spool.premises import Premises
    from haulyard.spool.settling import Note
    from haulyard.transfer.filters import Filter

#: Large files at a time: each of them has several parts under way, and the small ones want their turn.
_LARGE: Final = 2
#: Seconds between two looks at all that is kept, whether it is still the same.
_THOROUGH: Final = 60.0
#: Seconds between two looks where nobody says that something came.
_RESCAN: Final = 1.0
#: Looking takes at most one part in so many of the time.
_SHARE: Final = 20


@dataclass(frozen=True, slots=True)
class Rules:
    """Which files go, under which keys, and what becomes of them.

    ``settle`` in seconds. A file that fails for its own reasons is tried ``tries`` times, the first pause
    being ``base_delay`` seconds. ``concurrency`` files are carried at a time.
    """

    keys: KeyRules
    wanted: Filter = ACCEPT_ALL
    settle: float = 5.0
    after: After = "keep"
    tries: int = 5
    base_delay: float = 1.0
    concurrency: int = 32


class Shipment:
    """One run over the files of one directory.

    Args:
        premises: What is open meanwhile.
        rules: What is asked for.
        emit: Told of what a person should know.
        on_result: Told of the end of each file.
        note: See `haulyard.spool.settling.Note`.
    """

    def __init__(
        self,
        premises: Premises,
        rules: Rules,
        emit: Emit,
        on_result: Callable[[Shipped], None],
        note: Note | None = None,
    ) -> None:
        self._premises = premises
        self._rules = rules
        self._emit = emit
        self._lookout = Lookout(premises.directory, rules.wanted, rules.settle)
        self._addressing = Addressing(premises, rules.keys, emit)
        self._weather = Weather(rules.base_delay)
        self._waiting = Waiting()
        pause = max(rules.settle, rules.base_delay)
        self._settler = Settler(premises, self._waiting, pause, emit, on_result, note, self._on_trouble)
        self._oldest = 0.0
        self._refused: set[str] = set()
        self._flying = self._large = self._passed = 0
        self._once = True
        self._is_stale = False
        self._error: HaulError | None = None
        self._news = asyncio.Event()
        self._halted = asyncio.Event()

    def vitals(self) -> Vitals:
        """Return how shipping stands."""
        vitals = self._settler.vitals
        vitals.oldest_age = max(0.0, time.time() - self._oldest) if vitals.files else 0.0
        return vitals

    async def run(
        self,
        *,
        once: bool,
        arrivals: AsyncIterator[None] | None = None,
        stopping: asyncio.Event | None = None,
    ) -> Account:
        """Ship what is there, or with ``once`` False also what comes, until ``stopping`` is set.

        ``arrivals`` yields when something may have come. What is under way when it is to stop is brought to
        its end; cancelling parks it.

        Raises:
            HaulError: Nothing can be shipped, and waiting is of no use, or not wanted.
        """
        self._once = once
        self._settler.account.before = len(self._premises.kept)
        settling = asyncio.create_task(self._settler.run())
        settling.add_done_callback(lambda _: self._halt())
        heeding = asyncio.create_task(self._heed(stopping)) if stopping else None
        try:
            async with asyncio.TaskGroup() as group:
                workers = [group.create_task(self._work()) for _ in range(self._rules.concurrency)]
                group.create_task(self._keep_looking(arrivals))
                await self._halted.wait()
                if self._error is not None:
                    for worker in workers:
                        worker.cancel()
        except BaseExceptionGroup as errors:
            raise first_error(errors) from None
        finally:
            if heeding is not None:
                heeding.cancel()
            self._settler.close()
            await wait_shielded(settling)
            settling.result()
        if self._error is not None:
            raise self._error
        account = self._settler.account
        account.interrupted = bool(stopping and stopping.is_set() and self._waiting.busy)
        return account

    async def ship(self, candidate: Candidate, key: str = "") -> Shipped:
        """Carry one file, once, and let go of it; an error is in the result.

        Raises:
            HaulError: What would meet every other file as well.
        """
        started = time.monotonic()
        path = self._path(candidate)
        try:
            found, at = self._addressing.key_of(candidate, key)
            carried = await self._premises.carrier(candidate, found, at)
        except Gone:
            raise SpoolError(f"{path} is gone") from None
        except HaulError as error:
            if not (isinstance(error, SourceChanged) or is_own(error, others_pass=False)):
                raise
            return Shipped(path, key, candidate.size, error=error, action="fail")
        done = Done(candidate, carried, 1, time.monotonic() - started)
        results = await self._settler.let_go([done])
        if self._error is not None:
            raise self._error
        if not results:
            changed = SpoolError(f"{path} was changed after it was read", hint="ship it again")
            return Shipped(path, carried.key, candidate.size, carried.sha256, error=changed, action="fail")
        return results[0]

    # Looking

    async def _keep_looking(self, arrivals: AsyncIterator[None] | None) -> None:
        until = time.monotonic() + self._rules.settle + _RESCAN
        coming: asyncio.Future[None] | None = None
        thorough = 0.0
        try:
            while not self._halted.is_set():
                began = time.monotonic()
                is_thorough = self._once or began >= thorough
                sight = await self._look(is_thorough=is_thorough)
                cost = time.monotonic() - began
                if is_thorough:
                    thorough = began + max(_THOROUGH, cost * _SHARE)
                if self._once:
                    if not await self._is_more(sight, until):
                        break
                    continue
                await self._first(cost * _SHARE)
                if arrivals is not None and coming is None:
                    coming = asyncio.ensure_future(_next(arrivals))
                waits = [_THOROUGH if coming else _RESCAN, *self._waiting.due(sight, time.monotonic())]
                await self._first(min(waits if sight.due is None else [*waits, sight.due]), coming)
                if coming is not None and coming.done():
                    coming.result()
                    coming = None
        finally:
            if coming is not None:
                coming.cancel()
            self._halt()

    async def _look(self, *, is_thorough: bool) -> Sight:
        """Find what is finished, and let it wait for its turn."""
        kept, stuck = self._premises.kept, self._settler.stuck
        known = {**kept, **stuck} if stuck else kept
        sight = await asyncio.to_thread(
            self._lookout.look, self._waiting.busy, known, is_thorough=is_thorough
        )
        vitals = self._settler.vitals
        vitals.files, vitals.bytes, self._oldest = sight.files, sight.bytes, sight.oldest
        for name in sight.links:
            if name not in self._refused:
                self._refused.add(name)
                path = os.path.join(self._premises.path, name)
                self._emit(Warned(f"{path} is a link, and is not followed", "put the file itself there"))
        if self._waiting.offer(sight, self._premises.kept, time.monotonic()):
            self._news.set()
        return sight

    async def _is_more(self, sight: Sight, until: float) -> bool:
        """Wait until all have had their turn, and then until another look is due; False: all are done.

        Files that are too young get until ``until`` to be finished, no more: who goes on writing is left.
        """
        await self._first(None, self._waiting.quiet.wait())
        now = time.monotonic()
        waits = self._waiting.due(sight, now)
        if sight.due is not None and now + sight.due <= until:
            waits.append(sight.due)
        self._settler.account.unfinished = self._waiting.left + sight.young
        if waits:
            await self._first(min(waits))
        return bool(waits)

    # Carrying

    async def _work(self) -> None:
        while (candidate := await self._take()) is not None:
            is_large = self._premises.carrier.is_large(candidate.size)
            self._flying += 1
            self._large += is_large
            try:
                done = await self._carry(candidate)
            finally:
                self._flying -= 1
                self._large -= is_large
                if is_large or self._weather.is_bad:
                    self._news.set()
            if done is not None:
                await self._settler.take(done)

    async def _take(self) -> Candidate | None:
        while not self._halted.is_set():
            if (candidate := self._pick()) is not None:
                return candidate
            self._news.clear()
            await self._news.wait()
        return None

    def _pick(self) -> Candidate | None:
        """Return the next file that may go now."""
        if self._weather.is_bad and (self._flying or self._weather.is_pausing(time.monotonic())):
            return None
        if self._large < _LARGE:
            return self._waiting.pick()
        is_large = self._premises.carrier.is_large
        return self._waiting.pick(lambda candidate: is_large(candidate.size))

    async def _carry(self, candidate: Candidate) -> Done | None:
        started, passed = time.monotonic(), self._passed
        try:
            carried = await self._carried(candidate)
        except Gone:
            self._waiting.release(candidate.name)
        except SourceChanged:
            if self._once:
                self._waiting.leave(candidate.name)
            else:
                self._waiting.put_off(candidate.name, started + max(self._rules.settle, _RESCAN))
        except HaulError as error:
            await self._failed(candidate, error, others_pass=self._passed > passed)
        else:
            self._passed += 1
            if self._weather.is_bad:
                self._weather.clear()
                self._settler.vitals.trouble = ""
                self._waiting.sort()
            tries = self._premises.state.tries(candidate.name, candidate.identity)
            return Done(candidate, carried, tries + 1, time.monotonic() - started)
        return None

    async def _carried(self, candidate: Candidate) -> Carried:
        premises = self._premises
        if self._is_stale:
            # With what credentials there are by now; nothing else is under way.
            await premises.reconnect()
            self._is_stale = False
        begun = premises.state.begun.get(candidate.name)
        if begun is not None and begun.identity != candidate.identity:
            await premises.abandon(candidate.name)
        key, at = self._addressing.key_of(candidate)
        return await premises.carrier(candidate, key, at)

    # Failing

    async def _failed(self, candidate: Candidate, error: HaulError, *, others_pass: bool) -> None:
        """Decide what a failure means, and act on it."""
        state, name = self._premises.state, candidate.name
        tries = state.tries(name, candidate.identity) + 1
        if not is_own(error, others_pass=others_pass):
            self._take_back(candidate, error, others_pass=others_pass)
        elif is_final(error) or tries >= self._rules.tries:
            await self._give_up(candidate, error, tries)
        else:
            try:
                state.failed(name, candidate.identity, tries, str(error))
            except SpoolError as unwritable:
                self._take_back(candidate, unwritable, others_pass=False)
                return
            pause = pause_after(tries, self._rules.base_delay)
            of_all = f"try {tries} of {self._rules.tries} failed, again in {pause:.1f} s"
            self._emit(Warned(f"{self._path(candidate)}: {of_all}: {error}", error.hint))
            self._put_off(name, pause)

    def _take_back(self, candidate: Candidate, error: HaulError, *, others_pass: bool) -> None:
        """Take a file back that is not to blame, and wait with all of them where none gets through."""
        if others_pass and not (is_denied(error) or is_hopeless(error)):
            self._put_off(candidate.name, self._rules.base_delay)
            return
        # Another one goes ahead next time: what is wrong may be this one after all.
        self._waiting.put_last(candidate)
        self._wait_for(error)

    def _put_off(self, name: str, pause: float) -> None:
        self._settler.vitals.retries += 1
        self._waiting.put_off(name, time.monotonic() + pause)

    def _on_trouble(self, error: HaulError) -> None:
        """Nothing can be let go of, for the state cannot be written; that files pass does not mend it."""
        if self._once:
            self._end(error)
        else:
            self._wait_for(error)

    def _wait_for(self, error: HaulError) -> None:
        """Let nobody go for a while, or end where waiting is of no use, or not wanted."""
        # Files of settings that are read again may be half written.
        is_vain = is_hopeless(error) and not self._is_stale
        if is_vain or (self._once and is_denied(error)):
            self._end(error)
            return
        pause = self._weather.worsen(time.monotonic())
        if pause is None:
            return
        if self._once and self._weather.failures >= self._rules.tries:
            self._end(error)
            return
        vitals = self._settler.vitals
        vitals.retries += 1
        vitals.trouble = str(error)
        self._is_stale = self._is_stale or isinstance(error, S3AuthError)
        backlog = f"{vitals.files} files of {vitals.bytes} bytes wait"
        said = f"nothing can be shipped, again in {pause:.1f} s; {backlog}: {error}"
        self._emit(Warned(said, error.hint))
        self._wake_later()

    def _wake_later(self) -> None:
        """Let one go ahead when the pause is over; timers may be early by the tick of their clock."""
        left = self._weather.left(time.monotonic())
        if left and not self._halted.is_set():
            asyncio.get_running_loop().call_later(left, self._wake_later)
        else:
            self._news.set()

    async def _give_up(self, candidate: Candidate, error: HaulError, tries: int) -> None:
        try:
            key = self._addressing.key_of(candidate)[0]
        except HaulError:
            # Its name may be what is wrong.
            key = ""
        await self._settler.put_aside(candidate, key, error, tries)

    def _path(self, candidate: Candidate) -> str:
        return os.path.join(self._premises.path, candidate.name)

    # Ending

    def _end(self, error: HaulError) -> None:
        self._error = self._error or error
        self._halt()

    def _halt(self) -> None:
        self._halted.set()
        self._news.set()

    async def _heed(self, stopping: asyncio.Event) -> None:
        await stopping.wait()
        self._halt()

    async def _first(
        self,
        seconds: float | None,
        other: Coroutine[object, object, object] | asyncio.Future[None] | None = None,
    ) -> None:
        """Wait for ``other``, for the end, or for some seconds, whatever comes first."""
        waits: list[asyncio.Future[Any]] = [asyncio.ensure_future(self._halted.wait())]
        if other is not None:
            waits.append(asyncio.ensure_future(other))
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            if wait is not other:
                wait.cancel()


async def _next(arrivals: AsyncIterator[None]) -> None:
    await anext(arrivals)
