"""How a delimited file is laid out, and what becomes of its blocks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from haulyard.ingest.model import Reject
    from haulyard.records.formats.delimited import Dialect
    from haulyard.records.formats.encoding import Charset

#: The key of a field's metadata under which it says how its dates are written.
FORMAT: Final = b"haulyard.format"


@dataclass(frozen=True, slots=True)
class Layout:
    """The file's own columns, in order, and how its fields are told apart."""

    uri: str
    names: tuple[str, ...]
    dialect: Dialect
    charset: Charset
    nulls: tuple[str, ...]


class Parsed(NamedTuple):
    """What became of a block of ``lines`` lines; those of ``rejects`` count from 0 at its beginning.

    ``misfits`` are the columns whose type some values do not fit, ``foreign`` counts the rejects that are no
    text in the file's encoding.
    """

    batch: pa.RecordBatch
    rejects: Sequence[Reject]
    lines: int
    misfits: frozenset[str] = frozenset()
    foreign: int = 0


def format_of(field: pa.Field) -> str:
    """Return how the dates of a column are written; ``""`` for ISO."""
    return str((field.metadata or {}).get(FORMAT, b"").decode())
