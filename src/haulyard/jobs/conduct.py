"""Jobs from their beginning to their end: planned, applied, undone; each under the lock of its folder."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from haulyard.config.ends import with_ends
from haulyard.errors import HaulError, JobError
from haulyard.events import TransferDone
from haulyard.jobs.applying import preflight
from haulyard.jobs.applying.options import Tally
from haulyard.jobs.applying.running import ShardsRun, is_finished, is_ordered
from haulyard.jobs.applying.trouble import Trouble, too_many
from haulyard.jobs.applying.workshop import Workshop
from haulyard.jobs.ends import open_ends
from haulyard.jobs.inventory import check_shards, state_of
from haulyard.jobs.model import Stage
from haulyard.jobs.rules import Rules
from haulyard.jobs.specification import Specification
from haulyard.jobs.undoing.counterpart import Counterpart
from haulyard.jobs.undoing.past import survey
from haulyard.jobs.undoing.slices import UndoSlice
from haulyard.journal import creating
from haulyard.journal.shard import Shard
from haulyard.stores.local import LocalStore
from haulyard.url import S3Url, parse

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterator

    from haulyard.config import Settings
    from haulyard.events import Emit
    from haulyard.jobs.applying.options import ApplyOptions
    from haulyard.jobs.ends import Ends
    from haulyard.jobs.planning.summary import PlanSummary
    from haulyard.jobs.undoing.past import Survey
    from haulyard.journal.creating import Created
    from haulyard.journal.folder import JobFolder
    from haulyard.stores.access import Probe
    from haulyard.stores.assemble import Connection


_APPLIED = frozenset({Stage.APPLYING, Stage.APPLIED, Stage.UNDOING, Stage.UNDONE})


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a job works with.

    ``connection`` is the destination's, ``source_connection`` the source's (maybe the same). ``report`` is
    told of each outcome, ``expect`` of objects and bytes found; once ``stopped`` says True nothing more is
    begun. ``stopping`` is set at that moment, where there is an event loop to wait in.
    """

    connection: Connection
    source_connection: Connection
    emit: Emit
    report: Callable[[TransferDone], None]
    stopped: Callable[[], bool] = lambda: False
    expect: Callable[[int, int], None] = lambda _objects, _bytes: None
    stopping: asyncio.Event | None = None


def rules_of(specification: Specification) -> Rules | None:
    """Return the rules of a job, None where it has none."""
    if not specification.rules:
        return None
    return Rules.parse(specification.rules, specification.rules_name or "rules.toml")


def settings_for(specification: Specification, settings: Settings) -> Settings:
    """Return ``settings`` with the stores that the job was planned for."""
    return with_ends(settings, specification.ends, accelerate=specification.accelerate)


async def plan(folder: JobFolder, surroundings: Surroundings, *, prices: str = "") -> PlanSummary:
    """Plan a job whose folder exists, or finish planning it.

    ``prices`` is a file of prices to be used instead of ours.

    Raises:
        JobError: Somebody else works on it.
    """
    # Only here: 10 ms that apply does not pay.
    from haulyard.jobs.planning.planner import make_plan
    from haulyard.jobs.planning.prices import load_prices

    specification = Specification.from_json(folder.specification)
    with folder.lock("haul plan"):
        ends = await _open(specification, surroundings, may_write=False)
        return await make_plan(
            folder,
            specification,
            rules_of(specification),
            ends,
            emit=surroundings.emit,
            stopped=surroundings.stopped,
            expect=surroundings.expect,
            concurrency=surroundings.connection.settings.concurrency,
            prices=load_prices(prices) if prices else None,
            open_bucket=surroundings.source_connection.bucket,
        )


