"""How many rows do not fit, and when that is too many."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from haulyard.errors import IngestError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from haulyard.ingest.model import Reject

#: Rejects that an error tells.
_TOLD: Final = 5


class Tally:
    """Counts the rows that do not fit; more than ``most`` are an error."""

    def __init__(self, most: int) -> None:
        self.rejected = 0
        self._most = most
        self._first: list[Reject] = []

    def count(self, rejects: Sequence[Reject]) -> None:
        """Take note of some more.

        Raises:
            IngestError: They are too many; it tells the first.
        """
        self.rejected += len(rejects)
        self._first += rejects[: _TOLD - len(self._first)]
        if self.rejected > self._most:
            count = "1 row does" if self.rejected == 1 else f"{self.rejected} rows do"
            more = " …" if self.rejected > len(self._first) else ""
            raise IngestError(
                f"{count} not fit: {'; '.join(map(told, self._first))}{more}",
                hint="max_rejects leaves so many such rows out, and on_reject is told of each",
            )


def told(reject: Reject) -> str:
    """Return a reject as messages tell it."""
    value = f" {reject.value!r}" if reject.value else ""
    column = f" column {reject.column!r}{value}:" if reject.column else ""
    return f"{reject.uri} line {reject.line}:{column} {reject.reason}"
