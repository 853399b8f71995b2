"""Taking back what a job did: exactly that, and nothing that changed since.

==========  ==============================================================================================
verb        taken back by
==========  ==============================================================================================
copy        deleting the copy while it is what the job wrote; where it replaced something, that comes back
            only as an older version
move        the delete marker is removed where there is one, else the copy is copied back and verified; then
            the copy is deleted
delete      the delete marker is removed; without versions nothing can be done
retag       the old tags, while the tags are those that the job set
restore     nothing: it ends by itself
==========  ==============================================================================================

Each step is written to the same journal: ``returned`` (the source is there again, verified), ``undone``,
``kept`` (with the reason). What failed has no such entry, and is tried when the job is undone again.

Of a run that was killed, something may be done that is not written down: `haulyard.jobs.undoing.doubt`.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from haulyard.jobs.model import Action, Conflict, Operation, Phase, Verb
from haulyard.journal.reporting.wording import visible
from haulyard.journal.writer import BOUND

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator

    from haulyard.jobs.specification import Specification
    from haulyard.journal.shard import Shard

#: Operations that are named of each kind that cannot be undone.
SAMPLES: Final = 20
#: What is said to be the version of a copy in a bucket that keeps none.
UNVERSIONED: Final = frozenset({None, "", "null"})
_WORKED_ON: Final = frozenset({Action.ACT, Action.FOLDER})
#: Operations behind the last one with an entry that a killed run may have done: those that may wait to be
#: written (`haulyard.journal.writer.BOUND`), as many that are being written, and those in flight.
_AHEAD: Final = 2 * BOUND + 4_096


class Past:
    """What the journal of one shard says was done, and how far that was taken back."""

    def __init__(self, shard: Shard) -> None:
        self.details: dict[int, dict[str, Any]] = {}
        self.phases: dict[int, str] = {}
        self.has_begun = False
        """Whether an earlier run took something back: what has no entry may be undone nevertheless."""
        self._was_applied = False
        self._last = 0
        for item, phase, _, details in shard.entries():
            self._last = max(self._last, item)
            if not item:
                is_undo = bool(details.get("undo"))
                self.has_begun = self.has_begun or is_undo
                self._was_applied = self._was_applied or not is_undo
            elif phase == Phase.COPIED:
                self.details[item] = dict(details)
                self.phases[item] = phase
            else:
                self.details[item] = {**self.details.get(item, {}), **details}
                self.phases[item] = phase

    def is_to_undo(self, item: int) -> bool:
        """Return whether something was done that is not taken back yet."""
        phase = self.phases.get(item, "")
        if phase == Phase.FAILED:
            # It failed behind its copy.
            return "etag" in self.details[item] or "old_tags" in self.details[item]
        return phase in {Phase.COPIED, Phase.DONE, Phase.RETURNED}

    def is_in_doubt(self, item: int) -> bool:
        """Return whether a run that was killed may have done something that it did not write down."""
        if self.phases.get(item, "") == Phase.FAILED:
            return not self.is_to_undo(item)
        return self._was_applied and item not in self.phases and item <= self._last + _AHEAD

    def learn(self, item: int, phase: Phase, details: dict[str, Any]) -> None:
        """Take note of what was found to be done."""
        self.phases[item] = phase.value
        self.details[item] = details


def operations(shard: Shard, *, backwards: bool) -> Iterator[list[Operation]]:
    """Yield what the shard's plan acts on; ``backwards`` wave by wave, the last one first."""
    pages = ([Operation(*row) for row in page if row[1] in _WORKED_ON] for page in shard.rows())
    if not backwards:
        yield from pages
        return
    waves: dict[int, list[Operation]] = {}
    for page in pages:
        for operation in page:
            waves.setdefault(operation.wave, []).append(operation)
    for number in sorted(waves, reverse=True):
        yield waves[number]


