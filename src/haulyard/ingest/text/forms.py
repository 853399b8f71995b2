"""What a text format has to know how to do with a block of whole records; all of it in threads."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, Protocol

from haulyard.ingest.model import ConvergedLaterError
from haulyard.ingest.text.dates import decides
from haulyard.ingest.text.doubts import doubtful
from haulyard.ingest.text.profile import types_of, undecided_way
from haulyard.ingest.text.values import array_of
from haulyard.ingest.text.widening import widened

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

    from haulyard.ingest.text.evidence import Evidence
    from haulyard.ingest.text.layout import Parsed
    from haulyard.ingest.text.profile import TextProfile


class Typed(NamedTuple):
    """A block in types that hold all its values.

    ``undecided`` are columns of dates that may have the day or the month first, with one way to write them,
    ``doubts`` columns that became text here although most values are of another type.
    """

    parsed: Parsed
    schema: pa.Schema
    undecided: Mapping[str, str] = MappingProxyType({})
    doubts: Mapping[str, Evidence] = MappingProxyType({})


class Form(Protocol):
    """One file's way of writing rows; ``names`` are the columns that are wanted of it, as far as known."""

    names: tuple[str, ...]

    def parse(self, data: bytes, schema: pa.Schema) -> Parsed:
        """Return a block as the columns of ``schema``, and the rows that do not fit it."""
        ...

    def is_lossy(self, data: bytes, parsed: Parsed) -> bool:
        """Whether values of a block lost something in its types, for all that they fit them."""
        ...

    def profile(self, data: bytes, hopeful: Mapping[str, list[str]]) -> TextProfile:
        """Return what a block says of the columns.

        ``hopeful`` has the kinds of values to look for, all where a column is not in it.
        """
        ...


def parse_first(form: Form, data: bytes) -> Typed:
    """Parse a file's first block, and find types that hold all its values. Raises as `parse_widening`."""
    schema, undecided, doubts = _types(form, data)
    return Typed(form.parse(data, schema), schema, undecided, doubts)


def parse_widening(form: Form, data: bytes, schema: pa.Schema, undecided: Mapping[str, str]) -> Typed:
    """Parse a block with the types of ``schema``, or wider ones where its values need them.

    Raises:
        ConvergedLaterError: No types hold both what ``schema`` did and this block, without loss; or it tells
            whether dates of columns that were ``undecided`` have the day first.
    """
    parsed = form.parse(data, schema)
    doubts: Mapping[str, Evidence] = {}
    if parsed.misfits:
        found, more, doubts = _types(form, data)
        schema = agreed(schema, found)
        undecided = {**more, **undecided}
        parsed = form.parse(data, schema)
    batch = parsed.batch
    if form.is_lossy(data, parsed) or any(
        decides(array_of(batch, name), way) for name, way in undecided.items()
    ):
        raise ConvergedLaterError
    return Typed(parsed, schema, undecided, doubts)


def agreed(one: pa.Schema, other: pa.Schema) -> pa.Schema:
    """Return the types that hold the values of both.

    Raises:
        ConvergedLaterError: There are none, or something would be lost.
    """
    both = widened(one, other)
    if both is None:
        raise ConvergedLaterError
    return both


def _types(form: Form, data: bytes) -> tuple[pa.Schema, dict[str, str], Mapping[str, Evidence]]:
    """Return the types that hold all values of a block, its undecided and its doubtful columns.

    Raises:
        ConvergedLaterError: Nearly all values of a column are of one type: those of all rows have to say
            whether it is the type of the column, which the few others do not fit.
    """
    profile = form.profile(data, {})
    schema = types_of(profile, 1.0)
    if schema != types_of(profile):
        raise ConvergedLaterError
    ways = {name: undecided_way(evidence) for name, evidence in profile.columns.items()}
    return schema, {name: way for name, way in ways.items() if way}, doubtful(profile, schema)
