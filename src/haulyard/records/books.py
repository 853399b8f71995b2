"""What happened since the last commit, and goes into the next: marks, dead letters, answers, numbers."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final, cast

from haulyard.events import RecordFailed, RecordsEnded, ignore
from haulyard.records.ledger import Commit
from haulyard.records.model import KEPT_ANSWER, Letter

if TYPE_CHECKING:
    from collections.abc import Callable

    from haulyard.events import Emit
    from haulyard.records.account import Account, End
    from haulyard.records.calls import Call, Origin
    from haulyard.records.ledger import Ledger
    from haulyard.records.pacer import Pacer
    from haulyard.records.progress import Progress
    from haulyard.records.responses import Responses
    from haulyard.records.target import Answer

#: Seconds from the beginning of one commit to that of the next. What was answered since the last commit is
#: sent again after a kill: this, and the time of a commit, bounds how much that is.
PACE: Final = 0.05


class Books:
    """Keeps the ledger of a run. Changes are made in one step of the event loop: none is committed half."""

    def __init__(
        self,
        ledger: Ledger,
        progress: Progress,
        account: Account,
        pacer: Pacer,
        responses: Responses | None,
        *,
        emit: Emit = ignore,
        job: str = "",
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.progress = progress
        self.account = account
        self._ledger = ledger
        self._pacer = pacer
        self._responses = responses
        self._emit = emit
        self._job = job
        self._before = account.pauses, account.paused
        self._told_bytes = account.bytes_read
        self._wall = wall
        self._letters: list[Letter] = []
        self._resolved: list[int] = []
        self._unread: dict[int, str] = {}
        self._dirty = asyncio.Event()

    def delivered(self, call: Call, answer: Answer, seconds: float) -> None:
        """Take note of a call that was answered well."""
        now = self._wall()
        self.account.durations.add(seconds)
        if self._responses is not None:
            for _, origin in call.singles():
                self._responses.add(origin.address, origin.part, answer.status, answer.body, now)
        for origin in call.origins:
            self._end("delivered", origin, now)
        self._dirty.set()

    def passed_over(self, origin: Origin) -> None:
        """Take note of records that are not to be sent."""
        self._end("passed_over", origin, self._wall())
        self._dirty.set()

    def buried(self, letter: Letter, origin: Origin) -> None:
        """Take note of a record that could not be delivered."""
        self.account.errors[_name(letter)] += 1
        self._letters.append(letter)
        self._emit(
            RecordFailed(str(letter.address), letter.kind, letter.reason, letter.status, letter.attempts)
        )
        how = cast("End", letter.kind)
        if origin.letter is None:
            self._end(how, origin, letter.at)
        elif origin.letter.letter.kind != how:
            self.account.end_anew(cast("End", origin.letter.letter.kind), how, letter.at)
        self._dirty.set()

    def unread(self, number: int, reason: str) -> None:
        """Take note that an object cannot be read to its end, or with ``""`` that it can."""
        self._unread[number] = reason
        self.account.errors["unreadable"] += bool(reason)
        self._dirty.set()

    def touched(self) -> None:
        """Have a commit made although nothing ended: reading went on."""
        self._dirty.set()

    def _end(self, how: End, origin: Origin, at: float) -> None:
        if origin.letter is not None:
            self._resolved.append(origin.letter.id)
            self.account.end_anew(cast("End", origin.letter.letter.kind), how, at)
        else:
            self.account.end(how, at, origin.count)
            origin.end()

    async def keep(self) -> None:
        """Commit whenever there is something to be kept, for ever; raises JobError where that fails."""
        while True:
            await self._dirty.wait()
            began = time.monotonic()
            await self.commit()
            await asyncio.sleep(max(0.0, PACE - (time.monotonic() - began)))

    async def commit(self) -> None:
        """Write what happened since the last time, in one transaction.

        Who is cancelled meanwhile waits for its end: two must not write at the same time.

        Raises:
            JobError: It cannot be written; nothing may be done any more.
        """
        self._dirty.clear()
        writing = asyncio.ensure_future(asyncio.to_thread(self._write, self._take()))
        try:
            await asyncio.shield(writing)
        except asyncio.CancelledError:
            await asyncio.wait([writing])
            raise
        account = self.account
        size, self._told_bytes = account.bytes_read - self._told_bytes, account.bytes_read
        self._emit(RecordsEnded(self._job, account.records - account.failures, account.failures, size))

    def _take(self) -> Commit:
        now = self._wall()
        self.account.goes_on(now)
        pauses, paused = self._before
        self.account.pauses = pauses + self._pacer.pauses
        self.account.paused = paused + self._pacer.paused_seconds
        answers = None if self._responses is None else self._responses.take()
        commit = Commit(
            progress=self.progress.snapshot(),
            account=self.account.to_json(),
            windows=self._pacer.snapshot(),
            answers=answers,
            letters=self._letters,
            resolved=self._resolved,
            unread=self._unread,
            at=now,
        )
        self._letters, self._resolved, self._unread = [], [], {}
        return commit

    def _write(self, commit: Commit) -> None:
        if self._responses is not None and commit.answers is not None:
            self._responses.sync(commit.answers)
        self._ledger.commit(commit)


def letter_of(
    value: bytes,
    origin: Origin,
    kind: End,
    reason: str,
    *,
    attempts: int = 0,
    answer: Answer | None = None,
    at: float = 0.0,
    line: int = 0,
) -> Letter:
    """Return the dead letter of a value."""
    earlier = 0 if origin.letter is None else origin.letter.letter.attempts
    return Letter(
        origin.address,
        origin.part,
        kind,
        reason,
        value,
        line,
        attempts + earlier,
        0 if answer is None else answer.status,
        b"" if answer is None else answer.body[:KEPT_ANSWER],
        at,
    )


def _name(letter: Letter) -> str:
    return f"HTTP {letter.status}" if letter.status else letter.kind
