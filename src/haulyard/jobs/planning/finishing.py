"""The last pass of planning: what stands in the way of what, over all shards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from anyio.lowlevel import checkpoint

from haulyard.jobs.model import PLAN_COLUMNS, Verb
from haulyard.jobs.planning import ordered
from haulyard.jobs.planning.clashes import Clashes
from haulyard.jobs.planning.findings import Findings, tell
from haulyard.journal.shard import Shard

if TYPE_CHECKING:
    from haulyard.jobs.ends import Ends
    from haulyard.jobs.planning.present import Present
    from haulyard.jobs.planning.spill import Spill
    from haulyard.jobs.planning.suspects import Suspects
    from haulyard.journal.folder import JobFolder

_KEY: Final = PLAN_COLUMNS.index("key")
_DESTINATION: Final = PLAN_COLUMNS.index("destination")


async def finish(
    folder: JobFolder, ends: Ends, verb: Verb, spill: Spill, present: Present, *, same_scope: bool = True
) -> Findings:
    """Find collisions, destinations that exist, chains and circles, and write them into the shards.

    ``spill`` has the names of all rows (see `Spill.add` and `Spill.refill`), ``present`` what is in the
    destination besides. ``same_scope`` is False where no listed object can be anybody's destination; in two
    stores none can. Called again, after it was killed or after it had ended, it comes to the same.

    In the normal shards an operation that must keep an order becomes `Action.ORDERED`; its row is then in an
    ordered shard too, with the action it had. Those are sorted by wave, then by the order of the plan.
    What waits for a circle becomes `Action.CYCLE`. Rows that repeat an object for the same destination become
    `Action.SKIPPED`, with `Conflict.SAME`. ``conflict`` and ``present`` are set in both kinds of shards.

    Without destinations there is only what a manifest names twice, which is done once.

    Where no name occurs twice, nothing but the spill is read. Else all shards are read once.

    Raises:
        JobError: The disk is full or failed, or a shard is damaged or locked.
    """
    ordered.restore(folder)
    if not verb.writes_elsewhere:
        # A listing names nothing twice.
        suspects = spill.repeated() if ends.selection.kind == "manifest" else None
        return await _settled(folder, suspects) if suspects else Findings()
    for keys in present.pages():
        spill.add_present(keys)
        await checkpoint()
    one_store = same_scope and ends.is_one_store
    suspects = spill.suspects(keys=one_store)
    if not suspects:
        return Findings()
    paths = ordered.normal_shards(folder)
    with Clashes() as clashes:
        await _collect(clashes, paths, suspects)
        clashes.find_repeated()
        clashes.compare(one_store=one_store, copies=verb is Verb.COPY)
        for names in clashes.destinations():
            clashes.found(list(present.find(names).values()))
            await checkpoint()
        clashes.judge()
        await _write(folder, clashes, paths)
        return tell(clashes)


async def _settled(folder: JobFolder, suspects: Suspects) -> Findings:
    """Leave out what repeats an object, where nothing else can stand in the way."""
    paths = ordered.normal_shards(folder)
    with Clashes() as clashes:
        await _collect(clashes, paths, suspects)
        clashes.find_repeated()
        await _write(folder, clashes, paths)
        return tell(clashes)


async def _collect(clashes: Clashes, paths: list[str], suspects: Suspects) -> None:
    for number, path in enumerate(paths):
        with Shard.open(path, owner="plan", read_only=True) as shard:
            for page in shard.rows():
                chosen = suspects.pick([row[_KEY] for row in page], [row[_DESTINATION] for row in page])
                if chosen:
                    clashes.add(number, [page[at] for at in chosen])
                await checkpoint()
    suspects.clear()


async def _write(folder: JobFolder, clashes: Clashes, paths: list[str]) -> None:
    changed = clashes.changed_shards()
    if not changed:
        return
    ordered.note(folder, [paths[number] for number in changed])
    for _ in ordered.write_ordered(folder, clashes.ordered()):
        await checkpoint()
    for _ in ordered.amend(paths, clashes.amendments()):
        await checkpoint()
