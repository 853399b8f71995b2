"""What `haul ingest` says: the columns, the rows that do not fit, what a load came to. Pure."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Final

from haulyard.cli import ingest_embed
from haulyard.cli.formats import human_size
from haulyard.journal.reporting.wording import things
from haulyard.observe.lines import escape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from haulyard.ingest.loading import Loaded
    from haulyard.ingest.model import Reject
    from haulyard.ingest.schema import ColumnInfo, SchemaInfo

#: Characters of a value in the table of columns.
_WIDTH: Final = 19
_EXAMPLES: Final = 3
_HEADS: Final = ("name", "type", "nullable", "nulls", "distinct", "minimum", "maximum", "examples")


@dataclass(frozen=True, slots=True)
class Column:
    """One column of what is read; ``type`` is that of a table that would be made."""

    kind: ClassVar[str] = "column"

    info: ColumnInfo
    type: str

    def text(self) -> str:
        """Return it for people; `table_of` sets several below each other."""
        return "  ".join(self.cells())

    def cells(self) -> tuple[str, ...]:
        """Return its line of the table, in parts."""
        one = self.info
        nullable = "yes" if one.nullable else "no"
        nulls = "" if one.nulls is None else f"{one.nulls:,}"
        distinct = "" if one.distinct is None else f"~{one.distinct:,}"
        examples = ", ".join(_short(each) for each in one.examples[:_EXAMPLES])
        return (
            escape(one.name),
            self.type,
            nullable,
            nulls,
            distinct,
            _short(one.minimum),
            _short(one.maximum),
            examples,
        )

    def fields(self) -> dict[str, object]:
        """Return it for programs."""
        return {**asdict(self.info), "type": self.type, "examples": list(self.info.examples)}


def table_of(columns: Sequence[Column], info: SchemaInfo) -> list[str]:
    """Return the lines of a table of columns, and one of what they are of."""
    rows = [_HEADS, *(column.cells() for column in columns)]
    widths = [max(len(row[at]) for row in rows) for at in range(len(_HEADS))]
    lines = [
        "  ".join(
            f"{cell:>{width}}" if head in {"nulls", "distinct"} else f"{cell:{width}}"
            for cell, width, head in zip(row, widths, _HEADS, strict=True)
        ).rstrip()
        for row in rows
    ]
    rejected = f"; {things(info.rejected, 'row')} more that would be rejected" if info.rejected else ""
    files = f" of {things(info.files, 'file')}" if info.files else ""
    return [*lines, "", f"{things(info.rows, 'row')}{files}{rejected}"]


def _short(value: Any) -> str:  # noqa: ANN401 -- of whatever type a column is
    if value is None:
        return ""
    text = escape(str(value))
    if isinstance(value, datetime):
        # Cut, it would look like another time.
        return text
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 1]}…"


@dataclass(frozen=True, slots=True)
class Rejected:
    """A row that does not fit."""

    kind: ClassVar[str] = "reject"

    of: Reject

    def text(self) -> str:
        """Return it for people."""
        one = self.of
        column = f" in column {one.column!r}" if one.column else ""
        value = f": {_short(one.value)}" if one.value else ""
        return f"rejected: {escape(one.uri)}, line {one.line:,}: {escape(one.reason)}{escape(column)}{value}"

    def fields(self) -> dict[str, object]:
        """Return it for programs."""
        one = self.of
        return {
            "uri": one.uri,
            "line": one.line,
            "reason": one.reason,
            "column": one.column,
            "value": one.value,
        }


@dataclass(frozen=True, slots=True)
class Summary:
    """What a load came to."""

    kind: ClassVar[str] = "loaded"

    of: Loaded

    def text(self) -> str:
        """Return it for people."""
        one = self.of
        where = f"{one.table} in {one.destination}" if one.table else one.destination
        if one.files_known and not one.files:
            return f"{escape(where)} has all of it already: {things(one.files_known, 'file')} loaded before"
        rows = f"{things(one.rows_loaded, 'row')} of {things(one.files, 'file')} ({human_size(one.bytes)})"
        lines = [f"{rows} into {escape(where)} in {one.seconds:.2f} s"]
        if one.rows_updated:
            new, old = one.rows_loaded - one.rows_updated, one.rows_updated
            lines.append(f"of these, {new:,} new and {old:,} in place of others with the same key")
        if one.files_known:
            lines.append(f"{things(one.files_known, 'file')} left out: loaded before (--force loads again)")
        filtered = f" + {one.rows_filtered:,} left out by --where" if one.rows_filtered else ""
        parts = f"{one.rows_loaded:,} loaded + {one.rows_rejected:,} rejected{filtered}"
        lines.append(f"{things(one.rows_read, 'row')} read = {parts}")
        if one.rejects_file:
            table = f"{one.rejects_table} and " if one.rejects_table else ""
            lines.append(f"rejected rows are in {escape(table)}{escape(os.path.relpath(one.rejects_file))}")
        if one.embedded is not None:
            lines += ingest_embed.lines_of(one.embedded)
        return "\n".join(lines)

    def fields(self) -> dict[str, object]:
        """Return it for programs."""
        return {**asdict(self.of), "seconds": round(self.of.seconds, 3)}
