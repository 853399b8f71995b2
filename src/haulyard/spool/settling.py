"""What the store holds is let go of, many files at a time: listed, removed, remembered, told."""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING, Final, NamedTuple

from haulyard.errors import HaulError, SpoolError
from haulyard.events import Warned
from haulyard.spool.account import Account, Shipped
from haulyard.spool.health import Vitals
from haulyard.spool.letting_go import Leaving
from haulyard.spool.shipped import Kept

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from haulyard.events import Emit
    from haulyard.spool.carrying import Carried
    from haulyard.spool.finished import Candidate, Identity
    from haulyard.spool.letting_go import Fate
    from haulyard.spool.premises import Premises
    from haulyard.spool.waiting import Waiting

    #: Told of files that the store holds before they are let go of; returns when that is durable.
    Note = Callable[[Sequence[Shipped]], Awaitable[None]]

#: Files that wait, open, to be let go of; a process may have 1,024 descriptors.
_OPEN: Final = 256
#: Seconds in which more of them come together while others wait for their turn: a commit, a list and a change
#: of threads serve all of them.
_GATHER: Final = 0.02


class Done(NamedTuple):
    """A file that the store holds and that is to be let go of."""

    candidate: Candidate
    carried: Carried
    attempts: int
    seconds: float


class Settler:
    """Lets go of files, and keeps the counts.

    Args:
        premises: What is open meanwhile.
        waiting: Where files come from.
        pause: How long one that changed meanwhile, or that could not be let go of, is put off, in seconds.
        emit: Told of what a person should know.
        on_result: Told of the end of each file.
        note: See `Note`.
        on_trouble: Told where the state cannot be written: then nothing is let go of.
    """

    def __init__(
        self,
        premises: Premises,
        waiting: Waiting,
        pause: float,
        emit: Emit,
        on_result: Callable[[Shipped], None],
        note: Note | None,
        on_trouble: Callable[[HaulError], None],
    ) -> None:
        self._premises = premises
        self._waiting = waiting
        self._pause = pause
        self._emit = emit
        self._on_result = on_result
        self._note = note
        self._on_trouble = on_trouble
        self._done: list[Done] = []
        self._arrived = asyncio.Event()
        self._room = asyncio.Event()
        self._is_closing = False
        self.stuck: dict[str, Identity] = {}
        """Files that the store holds and that cannot be removed."""
        self.account = Account()
        self.vitals = Vitals()

    async def take(self, done: Done) -> None:
        """Take a file, which is let go of soon; waits while there are too many."""
        self._done.append(done)
        self._arrived.set()
        while len(self._done) >= _OPEN:
            self._room.clear()
            await self._room.wait()

    async def run(self) -> None:
        """Let go of what is taken, until `close` is called and nothing is left."""
        while not (self._is_closing and not self._done):
            if not self._done:
                self._arrived.clear()
                await self._arrived.wait()
                continue
            if self._waiting and len(self._done) < _OPEN // 2:
                await asyncio.sleep(_GATHER)
            batch, self._done = self._done, []
            self._room.set()
            await self.let_go(batch)

    def close(self) -> None:
        """Let `run` end when all is done that was taken."""
        self._is_closing = True
        self._arrived.set()

    async def let_go(self, batch: Sequence[Done]) -> list[Shipped]:
        """Let go of files, and return the results of those that came to their end."""
        results = [self._result(each) for each in batch]
        leaving = [Leaving(c.candidate.name, c.carried.descriptor, c.candidate.identity) for c in batch]
        try:
            if self._note is not None:
                await self._note(results)
            fates = await asyncio.to_thread(self._premises.letting_go, leaving)
            if "kept" in fates:
                kept = [_kept(one) for one, fate in zip(batch, fates, strict=True) if fate == "kept"]
                await asyncio.to_thread(self._premises.state.keep, kept)
        except SpoolError as error:
            # They stay, and are recognised when they go again.
            for each in batch:
                self._put_off(each)
            self._on_trouble(error)
            return []
        finally:
            for each in batch:
                each.carried.file.close()
        settled = (self._settled(*each) for each in zip(batch, results, fates, strict=True))
        return [result for result in settled if result is not None]

    async def put_aside(self, candidate: Candidate, key: str, error: HaulError, tries: int) -> None:
        """Give a file up: put it aside with the reason, and abort what was begun of it.

        ``key`` is the one that it would have had, ``""`` where it can have none.
        """
        name, premises = candidate.name, self._premises
        path = os.path.join(premises.path, name)
        try:
            await asyncio.to_thread(premises.quarantine, name, key, error, tries)
        except FileNotFoundError:
            self._waiting.release(name)
            return
        except OSError as unmovable:
            reason = f"cannot be put aside: {unmovable.strerror}"
            self._emit(Warned(f"{path} {reason}; it has failed: {error}", error.hint))
            self.stuck[name] = candidate.identity
            self._give_up(candidate, Shipped(path, key, candidate.size, "", tries, error, 0.0, "fail"))
            return
        try:
            await premises.abandon(name)
        except HaulError as left_open:
            # Its upload is aborted by the next start.
            self._emit(Warned(f"an upload of {path} is still open: {left_open}", left_open.hint))
        url = f"{premises.store.name}/{key}" if key else ""
        result = Shipped(path, key, candidate.size, "", tries, error, 0.0, "quarantine", url)
        self._give_up(candidate, result)

    def _give_up(self, candidate: Candidate, result: Shipped) -> None:
        self.vitals.failed += 1
        self._finish(candidate, result)

    def _settled(self, each: Done, result: Shipped, fate: Fate | SpoolError) -> Shipped | None:
        candidate = each.candidate
        if fate == "changed":
            self._put_off(each)
            return None
        if isinstance(fate, SpoolError):
            self.stuck[candidate.name] = candidate.identity
            self.vitals.failed += 1
            return self._finish(candidate, result._replace(error=fate, action="fail"))
        try:
            self._premises.state.ended(candidate.name)
        except SpoolError as error:
            self._emit(Warned(str(error), error.hint))
        now = time.time()
        self.vitals.shipped += 1
        self.vitals.shipped_bytes += candidate.size
        self.vitals.last_shipped = now
        self.vitals.took(max(0.0, now - candidate.since))
        return self._finish(candidate, result)

    def _put_off(self, each: Done) -> None:
        self.vitals.retries += 1
        self._waiting.put_off(each.candidate.name, time.monotonic() + self._pause)

    def _finish(self, candidate: Candidate, result: Shipped) -> Shipped:
        self.vitals.files = max(0, self.vitals.files - 1)
        self.vitals.bytes = max(0, self.vitals.bytes - candidate.size)
        self.account.add(result)
        self._on_result(result)
        self._waiting.release(candidate.name)
        return result

    def _result(self, each: Done) -> Shipped:
        candidate, carried = each.candidate, each.carried
        return Shipped(
            os.path.join(self._premises.path, candidate.name),
            carried.key,
            candidate.size,
            carried.sha256,
            each.attempts,
            None,
            each.seconds,
            "ship" if carried.is_new else "recognise",
            f"{self._premises.store.name}/{carried.key}",
            carried.etag,
            carried.version_id,
        )


def _kept(each: Done) -> Kept:
    candidate, carried = each.candidate, each.carried
    return Kept(candidate.name, candidate.identity, carried.key, carried.sha256, carried.etag, time.time())
