"""What happened since the last commit, and goes into the next: marks, dead letters, answers, numbers."""

from __future__ import annotations

import asyncio
import time
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from haulyard.errors import JobError
from haulyard.events import RecordFailed, RecordsEnded, ignore
from haulyard.records.ledger import Commit
from haulyard.records.model import KEPT_ANSWER, Letter

if TYPE_CHECKING:
    from collections.abc import Callable

    from haulyard.events import Emit
    from haulyard.records.account import Account, End
    from haulyard.records.calls import Call, Origin, Ticket
    from haulyard.records.ledger import Ledger
    from haulyard.records.pacer import Pacer
    from haulyard.records.progress import Progress
    from haulyard.records.responses import Responses
    from haulyard.records.target import Answer

#: Seconds from the beginning of one commit to that of the next. What was answered since the last commit is
#: sent again after a kill: this, and the time of a commit, bounds how much that is.
PACE: Final = 0.05


class _Part(NamedTuple):
    """How one of several values of a record ended."""

    how: End
    at: float
    origin: Origin
    letter: Letter | None = None
    answer: Answer | None = None


class Books:
    """Keeps the ledger of a run. Changes are made in one step of the event loop: none is committed half.

    Of a record of which several values are sent nothing is written down before all of them ended: after a
    kill before that all are sent again, and what was said of some would be said twice.

    Args:
        quota: Calls that may be made from one commit to the next where a limit outlives the process, 0
            where none does. Each commit counts them beforehand, so that no kill makes one uncounted.
        committed: Is called after each commit.
    """

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
        quota: int = 0,
        committed: Callable[[], None] | None = None,
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
        self._parts: dict[Ticket, list[_Part]] = {}
        self._dirty = asyncio.Event()
        self._failure: JobError | None = None
        self._quota = quota
        self._committed = committed
        # Calls since the state was taken that is written down, and since it was last taken.
        self._uncounted = self._untaken = 0
        self._written = asyncio.Event()

    @property
    def is_counting(self) -> bool:
        """Whether there is a limit that outlives the process."""
        return self._quota > 0

    async def call_begins(self) -> None:
        """Wait until a call may be made: one that a kill would leave uncounted has to wait for a commit.

        Only where `is_counting`.

        Raises:
            JobError: Nothing can be written any more.
        """
        while self._uncounted >= self._quota:
            if self._failure is not None:
                raise self._failed()
            self._dirty.set()
            self._written.clear()
            await self._written.wait()
        self._uncounted += 1
        self._untaken += 1

    def delivered(self, call: Call, answer: Answer, seconds: float) -> None:
        """Take note of a call that was answered well."""
        now = self._wall()
        self.account.durations.add(seconds)
        each = iter(answer.each)
        for origin in call.origins:
            # Those of this origin's records alone.
            its = answer._replace(each=list(islice(each, origin.count))) if answer.each else answer
            if origin.ticket is not None:
                self._part_ended(origin.ticket, _Part("delivered", now, origin, answer=its))
                continue
            if self._responses is not None:
                self._keep(origin, its, now)
            self._end("delivered", origin, now)
        self._dirty.set()

    def passed_over(self, origin: Origin) -> None:
        """Take note of records that are not to be sent."""
        self._end("passed_over", origin, self._wall())
        self._dirty.set()

    def buried(self, letter: Letter, origin: Origin) -> None:
        """Take note of a record that could not be delivered."""
        self.account.errors[_name(letter)] += 1
        self._emit(
            RecordFailed(str(letter.address), letter.kind, letter.reason, letter.status, letter.attempts)
        )
        how = cast("End", letter.kind)
        if origin.ticket is not None:
            self._part_ended(origin.ticket, _Part(how, letter.at, origin, letter=letter))
        else:
            self._bury(letter, how, origin)
        self._dirty.set()

    def unread(self, number: int, reason: str) -> None:
        """Take note that an object cannot be read to its end, or with ``""`` that it can."""
        self._unread[number] = reason
        self.account.errors["unreadable"] += bool(reason)
        self._dirty.set()

    def touched(self) -> None:
        """Have a commit made although nothing ended: reading went on."""
        self._dirty.set()

    def _bury(self, letter: Letter, how: End, origin: Origin) -> None:
        self._letters.append(letter)
        if origin.letter is None:
            self._end(how, origin, letter.at)
        elif origin.letter.letter.kind != how:
            # It takes the other's place.
            self.account.end_anew(cast("End", origin.letter.letter.kind), how, letter.at)

    def _end(self, how: End, origin: Origin, at: float) -> None:
        if origin.letter is not None:
            self._resolved.append(origin.letter.id)
            self.account.end_anew(cast("End", origin.letter.letter.kind), how, at)
        else:
            self.account.end(how, at, origin.count)
            origin.end()

    def _part_ended(self, ticket: Ticket, part: _Part) -> None:
        """Write down all parts of a record with the last of them."""
        parts = self._parts.setdefault(ticket, [])
        parts.append(part)
        kept = ticket.letter
        ticket.end()
        if ticket.left:
            return
        del self._parts[ticket]
        if kept is not None:
            # It makes room for the ends of its values; one of them may take its place.
            self.account.end_anew(cast("End", kept.letter.kind), parts[0].how, parts[0].at)
            if all(each.letter is None or each.letter.part != kept.letter.part for each in parts):
                self._resolved.append(kept.id)
        for each in parts if kept is None else parts[1:]:
            self.account.end(each.how, each.at)
        for each in parts:
            if each.letter is not None:
                self._letters.append(each.letter)
            if each.answer is not None and self._responses is not None:
                self._keep(each.origin, each.answer, each.at)

    def _keep(self, origin: Origin, answer: Answer, at: float) -> None:
        if self._responses is not None:
            address = origin.address
            for at_row in range(origin.count):
                kept = answer.each[at_row] if answer.each else answer.body
                row = address._replace(row=address.row + at_row)
                self._responses.add(row, origin.part, answer.status, kept, at)

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
        if self._failure is not None:
            raise self._failed()
        self._dirty.clear()
        account = self.account
        # What is told as durable is what this commit has: more may end while it is written.
        records, failures, read = account.records, account.failures, account.bytes_read
        writing = asyncio.ensure_future(asyncio.to_thread(self._write, self._take()))
        try:
            await asyncio.shield(writing)
        except asyncio.CancelledError:
            await asyncio.wait([writing])
            # What it failed for is in `_failure`.
            writing.exception()
            raise
        finally:
            self._uncounted = self._untaken
            self._written.set()
        size, self._told_bytes = read - self._told_bytes, read
        if self._committed is not None:
            self._committed()
        self._emit(RecordsEnded(self._job, records - failures, failures, size))

    async def close(self) -> None:
        """Write what is left, once no call is open any more. Raises JobError as `commit`."""
        self._quota = 0
        await self.commit()

    def _take(self) -> Commit:
        now = self._wall()
        self.account.goes_on(now)
        pauses, paused = self._before
        self.account.pauses = pauses + self._pacer.pauses
        self.account.paused = paused + self._pacer.paused_seconds
        self._untaken = 0
        answers = None if self._responses is None else self._responses.take()
        commit = Commit(
            progress=self.progress.snapshot(),
            account=self.account.to_json(),
            windows={"ends": self._pacer.snapshot(), "uncounted": self._quota},
            answers=answers,
            letters=self._letters,
            resolved=self._resolved,
            unread=self._unread,
            at=now,
        )
        self._letters, self._resolved, self._unread = [], [], {}
        return commit

    def _write(self, commit: Commit) -> None:
        try:
            if self._responses is not None and commit.answers is not None:
                self._responses.sync(commit.answers)
            self._ledger.commit(commit)
        except JobError as error:
            # What the commit had is in no later one: there must be none.
            self._failure = error
            raise

    def _failed(self) -> JobError:
        if self._failure is None:
            raise RuntimeError("nothing failed")
        return JobError(self._failure.message, hint=self._failure.hint)


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
