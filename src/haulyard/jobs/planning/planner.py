"""Makes the plan of a bulk job: lists, decides, writes down, and looks for what stands in the way.

Stages (``state.json``): ``planning`` while shards are written, ``listed`` when all are there, ``planned``
when the last pass has been over them and the summary is written. Killed at any moment, it goes on from there.
"""

from __future__ import annotations

import time
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING

from haulyard.errors import AccessDenied, JobError
from haulyard.events import Warned
from haulyard.jobs.inventory import SHARDS, shard_ids, state_of
from haulyard.jobs.model import Stage
from haulyard.jobs.planning.findings import Findings
from haulyard.jobs.planning.finishing import finish
from haulyard.jobs.planning.intake import Intake, fetch_tags
from haulyard.jobs.planning.present import Names, Present
from haulyard.jobs.planning.prices import load_prices
from haulyard.jobs.planning.recording import Recorder, recorded
from haulyard.jobs.planning.rows import RowMaker
from haulyard.jobs.planning.spill import Spill, destinations_in
from haulyard.jobs.planning.summary import Origin, PlanSummary, summarise
from haulyard.jobs.planning.tally import Tally
from haulyard.models import ListOptions
from haulyard.transfer.selection import as_directory

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from haulyard.events import Emit
    from haulyard.jobs.ends import Ends
    from haulyard.jobs.planning.prices import Prices
    from haulyard.jobs.planning.recording import Recorded
    from haulyard.jobs.rules import Rules
    from haulyard.jobs.specification import Specification
    from haulyard.journal.folder import JobFolder
    from haulyard.transfer.manifest import OpenBucket

    #: Told objects and bytes that were found, a page at a time.
    Expect = Callable[[int, int], object]


async def make_plan(
    folder: JobFolder,
    specification: Specification,
    rules: Rules | None,
    ends: Ends,
    *,
    emit: Emit,
    stopped: Callable[[], bool] = lambda: False,
    expect: Expect = lambda _objects, _bytes: None,
    concurrency: int = 32,
    prices: Prices | None = None,
    open_bucket: OpenBucket | None = None,
) -> PlanSummary:
    """Make the plan of a job, or what is left of it to make; a plan that is made is only summed up.

    The caller holds the folder's lock. ``stopped`` is asked between pages: once it says so, what there is is
    written down and summed up, with ``finished`` False, and the next call goes on (or begins again, where the
    source lists in no order). ``open_bucket`` opens other buckets than the source's, for manifests.

    Raises:
        NotFound: Nothing is selected.
        ConfigError: The job makes no sense as it is asked for, or a line of its manifest does not.
        JobError: The disk is full, or the job is damaged.
        StoreError: The source, or the destination, cannot be listed.
    """
    planner = _Planner(folder, specification, rules, ends, concurrency, prices or load_prices())
    stage = Stage(planner.state().get("stage", Stage.PLANNING))
    if stage not in {Stage.PLANNING, Stage.LISTED}:
        return _made(folder)
    with Spill(folder.path) as spill:
        if stage is Stage.PLANNING:
            await planner.find_destination()
            planner.enter(Stage.PLANNING)
            if not await planner.write_rows(spill, emit, stopped, expect, open_bucket):
                return planner.sum_up(None)
            planner.enter(Stage.LISTED)
        else:
            planner.refill(spill)
        findings = await planner.finish(spill)
    summary = planner.sum_up(findings)
    folder.write("summary", summary.to_json())
    planner.enter(Stage.PLANNED)
    return summary


def _made(folder: JobFolder) -> PlanSummary:
    content = folder.read("summary")
    if content is None:
        raise JobError(
            f"the plan of {folder.name} was made, but its summary.json is gone",
            hint="start over with --new, or go on with haul apply",
        )
    return PlanSummary.from_json(content)