@dataclass(slots=True)
class Survey:
    """What undoing a job comes to, told from its journal alone.

    ``kinds`` counts what will be tried, ``hopeless`` what cannot be undone, by reason; ``samples`` names the
    first objects of each reason. Objects that changed since are found out only when it is tried: they are
    kept. ``kept`` counts those that an undo before kept, by reason: they are not tried again.
    """

    kinds: Counter[str] = field(default_factory=Counter)
    hopeless: Counter[str] = field(default_factory=Counter)
    samples: dict[str, list[str]] = field(default_factory=dict)
    kept: Counter[str] = field(default_factory=Counter)

    @property
    def count(self) -> int:
        """How many operations can be taken back."""
        return sum(self.kinds.values())

    def lines(self) -> list[str]:
        """Return it for people."""
        told = [f"{count:>12,}  {kind}" for kind, count in sorted(self.kinds.items())]
        for reason, count in sorted(self.hopeless.items()):
            told.append(f"{count:>12,}  cannot be undone: {reason}")
            told += [f"{'':>14}{visible(name)}" for name in self.samples[reason]]
            if count > len(self.samples[reason]):
                told.append(f"{'':>14}… and {count - len(self.samples[reason]):,} more")
        told = told or ["nothing to undo"]
        return [*told, *(f"{count:>12,}  kept before: {why}" for why, count in sorted(self.kept.items()))]

    def fields(self) -> dict[str, object]:
        """Return it for programs."""
        return {
            "undoable": dict(self.kinds),
            "hopeless": dict(self.hopeless),
            "samples": self.samples,
            "kept_before": dict(self.kept),
        }


def survey(specification: Specification, shards: Iterable[tuple[Shard, bool]]) -> Survey:
    """Go through the journal of a job.

    With each shard stands whether the order of its operations matters; of those the last one comes first.
    """
    found = Survey()
    occupied: set[str] = set()
    for shard, backwards in shards:
        past = Past(shard)
        for page in operations(shard, backwards=backwards):
            for operation in page:
                reason = _told(found, specification.verb, operation, past, occupied)
                if reason and operation.conflict == Conflict.COLLISION:
                    occupied.add(place_of(operation, past.details[operation.id]))
    return found


def _told(found: Survey, verb: Verb, operation: Operation, past: Past, occupied: set[str]) -> str:
    """Add one operation; return why its copy stays for good, ``""`` where it does not."""
    details = past.details.get(operation.id, {})
    phase = past.phases.get(operation.id, "")
    if phase == Phase.KEPT:
        reason = str(details.get("reason", ""))
        found.kept[reason] += 1
        return reason
    if not past.is_to_undo(operation.id):
        return ""
    reason = covered(operation, details, occupied) or hopeless(verb, operation, details, phase)
    if not reason:
        found.kinds[_kind(verb, operation, details)] += 1
        return ""
    found.hopeless[reason] += 1
    named = found.samples.setdefault(reason, [])
    if len(named) < SAMPLES:
        named.append(operation.key or operation.destination)
    return reason


def covered(operation: Operation, details: dict[str, Any], occupied: Container[str]) -> str:
    """Return why a copy cannot be taken back at whose name one that came later stays, ``""`` if it can."""
    if place_of(operation, details) not in occupied or details.get("version") not in UNVERSIONED:
        return ""
    return "another object of the job replaced its copy, and the bucket keeps no versions"


def place_of(operation: Operation, details: dict[str, Any]) -> str:
    """Return where the copy of an operation is."""
    return str(details.get("destination") or operation.destination)


def hopeless(verb: Verb, operation: Operation, details: dict[str, Any], phase: str) -> str:
    """Return why an operation cannot be undone, ``""`` if it can as far as the journal knows."""
    reason = ""
    if operation.action == Action.FOLDER or phase == Phase.RETURNED:
        pass
    elif verb is Verb.RESTORE:
        reason = "a restored copy ends by itself"
    elif verb is Verb.DELETE and not details.get("marker"):
        reason = "it was deleted for good" if operation.version else "the bucket keeps no versions"
    elif verb.writes_elsewhere and details.get("version") in UNVERSIONED:
        if details.get("replaced"):
            reason = "it replaced another object, and the bucket keeps no versions"
        elif details.get("in_place"):
            reason = "its properties were changed in place, and the bucket keeps no versions"
    return reason


def _kind(verb: Verb, operation: Operation, details: dict[str, Any]) -> str:
    if details.get("made") is False and verb is not Verb.MOVE:
        return "left as they are: they were there before the job"
    if operation.action == Action.FOLDER:
        return "placeholders to delete"
    if verb is Verb.MOVE:
        return (
            "delete markers to remove, copies to delete" if details.get("marker") else "objects to move back"
        )
    return {
        Verb.COPY: "copies to delete",
        Verb.DELETE: "delete markers to remove",
        Verb.RETAG: "objects to get their old tags",
    }[verb]


def begun() -> tuple[int, str, float, dict[str, Any]]:
    """Return the entry with which undoing begins."""
    told = {"undo": True, "pid": os.getpid(), "host": os.uname().nodename}
    return 0, Phase.BEGUN.value, round(time.time(), 3), told
