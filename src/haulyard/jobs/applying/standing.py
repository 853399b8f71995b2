"""How far one shard has come, as its journal says: a byte an operation, and what is still needed of some."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from haulyard.jobs.model import Phase
from haulyard.journal.shard import Entry

if TYPE_CHECKING:
    from haulyard.journal.shard import Shard

_PHASES: Final = ("", *(phase.value for phase in Phase))
_NUMBERS: Final = {phase: number for number, phase in enumerate(_PHASES)}
#: Phases that leave work to do; all but the first need to know what was done already.
OPEN: Final = ("", Phase.COPIED.value, Phase.FAILED.value)
#: Failures that would only repeat themselves within a run.
_LASTING: Final = frozenset({"SourceChanged", "Conflict", "UnsafeName", "S3ArchivedError", "Unsupported"})


class Standing:
    """The last phase of every operation of a shard.

    ``has_begun`` says that an earlier run worked on it: what has no entry may have been done nevertheless.
    """

    def __init__(self, shard: Shard) -> None:
        self.has_begun = False
        self._phases = bytearray()
        self._details: dict[int, dict[str, Any]] = {}
        for entry in shard.entries():
            if not entry.item:
                self.has_begun = self.has_begun or entry.phase == Phase.BEGUN
                continue
            self.take(entry)

    def take(self, entry: Entry) -> None:
        """Take note of an entry."""
        item, phase, _, details = entry
        if item >= len(self._phases):
            self._phases.extend(bytes(max(item + 1 - len(self._phases), len(self._phases))))
        self._phases[item] = _NUMBERS[phase]
        if phase == Phase.FAILED:
            # What was copied before it failed stays known.
            self._details[item] = {**self._details.get(item, {}), **details}
        elif phase in OPEN:
            self._details[item] = dict(details)
        else:
            self._details.pop(item, None)

    def keep(self, item: int, details: dict[str, Any]) -> None:
        """Take note that an operation is copied, as the journal has it."""
        self._details[item] = details

    def fail(self, item: int, details: dict[str, Any]) -> None:
        """Take note that an operation failed."""
        self.take(Entry(item, Phase.FAILED.value, 0.0, details))

    def end(self, item: int, phase: Phase) -> None:
        """Take note that an operation has come to its end, and let go of what was known of it."""
        self.take(Entry(item, phase.value, 0.0, {}))

    def phase(self, item: int) -> str:
        """Return the last phase of an operation, ``""`` where it has none."""
        return _PHASES[self._phases[item]] if item < len(self._phases) else ""

    def details(self, item: int) -> dict[str, Any]:
        """Return what is known of an operation that is copied, or failed."""
        return self._details.get(item, {})

    def is_open(self, item: int) -> bool:
        """Return whether there is something left to do."""
        return self.phase(item) in OPEN

    def is_worth_another_try(self, item: int) -> bool:
        """Return whether it failed in a way that may not repeat itself within the same run."""
        return self.phase(item) == Phase.FAILED and self.details(item).get("error") not in _LASTING
