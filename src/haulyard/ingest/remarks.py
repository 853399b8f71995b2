"""What is to be said of files once all of them were read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from haulyard.events import Warned

if TYPE_CHECKING:
    from collections.abc import Mapping

    from haulyard.events import Emit
    from haulyard.ingest.model import Piece
    from haulyard.ingest.text.evidence import Evidence

#: Columns and files that are told of many.
_TOLD: Final = 5
_HINT: Final = "schema= pins the type of a column: what does not fit is rejected then, and told with its line"


class Remarks:
    """Gathers it while files are read as they come."""

    def __init__(self) -> None:
        self._doubts: dict[str, tuple[Evidence, int, bool]] = {}
        self._rows = 0
        self._files: dict[str, None] = {}

    def take(self, piece: Piece) -> None:
        """Take note of rows."""
        self._rows += piece.rows
        self._files[piece.source.uri] = None

    def doubt(self, columns: Mapping[str, Evidence], rows: int) -> None:
        """Take note of columns of a file of so many ``rows`` that became text against most of its values."""
        from haulyard.ingest.text.evidence import NOTHING, merged

        for name, evidence in columns.items():
            known, files, is_all = self._doubts.get(name, (NOTHING, 0, True))
            is_whole = evidence.values + evidence.nulls >= rows
            self._doubts[name] = (merged(known, evidence), files + 1, is_all and is_whole)

    def tell(self, emit: Emit) -> None:
        """Say it."""
        files = list(self._files)
        if files and not self._rows:
            more = f" and {len(files) - _TOLD:,} more" if len(files) > _TOLD else ""
            emit(Warned(f"there are no rows, only columns, in {', '.join(files[:_TOLD])}{more}"))
        # Where it is text in most files for good reasons, it is no surprise in the others.
        told = {name: each for name, each in self._doubts.items() if 2 * each[1] >= len(files)}
        tell_doubts({name: (evidence, is_all) for name, (evidence, _, is_all) in told.items()}, emit)


def tell_doubts(columns: Mapping[str, tuple[Evidence, bool]], emit: Emit) -> None:
    """Say which columns are text although most of their values are of another type.

    Each comes with what is known of it, and whether that is of all of its values.
    """
    if not columns:
        return
    from haulyard.ingest.text.doubts import doubt_told

    told = [doubt_told(name, evidence, is_all=is_all) for name, (evidence, is_all) in columns.items()]
    for text in told[:_TOLD]:
        emit(Warned(text, hint=_HINT))
    if len(told) > _TOLD:
        emit(Warned(f"so it is with {len(told) - _TOLD:,} more columns"))
