"""A records job from its beginning to its end, under the lock of its folder."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import anyio

from haulyard.errors import JobError
from haulyard.events import CallsPaused, ignore
from haulyard.journal import creating
from haulyard.records.account import Account
from haulyard.records.books import Books
from haulyard.records.calls import Grouping
from haulyard.records.descriptors import most_in_flight
from haulyard.records.intake import Intake, SecondIntake
from haulyard.records.judging import Judge
from haulyard.records.ledger import Ledger
from haulyard.records.outbox import Outbox, deliver_letters, write_letters
from haulyard.records.pacer import EVEN, Limit, Pacer
from haulyard.records.parts import encoder_of, objects_of, reader, shaper_of
from haulyard.records.progress import Progress
from haulyard.records.responses import Responses
from haulyard.records.run import Manner, Run
from haulyard.records.specification import Specification
from haulyard.records.stages import FINISHED, LISTING, PROCESSING
from haulyard.records.stopping import unless_stopped
from haulyard.records.target import Api, FunctionTarget, HttpTarget

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from haulyard.config import Settings
    from haulyard.events import Emit
    from haulyard.journal.creating import Created
    from haulyard.journal.folder import JobFolder
    from haulyard.records.outbox import Place
    from haulyard.records.parts import Source
    from haulyard.records.shaping import Transform
    from haulyard.records.target import Target

#: Calls from one commit to the next; at 20 commits a second 20,000 calls.
_MOST_UNCOUNTED: Final = 1024
#: Seconds of waiting that somebody might wonder about.
_WORTH_A_WORD: Final = 5.0


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What concerns one run, and no other.

    ``limits`` are those of the API; ``max_in_flight`` caps the calls in flight, 0 leaves it to the latency.
    ``chunk_size`` is the fewest bytes of a read, ``timeout`` of one call in seconds, ``limit`` the most
    records of this run (0: all). With ``retry_failed`` the dead letters are sent again, and nothing else.
    """

    limits: tuple[Limit, ...] = (Limit(5000, 1.0),)
    max_in_flight: int = 0
    chunk_size: int = 8192
    timeout: float = 30.0
    manner: Manner = field(default_factory=Manner)
    limit: int = 0
    retry_failed: bool = False


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a job works with.

    ``function`` takes the place of the API, ``transform`` that of the one that the job names. ``answers``
    is where kept answers go, ``letters`` the object that dead letters are written to, None for nowhere.
    ``expect`` is told of the bytes that are left to be read. Once ``stopping`` is set no more calls are
    begun. ``target`` takes the place of the API, too; it is closed at the end.
    """

    source: Source
    settings: Settings
    environ: Mapping[str, str]
    emit: Emit = ignore
    function: Callable[[Any], Awaitable[Any]] | None = None
    transform: Transform | None = None
    answers: Place | None = None
    letters: Place | None = None
    expect: Callable[[int, int], None] = lambda _records, _bytes: None
    stopping: asyncio.Event | None = None
    target: Target | None = None


class Outcome(NamedTuple):
    """What a run came to: ``account`` is of all runs, ``ended`` counts the records that this one ended.

    ``is_finished`` where nothing is left, ``unread`` are objects that cannot be read to their end.
    """

    account: Account
    ended: int
    is_finished: bool
    unread: int = 0


def create(directory: str, specification: Specification, name: str = "", *, new: bool = False) -> Created:
    """Return the folder of a job, which is made unless it is there; see `haulyard.journal.creating.create`.

    Raises:
        JobError: There is another job of that name, or somebody works on the one to be removed.
    """
    return creating.create(
        directory,
        name or specification.name(),
        specification.to_json(),
        is_same=lambda there: Specification.from_json(there).is_same(specification),
        has_acted=_has_acted,
        new=new,
    )


async def process(folder: JobFolder, around: Surroundings, options: RunOptions) -> Outcome:
    """Begin a job, or go on with it; a finished one has nothing left to do.

    Raises:
        ApiDenied, ApiUnavailable, ConfigError: No call can succeed; the job goes on when it is run again.
        JobError: Somebody else works on it, its folder is damaged, or a source object was replaced.
        HaulError: A source cannot be read.
    """
    specification = Specification.from_json(folder.specification)
    with ExitStack() as stack:
        stack.enter_context(folder.lock("haul process"))
        stage = (folder.read("state") or {}).get("stage", LISTING)
        ledger = stack.enter_context(await asyncio.to_thread(_opened, folder))
        if ledger.listed is None:
            folder.write("state", {"stage": LISTING})
            await unless_stopped(_list(ledger, specification, around.source), around.stopping)
        job = _Job(folder, specification, ledger, around, options)
        if stage == FINISHED and not options.retry_failed:
            return job.outcome(is_finished=True)
        if ledger.listed is None:
            return job.outcome(is_finished=False)
        if stage != FINISHED and options.retry_failed and not job.account.records:
            raise JobError(
                f"job {folder.name} has sent nothing yet", hint=f"haul process --job {folder.name}"
            )
        if stage == LISTING:
            folder.write("state", {"stage": PROCESSING})
        return await job.run(is_finished=stage == FINISHED)


class _Job:
    """A job whose ledger is open."""

    def __init__(
        self,
        folder: JobFolder,
        specification: Specification,
        ledger: Ledger,
        around: Surroundings,
        options: RunOptions,
    ) -> None:
        self._folder = folder
        self._specification = specification
        self._ledger = ledger
        self._around = around
        self._options = options
        state = ledger.state()
        self._windows = state.windows
        self.account = Account.from_json(state.account) if state.account else Account()
        self._progress = Progress.restore(state.progress) if state.progress else Progress()
        self._before = self.account.records
        self._warned: set[int] = set()

    async def run(self, *, is_finished: bool) -> Outcome:
        """Make calls until nothing is left, or it has to stop."""
        specification, options, around = self._specification, self._options, self._around
        encode, media_type = encoder_of(specification)
        judge = Judge(specification.success)
        shaper = shaper_of(specification, around.transform)
        pacer = Pacer(options.limits, cap=options.max_in_flight or most_in_flight())
        target = self._target(media_type)
        responses = Responses.open(self._folder, self._ledger) if around.answers else None
        outbox = self._outbox(responses)
        try:
            await self._wait_for_a_period(pacer)
            self.account.begin_run(time.time(), os.getpid(), socket.gethostname())
            books = Books(
                self._ledger,
                self._progress,
                self.account,
                pacer,
                responses,
                emit=around.emit,
                job=self._folder.name,
                quota=_quota(options.limits),
                committed=outbox.look if outbox else None,
            )
            # Before the first call: a kill right after it must not look as if there had been none.
            await books.commit()
            size = specification.records_per_call
            grouping = Grouping(encode, size, specification.uid)
            read = reader(
                specification, around.source.store, options.chunk_size, emit=around.emit, count=self._count
            )
            intake = (SecondIntake if options.retry_failed else Intake)(
                self._ledger, books, read, shaper, grouping, size=size, limit=options.limit
            )
            run = Run(books, intake, target, judge, pacer, grouping, options.manner, around.emit)
            self._tell_what_is_left()
            await self._work(run)
            is_finished = is_finished or (run.is_complete and not options.retry_failed)
            if outbox is not None:
                await outbox.end(books)
            if around.letters is not None:
                await deliver_letters(self._folder, self._ledger, around.letters)
        finally:
            with anyio.CancelScope(shield=True), suppress(JobError):
                await target.close()
                if outbox is not None:
                    await outbox.close()
                await write_letters(self._folder, self._ledger)
        if is_finished:
            self._folder.write("state", {"stage": FINISHED})
        return self.outcome(is_finished=is_finished)

    def outcome(self, *, is_finished: bool) -> Outcome:
        """Return what it has come to."""
        unread = self._ledger.state().unread
        return Outcome(self.account, self.account.records - self._before, is_finished, unread)

    async def _work(self, run: Run) -> None:
        stopping = self._around.stopping
        if stopping is None:
            await run.work()
            return
        if stopping.is_set():
            return

        async def watch() -> None:
            await stopping.wait()
            run.stop()

        watcher = asyncio.create_task(watch())
        try:
            await run.work()
        finally:
            watcher.cancel()

    async def _wait_for_a_period(self, pacer: Pacer) -> None:
        """Let no window hold calls of an earlier run beside those of this one."""
        if not self.account.runs:
            return
        windows = self._windows or {"ends": [], "uncounted": 0}
        pacer.restore(windows["ends"], unrecorded=windows["uncounted"])
        seconds = max((each.seconds for each in self._options.limits if each.seconds <= EVEN), default=0.0)
        if not seconds:
            return
        if seconds >= _WORTH_A_WORD:
            self._around.emit(CallsPaused(seconds, "calls of the run before may still count at the API"))
        await unless_stopped(asyncio.sleep(seconds), self._around.stopping)

    def _target(self, media_type: str) -> Target:
        specification, around = self._specification, self._around
        if around.target is not None:
            return around.target
        if around.function is not None:
            return FunctionTarget(around.function, specification.to)
        api = Api(
            specification.to,
            specification.method,
            specification.headers,
            media_type,
            self._options.timeout,
        )
        return HttpTarget(api, around.settings, around.environ)

    def _outbox(self, responses: Responses | None) -> Outbox | None:
        place, specification = self._around.answers, self._specification
        if responses is None or place is None:
            return None
        # Another job of this name, begun with --new, must not replace the answers of this one.
        name = f"{self._folder.name}-{specification.uid[:6]}"
        form: Any = specification.responses_format
        return Outbox(responses, place, name, form, self._around.emit)

    def _count(self, size: int) -> None:
        self.account.read(time.time(), size)

    def _tell_what_is_left(self) -> None:
        listed = self._ledger.listed
        if listed is not None and not self._options.retry_failed:
            self._around.expect(0, max(0, listed.size - self.account.bytes_read))


def _opened(folder: JobFolder) -> Ledger:
    return Ledger.open(folder) if Ledger.exists(folder) else Ledger.create(folder)


async def _list(ledger: Ledger, specification: Specification, source: Source) -> None:
    async for page in objects_of(specification, source):
        ledger.add_objects(page)
    ledger.seal_objects()


def _quota(limits: Sequence[Limit]) -> int:
    """Return how many calls a kill may leave uncounted: a hundredth of a limit that outlives runs."""
    kept = [limit.calls for limit in limits if limit.seconds > EVEN]
    return max(1, min(_MOST_UNCOUNTED, min(kept) // 100)) if kept else 0


def _has_acted(folder: JobFolder) -> bool:
    """Whether a job may have sent anything; what cannot be read may have."""
    try:
        if not Ledger.exists(folder):
            return False
        with Ledger.open(folder, read_only=True) as ledger:
            return ledger.state().seq > 0
    except JobError:
        return True