class _Planner:
    """One run of planning."""

    def __init__(
        self,
        folder: JobFolder,
        specification: Specification,
        rules: Rules | None,
        ends: Ends,
        concurrency: int,
        prices: Prices,
    ) -> None:
        self._folder = folder
        self._specification = specification
        self._rules = rules
        self._ends = ends
        self._concurrency = concurrency
        self._prices = prices
        self._asked: dict[str, int] = {}
        self._latency = 0.0
        self._tally = Tally()

    def state(self) -> dict[str, Any]:
        """Return what is in ``state.json``."""
        return state_of(self._folder)

    def enter(self, stage: Stage) -> None:
        """Write down how far the job is, with what a later run has to know."""
        state = self.state()
        if state.get("stage") == stage.value:
            return
        state |= {"stage": stage.value}
        if stage is not Stage.PLANNING:
            state |= {"asked": self._asked, "latency": self._latency}
        if stage is Stage.PLANNED:
            state |= {SHARDS: shard_ids(self._folder)}
        self._folder.write("state", state)

    async def find_destination(self) -> None:
        """Look for the destination's bucket before the source is listed, which may take long.

        Raises:
            NotFound: There is none.
        """
        prefixes = self._prefixes()
        if not prefixes or self._ends.is_one_store:
            return
        # Who may only write there may not list: what that means is told where it matters.
        with suppress(AccessDenied):
            async for _ in self._ends.destination.list(prefixes[0], ListOptions(page_size=1)):
                break

    async def write_rows(
        self,
        spill: Spill,
        emit: Emit,
        stopped: Callable[[], bool],
        expect: Expect,
        open_bucket: OpenBucket | None,
    ) -> bool:
        """Write a row for each object of the source; False where it was stopped before the end."""
        before = recorded(self._folder)
        if before.shards:
            emit(Warned(f"the plan goes on behind {before.tally.amount().objects:,} objects"))
            spill.refill(self._folder.shard_paths())
            expect(before.tally.amount().objects, before.tally.amount().bytes)
        # Ages are counted from one moment, also by a run that goes on with what another one began.
        maker = RowMaker(
            self._specification, self._rules, self._ends, self._specification.created or time.time()
        )
        intake = Intake(
            self._ends,
            self._specification,
            concurrency=self._concurrency,
            position=before.position,
            open_bucket=open_bucket,
        )
        recorder = Recorder(
            self._folder, before, intake.position, lambda: _sum(before.asked, intake.requests)
        )
        async with recorder:
            is_over = await self._record(maker, intake, recorder, spill, before, stopped, expect)
        self._tally = recorder.tally
        self._asked, self._latency = _sum(before.asked, intake.requests), intake.latency
        return is_over

    async def _record(
        self,
        maker: RowMaker,
        intake: Intake,
        recorder: Recorder,
        spill: Spill,
        before: Recorded,
        stopped: Callable[[], bool],
        expect: Expect,
    ) -> bool:
        if not before.shards and (folders := maker.folder_rows()):
            await recorder.add(folders)
            spill.add([], folders.destinations)
        async with aclosing(intake.batches()) as batches:
            async for batch in batches:
                if batch.objects:
                    tags = None
                    if any(wanted := maker.wanted_tags(batch.objects)):
                        tags = await fetch_tags(self._ends.source, batch, wanted, self._concurrency)
                        intake.requests["tagging"] = intake.requests.get("tagging", 0) + sum(wanted)
                    page = maker.page(batch, tags)
                    await recorder.add(page)
                    # Names of two stores have nothing to do with each other.
                    spill.add(page.keys if self._ends.is_one_store else (), page.destinations)
                    expect(len(page.rows), sum(page.sizes))
                if stopped():
                    if intake.position() is not None:
                        await recorder.finish(complete=False)
                    return False
        await recorder.finish(complete=True)
        return True

    def refill(self, spill: Spill) -> None:
        """Take up a plan whose shards are all there."""
        before = recorded(self._folder, is_listed=True)
        state = self.state()
        self._tally, self._asked, self._latency = (
            before.tally,
            state.get("asked", {}),
            state.get("latency", 0.0),
        )
        spill.refill(self._folder.shard_paths())

    async def finish(self, spill: Spill) -> Findings:
        """Look over all shards for what stands in the way of what."""
        covered = self._covered()
        between = (spill.lowest, spill.highest) if spill.highest else None
        with await Present.listed(
            self._ends,
            self._prefixes() if between else [],
            covered=covered,
            between=between,
            names=Names(spill.destinations, lambda: destinations_in(self._folder.shard_paths())),
            workers=self._concurrency,
        ) as present:
            findings = await finish(
                self._folder, self._ends, self._specification.verb, spill, present, same_scope=True
            )
        if findings == Findings():
            return findings
        # Few rows have changed, but nobody knows which of the groups they were in.
        self._tally = Tally()
        for path in self._folder.shard_paths():
            if "ordered-" not in path:
                self._tally.add_shard(path)
        return findings

    def sum_up(self, findings: Findings | None) -> PlanSummary:
        """Return the summary; with no findings it is that of a plan that is not finished."""
        origin = Origin(
            self._folder,
            self._specification,
            self._rules,
            self._ends,
            self._asked,
            self._latency,
            self._concurrency,
        )
        return summarise(origin, self._tally, findings, self._prices)

    def _covered(self) -> str | None:
        """Return the prefix below which the plan has a row for everything, None without one."""
        is_whole = self._ends.selection.kind == "tree" and not self._specification.filters
        return self._ends.selection.prefix if is_whole else None

    def _prefixes(self) -> list[str]:
        """Return what the destinations start with."""
        if not self._specification.verb.writes_elsewhere:
            return []
        if self._rules is None:
            return [as_directory(self._ends.target.key) if self._ends.target.into else self._ends.target.key]
        return [self._ends.base + prefix for prefix in self._rules.literal_prefixes()]


def _sum(one: Any, other: Any) -> dict[str, int]:  # noqa: ANN401 -- mappings from JSON
    return {kind: one.get(kind, 0) + other.get(kind, 0) for kind in {**one, **other}}
