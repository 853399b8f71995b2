"""What is in the columns of a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ColumnInfo:
    """One column: None is what was not looked at (see `SchemaInfo`).

    ``type`` is Arrow's name of it, ``nulls`` counts them, ``distinct`` is approximate, ``examples`` are the
    first few values.
    """

    name: str
    type: str
    nullable: bool
    nulls: int | None = None
    minimum: Any = None
    maximum: Any = None
    distinct: int | None = None
    examples: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class SchemaInfo:
    """The columns of what was read, and the number of its rows.

    ``is_complete`` says that minimum, maximum, distinct and examples were looked at.
    """

    columns: tuple[ColumnInfo, ...]
    rows: int
    rejected: int = 0
    files: int = 0
    is_complete: bool = False
