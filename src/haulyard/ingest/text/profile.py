"""A whole file looked at, to find what types its columns have."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pyarrow as pa

from haulyard.ingest.text.dates import WAYS, other_way
from haulyard.ingest.text.digits import MOST
from haulyard.ingest.text.evidence import HOPELESS, KINDS, NOTHING, Evidence, merged
from haulyard.ingest.text.layout import FORMAT
from haulyard.ingest.text.widening import has_doubles

if TYPE_CHECKING:
    from collections.abc import Mapping


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

    Text is what nothing fits, what has zeros before numbers, whole numbers beyond int64, and dates that may
    be meant with the day or the month first. Numbers with a point of which doubles would lose digits are
    decimals; they are text too where decimals have fewer digits, or one is written with an exponent. A field
    says in its metadata (`FORMAT`) how dates are written that are not ISO. Columns without values are of type
    null.
    """
    return pa.schema(_field(name, evidence, share) for name, evidence in profile.columns.items())


def undecided_way(evidence: Evidence) -> str:
    """Return how dates are written of which nobody knows what is the day and what the month; else ``""``."""
    kind = kind_of(evidence, HOPELESS)
    return kind if kind in WAYS and other_way(kind) in WAYS and _tied(evidence, kind) else ""


def likeliest(evidence: Evidence) -> str | None:
    """Return the kind that fits most values; None where none does, or the day may be the month."""
    kind = kind_of(evidence, 0.0)
    return None if kind in WAYS and _tied(evidence, kind) else kind


def type_of(evidence: Evidence, share: float) -> pa.DataType:
    """Return the type of a column of which ``share`` of the values have to fit it."""
    return _field("", evidence, share).type


def _field(name: str, evidence: Evidence, share: float) -> pa.Field:
    kind = kind_of(evidence, share)
    if not evidence.values:
        found = pa.null()
    elif kind is None or (kind in WAYS and _tied(evidence, kind)):
        found = pa.string()
    elif kind == "nested":
        is_kept = not (evidence.beyond and has_doubles(evidence.found))
        found = evidence.found if is_kept else pa.string()
    elif kind in {"int", "double"}:
        found = _number(evidence, KINDS[kind])
    else:
        return pa.field(name, KINDS[kind], metadata={FORMAT: kind.encode()} if kind in WAYS else None)
    return pa.field(name, found)


def _number(evidence: Evidence, kind: pa.DataType) -> pa.DataType:
    """Return the type that keeps all of what numbers are: ``kind``, or else a decimal, or else text."""
    digits = sum(evidence.digits)
    fraction = evidence.digits.fraction
    if evidence.padded:
        return pa.string()
    # Where there is a fraction more values are doubles than integers.
    if pa.types.is_integer(kind) or not (evidence.is_lossy or evidence.beyond):
        return kind
    return pa.decimal128(digits, fraction) if fraction and digits <= MOST else pa.string()


def kind_of(evidence: Evidence, share: float) -> str | None:
    """Return the kind that fits most values, and ``share`` of them at least; None where none does."""
    order = [*KINDS, "nested"]
    fits = [(count, -order.index(kind), kind) for kind, count in evidence.fits.items()]
    count, _, kind = max(fits, default=(0, 0, None))
    return kind if count and count >= share * evidence.values else None


def _tied(evidence: Evidence, kind: str) -> bool:
    return evidence.fits.get(other_way(kind), 0) == evidence.fits[kind]
