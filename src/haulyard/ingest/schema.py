"""What is in the columns of a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class ColumnInfo:
    """One column.

    ``type`` is Arrow's name of it, ``nulls`` counts them. ``minimum`` and ``maximum`` are None where there is
    no value, ``distinct`` is approximate (within some percent), ``examples`` are the first few values that
    differ; all four only where the `SchemaInfo` is complete.
    """

    name: str
    type: str
    nullable: bool
    nulls: int
    minimum: Any = None
    maximum: Any = None
    distinct: int | None = None
    examples: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class SchemaInfo:
    """The columns of what was read.

    ``rows`` counts those of the table, ``rejected`` those that do not fit it and ``filtered`` those that a
    condition left out: together they are all that the ``files`` files have, but for files that their
    partitions ruled out. ``is_complete`` says that minimum, maximum, distinct and examples were looked at, as
    `haulyard.describe_table` does; `haulyard.read_table` leaves that.
    """

    columns: tuple[ColumnInfo, ...]
    rows: int
    rejected: int = 0
    filtered: int = 0
    files: int = 0
    is_complete: bool = False

    def __getitem__(self, name: str) -> ColumnInfo:
        """Return the column of that name."""
        return next(column for column in self.columns if column.name == name)


def columns_of(table: pa.Table) -> tuple[ColumnInfo, ...]:
    """Return what can be told of a table's columns without looking at their values."""
    return tuple(
        ColumnInfo(field.name, str(field.type), field.nullable, table.column(number).null_count)
        for number, field in enumerate(table.schema)
    )
