"""The texts that have no vector, out of a job's dead letters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import orjson

from haulyard.records.ledger import Ledger

if TYPE_CHECKING:
    from haulyard.journal.folder import JobFolder

#: Texts that are told, and characters of each.
_SAMPLES: Final = 5
_SHOWN: Final = 60


def failures_of(folder: JobFolder) -> tuple[int, tuple[tuple[str, str], ...]]:
    """Return how many texts have no vector, and the beginnings of the first of them with the reasons.

    Raises:
        JobError: The job is damaged.
    """
    if not Ledger.exists(folder):
        return 0, ()
    with Ledger.open(folder, read_only=True) as ledger:
        state = ledger.state()
        count = state.letters - state.resolved
        first = next(ledger.letters(unresolved_only=True), []) if count else []
        return count, tuple((_shown(kept.letter.record), kept.letter.reason) for kept in first[:_SAMPLES])


def _shown(record: bytes) -> str:
    try:
        text = str(orjson.loads(record)["text"])
    except (LookupError, TypeError, ValueError):
        return ""
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
