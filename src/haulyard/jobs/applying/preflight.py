"""What has to be right before the first change: a whole plan, decisions for its conflicts, and rights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from haulyard.errors import AccessDenied, JobError, NotFound, S3PermissionError
from haulyard.jobs.applying.likeness import may_be_one
from haulyard.jobs.model import ON_CONFLICT, Stage, Verb
from haulyard.jobs.planning.summary import PlanSummary
from haulyard.stores.access.space import ProbeSpace
from haulyard.transfer.workers import run_workers

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from haulyard.events import Emit
    from haulyard.jobs.ends import Ends
    from haulyard.journal.folder import JobFolder
    from haulyard.stores.access import Probe

    #: Tries what may be done in the bucket of one side: ``source`` or ``destination``.
    CheckAccess = Callable[[str], Awaitable[list[Probe]]]

_NEEDED_AT_SOURCE: Final = {
    Verb.COPY: frozenset({"HeadObject", "GetObject"}),
    Verb.MOVE: frozenset({"HeadObject", "GetObject", "DeleteObject"}),
    Verb.DELETE: frozenset({"DeleteObject"}),
    Verb.RESTORE: frozenset({"HeadObject"}),
    Verb.RETAG: frozenset({"HeadObject", "GetObjectTagging", "PutObjectTagging"}),
}
_NEEDED_AT_DESTINATION: Final = frozenset({"PutObject", "HeadObject"})


def check_stage(name: str, state: Mapping[str, Any] | None) -> Stage:
    """Return the stage of a job that can be applied.

    Raises:
        JobError: It is not planned to its end, or was undone.
    """
    stage = Stage(state["stage"]) if state else Stage.PLANNING
    if stage in {Stage.PLANNING, Stage.LISTED}:
        raise JobError(f"the plan of job {name} is not finished", hint="run the same haul plan command again")
    if stage in {Stage.UNDOING, Stage.UNDONE}:
        raise JobError(
            f"job {name} was undone, or is half undone, and is not applied any more",
            hint=f"finish it with haul undo {name}, or plan again with --new",
        )
    return stage


def decided(folder: JobFolder, state: Mapping[str, Any], on_conflict: str) -> str:
    """Return what was decided for conflicts, now or by an earlier run.

    Raises:
        JobError: There are conflicts and nobody decided, or there are keys that no rule takes and that may
            not be left alone.
    """
    if on_conflict and on_conflict not in ON_CONFLICT:
        raise JobError(f"{on_conflict} is no way to deal with conflicts", hint=", ".join(ON_CONFLICT))
    content = folder.read("summary")
    if content is None:
        raise JobError(
            f"the summary of job {folder.name} is missing: {folder.path}/summary.json",
            hint="restore it, or plan again with --new",
        )
    summary = PlanSummary.from_json(content)
    if summary.unmatched:
        raise JobError(
            f"no rule of job {folder.name} takes {summary.unmatched} of its objects, "
            "and the fallback is fail",
            hint=f'see {folder.path}/unmatched.txt; add a rule, or [fallback] action = "skip"; plan --new',
        )
    decision = on_conflict or str(state.get("on_conflict", ""))
    conflicts = summary.findings.undecided
    if conflicts and not decision:
        raise JobError(
            f"the plan of job {folder.name} has {conflicts} conflicts, and nobody decided about them",
            hint=f"haul apply {folder.name} --on-conflict fail|skip|overwrite|suffix; "
            f"haul plan show {folder.name} names them",
        )
    return decision


async def check_rights(
    verb: Verb, check: CheckAccess, *, source_in_s3: bool, destination_in_s3: bool
) -> None:
    """Try what the job will need, on objects of our own.

    Raises:
        S3PermissionError: Something is denied; nothing was changed.
    """
    needed = {"source": _NEEDED_AT_SOURCE[verb]} if source_in_s3 else {}
    if verb.writes_elsewhere and destination_in_s3:
        needed["destination"] = _NEEDED_AT_DESTINATION
    probes: dict[str, list[Probe]] = {}
    sides = iter(needed)

    async def work() -> None:
        for side in sides:
            probes[side] = await check(side)

    # Both at a time: each takes eighteen requests, one after the other.
    await run_workers(work, max(1, len(needed)))
    for side, operations in needed.items():
        _refuse_denied(probes[side], operations, side)


async def check_apart(ends: Ends, emit: Emit) -> None:
    """Prove that two ends are not one bucket that is reached in two ways.

    The plan of a job within one bucket keeps an order that the plan of a job between two does not know of.

    Raises:
        JobError: They are one.
    """
    if ends.is_one_store or not may_be_one(ends):
        return
    async with ProbeSpace(ends.destination, ends.base[: ends.base.rfind("/") + 1], emit) as space:
        await space.put("apart", b"")
        try:
            await ends.source.head(space.key("apart"))
        except (NotFound, AccessDenied):
            # Denied is what stores say of absent keys to who may not list.
            return
    raise JobError(
        f"{ends.source.name} and {ends.destination.name} are one bucket, reached in two ways",
        hint="plan again with the same endpoint, profile and name for both ends; nothing was changed",
    )


def _refuse_denied(probes: list[Probe], needed: frozenset[str], side: str) -> None:
    denied = [probe for probe in probes if probe.operation in needed and probe.outcome == "denied"]
    if denied:
        actions = ", ".join(sorted({probe.action for probe in denied}))
        raise S3PermissionError(
            f"the job needs what is denied at its {side}: {', '.join(probe.operation for probe in denied)}",
            operation="apply",
            hint=f"allow {actions}; nothing was changed",
        )
