"""Dates that are not written as ISO has them."""

from __future__ import annotations

from typing import Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from haulyard.ingest.literals import null
from haulyard.ingest.text.values import as_type

_MONTHS: Final = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")


class _Way(NamedTuple):
    """How a date is written, and what makes ISO of it; days and months may come out with a zero too many."""

    pattern: str
    iso: str


#: The ways that are known, by the name that people read.
WAYS: Final = {
    "DD/MM/YYYY": _Way(r"\A([0-9]{1,2})/([0-9]{1,2})/([0-9]{4})\z", r"\3-0\2-0\1"),
    "MM/DD/YYYY": _Way(r"\A([0-9]{1,2})/([0-9]{1,2})/([0-9]{4})\z", r"\3-0\1-0\2"),
    "DD.MM.YYYY": _Way(r"\A([0-9]{1,2})\.([0-9]{1,2})\.([0-9]{4})\z", r"\3-0\2-0\1"),
    "DD-MM-YYYY": _Way(r"\A([0-9]{1,2})-([0-9]{1,2})-([0-9]{4})\z", r"\3-0\2-0\1"),
    "MM-DD-YYYY": _Way(r"\A([0-9]{1,2})-([0-9]{1,2})-([0-9]{4})\z", r"\3-0\1-0\2"),
    "YYYY/MM/DD": _Way(r"\A([0-9]{4})/([0-9]{1,2})/([0-9]{1,2})\z", r"\1-0\2-0\3"),
    "YYYYMMDD": _Way(r"\A((?:19|20)[0-9]{2})([0-9]{2})([0-9]{2})\z", r"\1-0\2-0\3"),
    "DD-Mon-YYYY": _Way(r"\A([0-9]{1,2})-([A-Za-z]{3})-([0-9]{4})\z", r"\3-\2-0\1"),
}


def other_way(way: str) -> str:
    """Return the way in which the month and the day have changed places; it need not be known."""
    return way.translate(str.maketrans("DM", "MD"))


def decides(texts: pa.Array, way: str) -> bool:
    """Whether more texts are dates in a way of `WAYS` than in its `other_way`, or fewer.

    What is no text is decided already: by a block that was parsed while another found nothing but doubt.
    """
    if not (pa.types.is_string(texts.type) or pa.types.is_large_string(texts.type)):
        return not pa.types.is_null(texts.type)
    distinct = texts.dictionary_encode().dictionary
    return bool(dates(distinct, way)[1].true_count != dates(distinct, other_way(way))[1].true_count)


def dates(texts: pa.Array, way: str) -> tuple[pa.Array, pa.Array]:
    """Return texts written in a way of `WAYS` as date32, null where they are not; and which are not."""
    encoded = texts.dictionary_encode()
    trimmed = pc.utf8_trim_whitespace(encoded.dictionary)
    pattern, iso = WAYS[way]
    written = pc.if_else(pc.match_substring_regex(trimmed, pattern), trimmed, null(trimmed.type))
    written = pc.replace_substring_regex(written, pattern, iso)
    if "Mon" in way:
        written = pc.utf8_upper(written)
        for number, month in enumerate(_MONTHS, 1):
            written = pc.replace_substring(written, f"-{month}-", f"-0{number}-")
    written = pc.replace_substring_regex(written, r"-0([0-9]{2})", r"-\1")
    found, _ = as_type(written, pa.date32())
    values = found.take(encoded.indices)
    return values, pc.and_(values.is_null(), texts.is_valid())
