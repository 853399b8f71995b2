"""How many rows do not fit, and when that is too many."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from haulyard.errors import HaulError, TooManyRejects
from haulyard.ingest.model import ConvergedLaterError, check_max_rejects

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from haulyard.ingest.model import Piece, Reject

#: Rejects that an error tells, and those that it has.
_TOLD: Final = 5
_FIRST: Final = 10


class Tally:
    """Counts the rows that do not fit; more than ``most`` (None: any number) are too many.

    ``on_reject`` is called with those that `tell` is given.

    Raises:
        ConfigError: ``most`` is no number of rows.
    """

    def __init__(self, most: int | None, on_reject: Callable[[Reject], None] | None = None) -> None:
        check_max_rejects(most)
        self.rejected = 0
        self._most = sys.maxsize if most is None else most
        self._on_reject = on_reject
        self._first: list[Reject] = []

    @property
    def has_listener(self) -> bool:
        """Whether anybody wants to be told of each of them."""
        return self._on_reject is not None

    def restart(self) -> None:
        """Forget all: the rows are read again."""
        self.rejected = 0
        self._first = []

    def count(self, rejects: Sequence[Reject]) -> bool:
        """Take note of some more; return whether they are too many now."""
        self.rejected += len(rejects)
        self._first += rejects[: _FIRST - len(self._first)]
        return self.rejected > self._most

    def tell(self, rejects: Sequence[Reject]) -> None:
        """Tell of each of them."""
        if self._on_reject is not None:
            for reject in rejects:
                self._on_reject(reject)

    async def too_many(self, pieces: AsyncIterator[Piece]) -> TooManyRejects:
        """Return the error for so many; ``pieces``, the rest, is read until it tells whether they are all."""
        count = "1 row does" if self.rejected == 1 else f"{self.rejected:,} rows do"
        if not await _is_end(pieces):
            count = f"at least {count}"
        more = " …" if self.rejected > _TOLD else ""
        return TooManyRejects(
            f"{count} not fit: {'; '.join(map(told, self._first[:_TOLD]))}{more}",
            rejected=self.rejected,
            first=tuple(self._first),
            hint="max_rejects=N leaves so many such rows out, and on_reject is told of each",
        )


async def _is_end(pieces: AsyncIterator[Piece]) -> bool:
    try:
        async for piece in pieces:
            if piece.rows:
                return False
    except (HaulError, OSError, ConvergedLaterError):
        # What is wrong with the next file is not what is to be told.
        return False
    return True


def told(reject: Reject) -> str:
    """Return a reject as messages tell it."""
    value = f" {reject.value!r}" if reject.value else ""
    column = f" column {reject.column!r}{value}:" if reject.column else ""
    return f"{reject.uri} line {reject.line}:{column} {reject.reason}"
