"""Columns that became text although most of their values are of another type: people want to know of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from haulyard.ingest.text.evidence import HOPELESS, Evidence
from haulyard.ingest.text.profile import kind_of, type_of
from haulyard.ingest.type_names import type_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from haulyard.ingest.text.profile import TextProfile


def doubtful(profile: TextProfile, schema: pa.Schema) -> Mapping[str, Evidence]:
    """Return what is known of the columns that ``schema`` makes text, and nine in ten values do not."""
    return {
        name: evidence
        for name, evidence in profile.columns.items()
        if evidence.fits and pa.types.is_string(schema.field(name).type) and _nearly(evidence) is not None
    }


def doubt_told(name: str, evidence: Evidence, *, is_all: bool) -> str:
    """Return what is to be said of such a column; ``is_all``: ``evidence`` is of all of its values."""
    kind = kind_of(evidence, HOPELESS) or ""
    found = _nearly(evidence)
    looked_at = "" if is_all else " that were looked at"
    text = (
        f"column {name!r} is text: of {evidence.values:,} values{looked_at} "
        f"{evidence.fits[kind]:,} are {type_name(found or pa.string())}"
    )
    misfit = evidence.misfits.get(kind)
    return (
        text if misfit is None else f"{text}, and {misfit.value!r} in {misfit.uri} is the first that is not"
    )


def _nearly(evidence: Evidence) -> pa.DataType | None:
    """Return the type of nine in ten values; None where that is text, or all are of that type.

    Numbers with zeros before them and dates with the day or the month first are text for another reason.
    """
    kind = kind_of(evidence, HOPELESS)
    if kind is None or kind == "nested" or evidence.fits[kind] == evidence.values:
        return None
    found = type_of(evidence, HOPELESS)
    return None if pa.types.is_string(found) else found
