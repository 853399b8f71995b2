"""A whole file looked at, to find what types its columns have."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pyarrow as pa

from haulyard.ingest.text.arrow_csv import has_lone_returns
from haulyard.ingest.text.dates import WAYS
from haulyard.ingest.text.evidence import (
    HOPELESS,
    KINDS,
    NOTHING,
    Evidence,
    evidence_of,
    is_suspicious,
    merged,
)
from haulyard.ingest.text.exact import parse_exactly
from haulyard.ingest.text.layout import FORMAT, Layout
from haulyard.ingest.text.padding import has_padding
from haulyard.ingest.text.values import array_of, read_columns

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True)
class TextProfile:
    """What is known of the columns of one file or several, in the order in which they were met."""

    columns: Mapping[str, Evidence] = field(default_factory=dict)
    rows: int = 0
    rejected: int = 0


def merge(one: TextProfile, other: TextProfile) -> TextProfile:
    """Return what is known of both together; columns that only ``other`` has come last."""
    columns = dict(one.columns)
    for name, evidence in other.columns.items():
        columns[name] = merged(columns.get(name, NOTHING), evidence)
    return TextProfile(columns, one.rows + other.rows, one.rejected + other.rejected)


def types_of(profile: TextProfile, share: float = 0.999) -> pa.Schema:
    """Return the columns with the types that fit most values, and ``share`` of them (0.9 to 1) at least.

    Text is what nothing fits, what has zeros before numbers, whole numbers that only a double could hold, and
    dates that may be meant with the day or the month first. A field says in its metadata (`FORMAT`) how dates
    are written that are not ISO. Columns without values are of type null.
    """
    return pa.schema(_field(name, evidence, share) for name, evidence in profile.columns.items())


def is_ambiguous(evidence: Evidence) -> bool:
    """Whether these are dates of which nobody knows what is the day and what the month."""
    kind = _kind(evidence, HOPELESS)
    return kind in WAYS and _other_way(kind) in WAYS and _tied(evidence, kind)


def _field(name: str, evidence: Evidence, share: float) -> pa.Field:
    if not evidence.values:
        return pa.field(name, pa.null())
    kind = _kind(evidence, share)
    if kind is None or (kind in {"int", "double"} and (evidence.padded or evidence.beyond)):
        return pa.field(name, pa.string())
    if kind in WAYS:
        if _tied(evidence, kind):
            return pa.field(name, pa.string())
        return pa.field(name, KINDS[kind], metadata={FORMAT: kind.encode()})
    return pa.field(name, KINDS[kind])


def _kind(evidence: Evidence, share: float) -> str | None:
    order = list(KINDS)
    fits = [(count, -order.index(kind), kind) for kind, count in evidence.fits.items()]
    count, _, kind = max(fits, default=(0, 0, None))
    return kind if count and count >= share * evidence.values else None


def _other_way(kind: str) -> str:
    return kind.translate(str.maketrans("DM", "MD"))


def _tied(evidence: Evidence, kind: str) -> bool:
    return evidence.fits.get(_other_way(kind), 0) == evidence.fits[kind]


def profile_block(
    data: bytes, layout: Layout, names: Sequence[str], hopeful: Mapping[str, list[str]], row: int
) -> TextProfile:
    """Return what a block of whole records says of the columns ``names``.

    ``hopeful`` has the kinds of values to look for, ``row`` is the number of the first row.
    """
    texts = {name: pa.string() for name in names if not hopeful[name]}
    rejected = 0
    table = _table_of(data, layout, names, texts)
    if table is None:
        everything = pa.schema((name, pa.string()) for name in names)
        parsed = parse_exactly(data, layout, everything)
        table, rejected = pa.Table.from_batches([parsed.batch]), len(parsed.rejects)
        raw = {name: array_of(table, name) for name in names}
    else:
        raw = numbers_as_text(data, layout, table)
    columns = {
        name: evidence_of(array_of(table, name), raw.get(name), hopeful[name], layout.uri, row)
        for name in names
    }
    return TextProfile(columns, table.num_rows + rejected, rejected)


def _table_of(
    data: bytes, layout: Layout, names: Sequence[str], types: Mapping[str, pa.DataType]
) -> pa.Table | None:
    """Return columns of the types that pyarrow finds; None where anything is wrong with any row."""
    try:
        text = data if layout.charset.is_utf8 else layout.charset.utf8(data)
        if has_lone_returns(text):
            return None
        table = read_columns(text, layout, types, names)
    except (pa.ArrowInvalid, UnicodeDecodeError):
        return None
    # What is not UTF-8 is read as binary.
    return None if any(pa.types.is_binary(field.type) for field in table.schema) else table


def numbers_as_text(data: bytes, layout: Layout, table: pa.Table) -> dict[str, pa.Array]:
    """Return those columns of numbers as text of which the numbers do not tell everything."""
    numbers = [
        field.name
        for field in table.schema
        if pa.types.is_integer(field.type) or pa.types.is_floating(field.type)
    ]
    if numbers and not has_padding(data, layout.dialect.delimiter):
        numbers = [name for name in numbers if is_suspicious(array_of(table, name))]
    if not numbers:
        return {}
    text = data if layout.charset.is_utf8 else layout.charset.utf8(data)
    again = read_columns(text, layout, dict.fromkeys(numbers, pa.string()), numbers)
    return {name: array_of(again, name) for name in numbers}
