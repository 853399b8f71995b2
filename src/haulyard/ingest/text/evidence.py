"""What the values of a column say about its type: counted block by block, merged over files."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import isinf
from typing import TYPE_CHECKING, Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from haulyard.ingest.literals import double, integer, truth
from haulyard.ingest.text.dates import WAYS, dates
from haulyard.ingest.text.digits import NO_DIGITS, Digits, digits_needed, digits_written, loses_digits
from haulyard.ingest.text.values import as_type
from haulyard.ingest.text.widening import joined

if TYPE_CHECKING:
    from collections.abc import Mapping

#: The kinds of values that are counted, with the types of their columns; of kinds that fit as well as each
#: other, the first is chosen.
KINDS: Final[Mapping[str, pa.DataType]] = {
    "YYYYMMDD": pa.date32(),
    "int": pa.int64(),
    "double": pa.float64(),
    "bool": pa.bool_(),
    "date": pa.date32(),
    **dict.fromkeys(WAYS, pa.date32()),
    "timestamp": pa.timestamp("us"),
    "timestamp[ns]": pa.timestamp("ns"),
    "zoned": pa.timestamp("us", "UTC"),
    "zoned[ns]": pa.timestamp("ns", "UTC"),
    "time": pa.time64("us"),
}
#: A kind that fits fewer than this part of so many values is not looked for any longer.
HOPELESS: Final = 0.9
_ENOUGH: Final = 1000
#: Doubles hold all whole numbers below this.
_EXACT: Final = 2.0**53
#: Of a column of text so many values are looked at first.
_SAMPLE: Final = 100
_BEYOND: Final = double(2.0**63)
_PADDED: Final = r"\A[ \t]*0[0-9xX]"
_BEGUN: Final = r"\A[ \t]*[+-]?\.?[0-9]"
_LONG: Final = r"\A[ \t]*[+-]?[0-9]{16,}[ \t]*\z"
#: Numbers that may be infinite for a double: 1e400.
_LARGE: Final = r"\A[ \t]*[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)[eE]\+?[0-9]{3,}[ \t]*\z"
_TRUE: Final = truth(True)  # noqa: FBT003 -- the value
_NONE: Final = integer(0, pa.int64())
#: Days as eight digits.
_DAYS: Final = (19_000_101, 20_991_231)


class Misfit(NamedTuple):
    """The first value met in a column that is not of some kind, and the file that has it."""

    uri: str
    value: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the values of a column are: how many, how many nulls, and how many are of each of `KINDS`.

    A kind that soon turned out not to fit is not counted to the end. ``padded`` counts numbers with zeros
    before them, ``beyond`` whole numbers that a double holds only roughly, those beyond int64 among them, and
    what overflows it: as doubles they would not be what they were. ``is_lossy`` says that doubles would lose
    digits of some, ``digits`` how many digits a decimal must have. ``misfits`` has the first value that is
    not of a kind. ``found`` is the type of what is nested in JSON.
    """

    values: int = 0
    nulls: int = 0
    fits: Mapping[str, int] = field(default_factory=dict)
    padded: int = 0
    beyond: int = 0
    is_lossy: bool = False
    digits: Digits = NO_DIGITS
    misfits: Mapping[str, Misfit] = field(default_factory=dict)
    found: pa.DataType | None = None

    def hopeful(self) -> list[str]:
        """Return the kinds that are worth being looked for."""
        if self.values < _ENOUGH:
            return list(KINDS)
        return [kind for kind, count in self.fits.items() if count >= HOPELESS * self.values]


NOTHING: Final = Evidence()


def merged(one: Evidence, other: Evidence) -> Evidence:
    """Return the evidence of both together."""
    fits = dict(one.fits)
    for kind, count in other.fits.items():
        fits[kind] = fits.get(kind, 0) + count
    return Evidence(
        one.values + other.values,
        one.nulls + other.nulls,
        fits,
        one.padded + other.padded,
        one.beyond + other.beyond,
        one.is_lossy or other.is_lossy,
        Digits(*map(max, one.digits, other.digits)),
        {**other.misfits, **one.misfits},
        joined(one.found, other.found),
    )


def evidence_of(column: pa.Array, texts: pa.Array | None, hopeful: list[str], uri: str) -> Evidence:
    """Return what a column of a block says that pyarrow has found a type for.

    ``texts`` are its values as they stand in the file, where they have to be looked at (`is_suspicious`).
    """
    values = len(column) - column.null_count
    seen = Evidence(values, column.null_count)
    if not values:
        return seen
    kind = column.type
    if pa.types.is_string(kind):
        return _told_by_texts(column, hopeful, seen, uri)
    fits = dict.fromkeys(_kinds_of(column), values)
    if texts is None:
        digits = digits_needed(column) if is_number(kind) else NO_DIGITS
        return replace(seen, fits=fits, beyond=rough_in(column), digits=digits)
    if pa.types.is_integer(kind) and _may_be_days(column):
        fits["YYYYMMDD"] = values - dates(texts, "YYYYMMDD")[1].true_count
    return replace(
        seen,
        fits=fits,
        padded=padded_in(texts),
        beyond=beyond_in(texts) if pa.types.is_floating(kind) else rough_in(column),
        is_lossy=pa.types.is_floating(kind) and loses_digits(column, texts),
        digits=digits_written(texts),
    )


