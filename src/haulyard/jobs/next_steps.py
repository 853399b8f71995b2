"""What a person may want to do with a bulk job now, and what is in the way of `haul apply`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from haulyard.errors import JobError
from haulyard.jobs.model import Action, Phase, Stage
from haulyard.journal.reporting.content import Step
from haulyard.journal.reporting.wording import things

if TYPE_CHECKING:
    from collections.abc import Mapping

    from haulyard.journal.folder import JobFolder


@dataclass(frozen=True, slots=True)
class Obstacles:
    """Why `haul apply` refuses: so many objects that no rule takes, so many conflicts that nobody decided."""

    unmatched: int = 0
    undecided: int = 0

    @classmethod
    def of(cls, folder: JobFolder) -> Self:
        """Read them from the plan's summary; none where that is missing or damaged, which others say."""
        try:
            summary, state = folder.read("summary") or {}, folder.read("state") or {}
            found = summary.get("findings", {})
            undecided = 0 if state.get("on_conflict") else found.get("collisions", 0) + found.get("exists", 0)
            unmatched, _ = summary.get("actions", {}).get(Action.UNMATCHED.word, (0, 0))
            return cls(int(unmatched), int(undecided))
        except (JobError, TypeError, ValueError, AttributeError):
            return cls()


def next_steps(
    name: str,
    stage: str,
    phases: Mapping[str, int],
    *,
    is_running: bool,
    obstacles: Obstacles = Obstacles(),
) -> list[Step]:
    """Return what a person may want to do with a job now; ``phases`` counts objects by their last phase."""
    if is_running:
        return [Step("see how it goes:", f"haul status {name}")]
    again = [Step("try again what failed:", f"haul apply {name}")] if phases.get(Phase.FAILED) else []
    report = Step("see what happened:", f"haul report {name}")
    undo = Step("take it back:", f"haul undo {name}")
    steps: dict[str, list[Step]] = {
        Stage.PLANNED: [Step("look at the plan:", f"haul plan show {name}"), _beginning(name, obstacles)],
        Stage.APPLYING: [Step("go on:", f"haul apply {name}"), report, undo],
        Stage.APPLIED: [*again, report, undo],
        Stage.UNDOING: [Step("go on undoing:", f"haul undo {name}"), report],
        Stage.UNDONE: [report],
    }
    if stage in steps:
        return steps[stage]
    if stage in {Stage.PLANNING, Stage.LISTED}:
        return [Step("finish the plan: run the same command again,", f"haul plan … --job {name}")]
    return []


def _beginning(name: str, obstacles: Obstacles) -> Step:
    if obstacles.unmatched:
        why = f"apply refuses, for no rule takes {things(obstacles.unmatched, 'object')} (unmatched.txt)"
        return Step(f"{why}; add a rule or a [fallback] and plan again:", f"haul plan … --job {name} --new")
    if obstacles.undecided:
        decide = f"haul apply {name} --on-conflict skip|overwrite|suffix"
        return Step(f"do it, and decide about {things(obstacles.undecided, 'conflict')}:", decide)
    return Step("do it:", f"haul apply {name}")
