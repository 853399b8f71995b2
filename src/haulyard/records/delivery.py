"""The life of one call: its attempts, what the answers mean, and what becomes of its records."""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING, Final

from haulyard.errors import ApiDenied, ApiUnavailable, ConfigError, RecordError, TransportError
from haulyard.events import CallFailed, CallsPaused, ignore
from haulyard.pacing.backoff import full_jitter
from haulyard.records.books import letter_of
from haulyard.records.judging import Verdict, describe, retry_after
from haulyard.records.target import Answer

if TYPE_CHECKING:
    from collections.abc import Callable

    from haulyard.errors import HaulError
    from haulyard.events import Emit
    from haulyard.records.books import Books
    from haulyard.records.calls import Call, Grouping, Origin
    from haulyard.records.health import Health
    from haulyard.records.judging import Judge
    from haulyard.records.model import Letter
    from haulyard.records.pacer import Pacer
    from haulyard.records.target import Target

#: What follows an attempt after which there is no other: nothing, or the halves of the call by themselves.
_OVER: Final = -1.0
_HALVES: Final = -2.0


class Delivery:
    """Brings calls to their end; ``halt`` is told why no more may be made.

    Args:
        attempts: Of one call, in all; what is throttled, or fails while everything does, is none.
        retry_base: Seconds; the bound of the pause before the second attempt, which doubles.
    """

    def __init__(
        self,
        target: Target,
        judge: Judge,
        pacer: Pacer,
        books: Books,
        health: Health[tuple[Letter, Origin]],
        grouping: Grouping,
        *,
        attempts: int,
        retry_base: float,
        halt: Callable[[HaulError], None],
        emit: Emit = ignore,
    ) -> None:
        self._target = target
        self._judge = judge
        self._pacer = pacer
        self._books = books
        self._health = health
        self._grouping = grouping
        self._attempts = attempts
        self._retry_base = retry_base
        self._halt = halt
        self._emit = emit
        self.answered = asyncio.Event()
        """Set once an answer of any kind came, or none will."""
        self._is_stopping = False
        self._parked: set[asyncio.Task[None]] = set()

    def stop(self) -> None:
        """Make no more attempts; those that are under way come to their end."""
        self._is_stopping = True
        self.answered.set()
        for task in self._parked:
            task.cancel()

    async def deliver(self, call: Call, grant: float | None) -> None:
        """Make a call until its records came to their end, or nothing more may be done.

        ``grant`` is its turn (`Pacer.turn`), None where it has still to wait for one.
        """
        then = 0.0
        while then >= 0.0:
            if grant is None:
                if self._is_stopping:
                    return
                grant = await self._another_turn(then)
            then = await self._attempt(call, grant)
            grant = None
        if then == _HALVES:
            # One after the other: where all of them are refused, that is seen after few calls.
            for half in self._grouping.halves(call):
                await self.deliver(half, None)

    async def _attempt(self, call: Call, grant: float) -> float:
        """Make one attempt; return the seconds until the next, or `_OVER`, or `_HALVES`."""
        if self._books.is_counting:
            await self._books.call_begins()
        began = time.monotonic()
        answer: Answer | None = None
        account = self._books.account
        account.calls += 1
        account.retries += call.attempts > 0
        try:
            answer = await self._target.call(call.body, call.key)
        except (ApiDenied, ApiUnavailable) as error:
            self._pacer.ended(grant)
            self.answered.set()
            self._halt(error)
            return _OVER
        except RecordError as error:
            answer = Answer(error.status, {}, error.answer)
            self._pacer.ended(grant)
            return self._refused(call, answer, str(error))
        except TransportError as error:
            self._pacer.ended(grant, latency_ok=False)
            account.errors[error.kind] += 1
            return self._failed(call, None, str(error))
        except BaseException:
            self._pacer.ended(grant, latency_ok=False)
            raise
        verdict = self._judge.verdict(answer.status, answer.headers, answer.body)
        self._pacer.ended(grant, latency_ok=verdict is not Verdict.THROTTLED)
        if verdict is Verdict.DELIVERED:
            self._bury(self._health.succeeded())
            self.answered.set()
            self._books.delivered(call, answer, time.monotonic() - began)
            return _OVER
        return self._went_wrong(call, answer, verdict, grant)

    def _went_wrong(self, call: Call, answer: Answer, verdict: Verdict, grant: float) -> float:
        said = describe(answer.status, answer.body)
        if verdict is Verdict.REJECTED:
            return self._refused(call, answer, said)
        self._books.account.errors[f"HTTP {answer.status}"] += 1
        if verdict is Verdict.THROTTLED:
            self.answered.set()
            self._books.account.refused += 1
            was = self._pacer.pauses
            seconds = self._pacer.refused(retry_after(answer.headers, time.time()), grant=grant)
            if self._pacer.pauses > was:
                self._emit(CallsPaused(seconds, said))
            return 0.0
        if verdict is Verdict.AGAIN:
            return self._failed(call, answer, said)
        self.answered.set()
        if verdict is Verdict.MOVED:
            where = answer.headers.get("location", "somewhere else")
            self._halt(
                ConfigError(
                    f"{self._target.name} answers {answer.status}: the API is at {where.partition('?')[0]}",
                    hint="call it there: --to URL",
                )
            )
        else:
            self._halt(
                ApiDenied(
                    f"{self._target.name} refuses the caller: {said}",
                    status=answer.status,
                    hint="check --header 'Authorization: …' and the variable in it, then run it again",
                )
            )
        return _OVER

    def _refused(self, call: Call, answer: Answer, said: str) -> float:
        """Settle what the API will never take: the one record of the call, or look for it among several."""
        if len(call.values) > 1:
            self._books.account.errors[f"HTTP {answer.status}" if answer.status else "rejected"] += 1
            return _HALVES
        self.answered.set()
        letter = self._letter(call, "rejected", said, answer)
        if not self._health.refused((letter, call.origins[0])):
            self._halt(
                ApiUnavailable(
                    f"{self._target.name} took none of the last {self._health.streak} calls: {said}",
                    status=answer.status,
                    hint="none of these records counts as failed: mend the request, and run it again; "
                    "if it is the records, --stop-after 0 makes dead letters of them",
                )
            )
        self._bury(self._health.known())
        return _OVER

    def _failed(self, call: Call, answer: Answer | None, said: str) -> float:
        """Decide on a failure that may pass."""
        pause = self._health.failed(time.monotonic(), answered=answer is not None)
        if self._health.has_answered:
            self.answered.set()
        if pause is None:
            self._halt(
                ApiUnavailable(
                    f"{self._target.name} cannot be used: {said}",
                    status=0 if answer is None else answer.status,
                    hint="nothing is lost: run the same command again once it works",
                )
            )
            return _OVER
        if pause:
            self._pacer.pause(pause)
            self._emit(CallsPaused(pause, said))
        # While everything fails, that says nothing of this call.
        call.attempts += not self._health.is_out
        if call.attempts < self._attempts:
            attempt = max(1, call.attempts)
            delay = full_jitter(attempt, self._retry_base, random=random.random)
            self._emit(CallFailed(str(call.origins[0].address), attempt, delay, said))
            return delay
        if len(call.values) > 1:
            return _HALVES
        self._health.hold((self._letter(call, "failed", said, answer), call.origins[0]))
        self._bury(self._health.known())
        return _OVER

    def _bury(self, known: list[tuple[Letter, Origin]]) -> None:
        for letter, origin in known:
            self._books.buried(letter, origin)

    def _letter(self, call: Call, kind: str, said: str, answer: Answer | None) -> Letter:
        return letter_of(
            call.values[0],
            call.origins[0],
            "rejected" if kind == "rejected" else "failed",
            said,
            attempts=max(1, call.attempts + (kind == "rejected")),
            answer=answer,
            at=time.time(),
        )

    async def _another_turn(self, pause: float) -> float:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("calls are made by tasks")
        self._parked.add(task)
        try:
            if pause:
                await asyncio.sleep(pause)
            return await self._pacer.turn()
        finally:
            self._parked.discard(task)