def padded_in(texts: pa.Array) -> int:
    """Return how many numbers have zeros before them: 007, 00501, 0x10."""
    return int(pc.match_substring_regex(texts, _PADDED).true_count)


def beyond_in(texts: pa.Array) -> int:
    """Return how many whole numbers are longer than what a double holds exactly, and how many overflow it."""
    large = texts.filter(pc.match_substring_regex(texts, _LARGE)).drop_null().to_pylist()
    return int(pc.match_substring_regex(texts, _LONG).true_count) + sum(isinf(float(text)) for text in large)


def rough_in(column: pa.Array) -> int:
    """Return how many whole numbers of a column a double holds only roughly.

    They are integers as long as no block has a fraction; the file that does may be another.
    """
    if not pa.types.is_integer(column.type):
        return 0
    extremes = pc.min_max(column)
    if max(-(extremes["min"].as_py() or 0), extremes["max"].as_py() or 0) <= _EXACT:
        return 0
    doubles = column.cast(pa.float64(), safe=False)
    # What is rounded to 2**63 is no int64.
    back = doubles.cast(pa.int64(), safe=False)
    is_kept = pc.and_(pc.equal(back, column), pc.less(doubles, _BEYOND))
    return int(len(column) - column.null_count - is_kept.true_count)


def is_number(kind: pa.DataType) -> bool:
    """Whether a type is one of numbers."""
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def is_suspicious(column: pa.Array) -> bool:
    """Whether numbers have to be looked at as they stand in the file, whatever stands before them."""
    if pa.types.is_integer(column.type):
        return _may_be_days(column)
    if pa.types.is_floating(column.type):
        extremes = pc.min_max(column)
        return max(-(extremes["min"].as_py() or 0), extremes["max"].as_py() or 0) >= _EXACT
    return False


def _may_be_days(column: pa.Array) -> bool:
    # One that is no day spares looking at all of them.
    some = column[0].as_py() if len(column) else None
    if some is not None and not _DAYS[0] <= some <= _DAYS[1]:
        return False
    extremes = pc.min_max(column)
    least, most = extremes["min"].as_py(), extremes["max"].as_py()
    return least is not None and _DAYS[0] <= least and most <= _DAYS[1]


def _kinds_of(column: pa.Array) -> list[str]:
    kind, is_ = column.type, pa.types
    kinds: list[str] = []
    if is_.is_integer(kind):
        extremes = pc.min_max(column)
        is_truth = extremes["min"].as_py() >= 0 and extremes["max"].as_py() <= 1
        kinds = ["int", "double", "bool"] if is_truth else ["int", "double"]
    elif is_.is_floating(kind):
        kinds = ["double"]
    elif is_.is_boolean(kind):
        kinds = ["bool"]
    elif is_.is_date(kind):
        kinds = ["date", "timestamp", "timestamp[ns]"]
    elif is_.is_time(kind):
        kinds = ["time"]
    elif is_.is_timestamp(kind):
        name = "zoned" if kind.tz else "timestamp"
        kinds = [f"{name}[ns]"] if _has_nanoseconds(column) else [name, f"{name}[ns]"]
    return kinds


def _has_nanoseconds(column: pa.Array) -> bool:
    if column.type.unit != "ns":
        return False
    return bool(pc.any(pc.not_equal(pc.nanosecond(column), _NONE)).as_py())


def _told_by_texts(texts: pa.Array, hopeful: list[str], seen: Evidence, uri: str) -> Evidence:
    if not hopeful:
        return seen
    encoded = texts.dictionary_encode()
    distinct = encoded.dictionary
    fits: dict[str, int] = {}
    misfits: dict[str, Misfit] = {}
    for kind in _promising(distinct, hopeful):
        wrong = _wrong(distinct, kind)
        bad = wrong.take(encoded.indices)
        count = bad.true_count
        fits[kind] = seen.values - count
        if count:
            at = pc.index(bad, _TRUE).as_py()
            misfits[kind] = Misfit(uri, (texts[at].as_py() or "")[:100])
    seen = replace(seen, fits=fits, misfits=misfits)
    if fits.get("int") or fits.get("double"):
        seen = replace(seen, padded=padded_in(texts))
    if fits.get("double"):
        doubles, wrong = as_type(texts, pa.float64())
        doubles, texts = (each.filter(pc.invert(wrong)) for each in (doubles, texts))
        seen = replace(
            seen,
            beyond=beyond_in(texts),
            is_lossy=loses_digits(doubles, texts),
            digits=digits_written(texts),
        )
    return seen


def _promising(distinct: pa.Array, kinds: list[str]) -> list[str]:
    """Return those kinds that half of a few values from all over the block are of."""
    sample = distinct.take(pa.arange(0, len(distinct), max(len(distinct) // _SAMPLE, 1)))
    if 2 * pc.match_substring_regex(sample, _BEGUN).true_count < len(sample):
        kinds = [kind for kind in kinds if kind == "bool"]  # all others begin with a digit
    return [kind for kind in kinds if 2 * _wrong(sample, kind).true_count <= len(sample)]


def _wrong(texts: pa.Array, kind: str) -> pa.Array:
    """Tell which texts are not of a kind."""
    return dates(texts, kind)[1] if kind in WAYS else as_type(texts, KINDS[kind])[1]
