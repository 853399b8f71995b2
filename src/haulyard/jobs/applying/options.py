"""How a plan is carried out, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from haulyard.transfer.options import TransferOptions


@dataclass(frozen=True, slots=True)
class ApplyOptions:
    """The choices of one `apply`.

    ``on_conflict`` is one of `haulyard.jobs.model.ON_CONFLICT`, or ``""`` where nobody decided: a plan with
    conflicts is then refused. ``verify`` is ``checksum`` where contents are to be read again if the stores
    state no checksums that compare. ``max_errors`` ends the run when more objects than that have failed
    (None: never). ``concurrency`` counts requests in flight. ``transfer`` are the settings of what goes
    through this machine or in parts.
    """

    on_conflict: str = ""
    verify: str = ""
    max_errors: int | None = None
    concurrency: int = 32
    transfer: TransferOptions = field(default_factory=TransferOptions)


class Tally(NamedTuple):
    """What became of a run, or of a part of it: counts of objects, bytes, seconds."""

    done: int = 0
    skipped: int = 0
    failed: int = 0
    bytes: int = 0
    seconds: float = 0.0
    interrupted: bool = False

    def __add__(self, other: object) -> Tally:
        """Return the sum; times run side by side and are not added."""
        if not isinstance(other, Tally):
            return NotImplemented
        return Tally(
            self.done + other.done,
            self.skipped + other.skipped,
            self.failed + other.failed,
            self.bytes + other.bytes,
            max(self.seconds, other.seconds),
            self.interrupted or other.interrupted,
        )