async def apply(
    folder: JobFolder,
    options: ApplyOptions,
    surroundings: Surroundings,
    *,
    processes: int = 1,
    rate: float = 0.0,
) -> Tally:
    """Carry a plan out, or go on with it.

    ``processes`` share the shards, so that no more of them are started than there are shards with work left.
    ``rate`` is the ceiling in requests a second that ``surroundings``'s connections were opened with; the
    processes share it.

    Raises:
        JobError: It is not planned to its end, has conflicts that nobody decided, or somebody works on it.
        S3PermissionError: Something that it needs is denied.
        TransferError: More objects failed than may.
    """
    specification = Specification.from_json(folder.specification)
    with folder.lock("haul apply"):
        state = state_of(folder)
        stage = preflight.check_stage(folder.name, state)
        check_shards(folder, state)
        decision = preflight.decided(folder, state, options.on_conflict)
        ends = await _open(specification, surroundings, may_write=True)
        if stage is Stage.PLANNED:
            await _check_rights(specification, ends, surroundings)
            if specification.verb.writes_elsewhere:
                await preflight.check_apart(ends, surroundings.emit)
        begun = float(state.get("begun") or time.time())
        state = {**state, "stage": Stage.APPLYING.value, "on_conflict": decision, "begun": begun}
        folder.write("state", state)
        options = replace(options, on_conflict=decision)
        shop = Workshop(
            specification,
            rules_of(specification),
            ends,
            options,
            surroundings.emit,
            begun=begun,
            shards=folder.shard_paths(),
        )
        run = ShardsRun(shop, surroundings.report, surroundings.stopped, owner="haul apply")
        tally = Tally()
        processes = min(processes, _to_share(folder)) if processes > 1 else 1
        if processes > 1:
            tally = await _by_crew(folder, specification, options, surroundings, processes, rate, begun)
        if not tally.interrupted:
            await run.run(folder.shard_paths())
            await run.run_again()
        tally = _whole(tally, run.tally, by_crew=processes > 1)
        if not tally.interrupted:
            folder.write("state", {**state, "stage": Stage.APPLIED.value, "ended": time.time()})
        return tally


def _to_share(folder: JobFolder) -> int:
    """Return the number of shards with work left that can be done side by side."""
    return sum(not (is_ordered(path) or is_finished(path)) for path in folder.shard_paths())


def _whole(crew: Tally, own: Tally, *, by_crew: bool) -> Tally:
    """Add up; what a crew left failed was tried again here, and counts here."""
    if not by_crew:
        return own
    return own._replace(
        done=crew.done + own.done,
        skipped=crew.skipped + own.skipped,
        bytes=crew.bytes + own.bytes,
        seconds=crew.seconds + own.seconds,
        interrupted=crew.interrupted or own.interrupted,
        failed=crew.failed if crew.interrupted else own.failed,
    )


