"""What a text format has to know how to do with a block of whole records; all of it in threads."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from haulyard.ingest.model import ConvergedLaterError
from haulyard.ingest.text.profile import types_of
from haulyard.ingest.text.widening import widened

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

    from haulyard.ingest.text.layout import Parsed
    from haulyard.ingest.text.profile import TextProfile


class Typed(NamedTuple):
    """A block in types that hold all its values."""

    parsed: Parsed
    schema: pa.Schema


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
    schema = _types(form, data)
    return Typed(form.parse(data, schema), schema)


def parse_widening(form: Form, data: bytes, schema: pa.Schema) -> Typed:
    """Parse a block with the types of ``schema``, or wider ones where its values need them.

    Raises:
        ConvergedLaterError: No types hold both what ``schema`` did and this block, without loss.
    """
    parsed = form.parse(data, schema)
    if parsed.misfits:
        schema = agreed(schema, _types(form, data))
        parsed = form.parse(data, schema)
    if form.is_lossy(data, parsed):
        raise ConvergedLaterError
    return Typed(parsed, schema)


def agreed(one: pa.Schema, other: pa.Schema) -> pa.Schema:
    """Return the types that hold the values of both.

    Raises:
        ConvergedLaterError: There are none, or something would be lost.
    """
    both = widened(one, other)
    if both is None:
        raise ConvergedLaterError
    return both


def _types(form: Form, data: bytes) -> pa.Schema:
    """Return the types that hold all values of a block.

    Raises:
        ConvergedLaterError: Nearly all values of a column are of one type: those of all rows have to say
            whether it is the type of the column, which the few others do not fit.
    """
    profile = form.profile(data, {})
    schema = types_of(profile, 1.0)
    if schema != types_of(profile):
        raise ConvergedLaterError
    return schema
