"""JSON Lines: each line a JSON value, kept as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import orjson

from haulyard.records.formats.parser import Rows
from haulyard.records.model import KEPT_RECORD, Flaw

if TYPE_CHECKING:
    from haulyard.records.formats.cutting import Text
    from haulyard.records.formats.encoding import Charset

#: Lines are cut by this alone.
SPECIALS: Final = b"\n"


class LineRows:
    """Makes rows of lines."""

    def __init__(self, charset: Charset) -> None:
        self._charset = charset

    def __call__(self, text: Text) -> Rows:
        """Check each line by itself; one that is no JSON is a flaw and leaves the others alone."""
        rows: list[bytes] = []
        flaws: dict[int, Flaw] = {}
        loads = orjson.loads
        offset = text.offset
        plain = self._charset.is_utf8 or self._charset.is_streamed
        for number, line in enumerate(text.data.split(b"\n")):
            row = line.strip()
            if row:
                try:
                    if not plain:
                        row = self._charset.utf8(row)
                    loads(row)
                except ValueError as error:
                    reason = self._reason(row, error)
                    flaws[len(rows)] = Flaw(text.line + number, offset, reason, line[:KEPT_RECORD])
                    row = b""
                rows.append(row)
            offset += len(line) + 1
        return Rows(rows, flaws)

    def _reason(self, row: bytes, error: ValueError) -> str:
        if isinstance(error, UnicodeDecodeError):
            return self._charset.complaint(error)
        try:
            row.decode()
        except UnicodeDecodeError as invalid:
            return self._charset.complaint(invalid)
        return f"not JSON: {error}"