async def _by_crew(
    folder: JobFolder,
    specification: Specification,
    options: ApplyOptions,
    surroundings: Surroundings,
    processes: int,
    rate: float,
    begun: float,
) -> Tally:
    from haulyard.jobs.applying.worker import Order
    from haulyard.journal.executors.processes import Crew

    settings = surroundings.connection.settings
    share = replace(
        settings,
        concurrency=max(1, settings.concurrency // processes),
        bwlimit=settings.bwlimit // processes if settings.bwlimit else settings.bwlimit,
    )
    orders = [
        Order(
            os.path.dirname(folder.path),
            folder.name,
            settings_for(specification, share),
            replace(options, concurrency=share.concurrency),
            rate / processes,
            begun,
            number,
        )
        for number in range(processes)
    ]
    total = Tally()
    # Each worker counts its own; more may fail of all of them together only by what they tell meanwhile.
    failed: set[str] = set()

    def count(message: TransferDone) -> None:
        failed.add(message.source)
        most = options.max_errors
        if most is not None and len(failed) > most:
            crew.give_up(too_many(len(failed), most))

    def hear(message: object) -> None:
        nonlocal total
        if isinstance(message, Tally):
            total += message
        elif isinstance(message, TransferDone):
            surroundings.report(message)
            if isinstance(message.error, HaulError):
                count(message)
        else:
            surroundings.emit(message)  # type: ignore[arg-type]  # a worker sends nothing else

    crew = Crew("haulyard.jobs.applying.worker:work", list(orders), hear)
    started = time.monotonic()
    await crew.run(surroundings.stopping)
    return total._replace(
        seconds=time.monotonic() - started, interrupted=total.interrupted or surroundings.stopped()
    )


async def _open(specification: Specification, surroundings: Surroundings, *, may_write: bool) -> Ends:
    return await open_ends(
        specification,
        surroundings.connection,
        surroundings.source_connection,
        may_write=may_write,
        emit=surroundings.emit,
    )


async def _check_rights(specification: Specification, ends: Ends, surroundings: Surroundings) -> None:
    async def check(side: str) -> list[Probe]:
        is_source = side == "source"
        end = parse(specification.source if is_source else specification.destination or specification.source)
        if not isinstance(end, S3Url):
            return []
        connection = surroundings.source_connection if is_source else surroundings.connection
        return await connection.check_access(end.bucket, below=end.key[: end.key.rfind("/") + 1])

    await preflight.check_rights(
        specification.verb,
        check,
        source_in_s3=not isinstance(ends.source, LocalStore),
        destination_in_s3=not isinstance(ends.destination, LocalStore),
    )


async def undo(folder: JobFolder, options: ApplyOptions, surroundings: Surroundings) -> Tally:
    """Take back what a job did, or go on with that; what cannot be undone, or changed since, is kept.

    Raises:
        JobError: It has done nothing yet, or somebody works on it.
    """
    specification = Specification.from_json(folder.specification)
    with folder.lock("haul undo"):
        state = _undoable(folder)
        ends = await _open(specification, surroundings, may_write=True)
        since = float(state.get("undo_begun") or time.time())
        state = {**state, "stage": Stage.UNDOING.value, "undo_begun": since}
        folder.write("state", state)
        shop = Workshop(
            specification,
            rules_of(specification),
            ends,
            replace(options, on_conflict=str(state.get("on_conflict", ""))),
            surroundings.emit,
            begun=float(state.get("begun") or since),
            shards=folder.shard_paths(),
        )
        counterpart = Counterpart(shop, surroundings.emit, since=since)
        trouble = Trouble(options.max_errors)
        total = Tally()
        # The other way round: what came last is taken back first.
        for path in reversed(folder.shard_paths()):
            if surroundings.stopped():
                return total._replace(interrupted=True)
            async with Shard.open(path, owner="haul undo") as shard:
                total += await UndoSlice(
                    shard,
                    counterpart,
                    trouble,
                    surroundings.report,
                    surroundings.stopped,
                    backwards=is_ordered(path),
                ).run()
        if not total.interrupted and not total.failed:
            folder.write("state", {**state, "stage": Stage.UNDONE.value, "ended": time.time()})
        return total


def survey_undo(folder: JobFolder) -> Survey:
    """Return what undoing a job would come to, from its journal alone; nothing is asked or changed.

    Raises:
        JobError: It has done nothing yet, or its journal is damaged.
    """
    _undoable(folder)
    specification = Specification.from_json(folder.specification)
    return survey(specification, _readers(folder))


def _readers(folder: JobFolder) -> Iterator[tuple[Shard, bool]]:
    """Yield shards, and whether their order matters; of those the last one first, as it is undone."""
    paths = folder.shard_paths()
    normal = [path for path in paths if not is_ordered(path)]
    for path in (*normal, *reversed(paths[len(normal) :])):
        with Shard.open(path, owner="", read_only=True) as shard:
            yield shard, is_ordered(path)


def _undoable(folder: JobFolder) -> dict[str, Any]:
    state = state_of(folder)
    if state.get("stage") not in _APPLIED:
        raise JobError(
            f"job {folder.name} has not been applied: there is nothing to undo",
            hint=f"haul status {folder.name} says how far it is",
        )
    check_shards(folder, state)
    return state


def create(directory: str, specification: Specification, name: str = "", *, new: bool = False) -> Created:
    """Return the folder of a job, which is made unless it is there.

    ``name`` defaults to one that follows from what is asked. ``new`` removes a plan of that name; a job that
    has done something is kept under another name.

    Raises:
        JobError: There is another job of that name, or somebody works on the one to be removed.
    """
    return creating.create(
        directory,
        name or specification.name(),
        specification.to_json(),
        is_same=lambda there: Specification.from_json(there).name() == specification.name(),
        has_acted=lambda folder: _stage_of(folder) in _APPLIED,
        new=new,
    )


def _stage_of(folder: JobFolder) -> str:
    """Return how far a job is; what cannot be read may have done anything."""
    try:
        return str((folder.read("state") or {}).get("stage", ""))
    except JobError:
        return Stage.APPLIED
