"""How far a records job is, as its ``state.json`` says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from haulyard.errors import JobError

if TYPE_CHECKING:
    from haulyard.journal.folder import JobFolder

LISTING: Final = "listing"
PROCESSING: Final = "processing"
FINISHED: Final = "finished"
#: What is written down is none of these, or damaged.
UNKNOWN: Final = "unknown"


def stage_of(folder: JobFolder) -> tuple[str, tuple[str, ...]]:
    """Return the stage, and what is damaged about it."""
    try:
        stage = str((folder.read("state") or {}).get("stage", LISTING))
    except JobError as error:
        return UNKNOWN, (str(error),)
    if stage in {LISTING, PROCESSING, FINISHED}:
        return stage, ()
    return UNKNOWN, (f"state.json names a stage that this release does not know: {stage}",)
