"""Types found while a file is read: those of its first block, and wider ones as they are needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import pyarrow as pa

from haulyard.ingest.model import ConvergedLaterError
from haulyard.ingest.text.arrow_csv import parse
from haulyard.ingest.text.cutting import RecordEnds
from haulyard.ingest.text.evidence import KINDS, beyond_in, padded_in
from haulyard.ingest.text.profile import numbers_as_text, profile_block, types_of
from haulyard.ingest.text.widening import widened

if TYPE_CHECKING:
    from collections.abc import Sequence

    from haulyard.ingest.text.layout import Layout, Parsed


#: Bytes of a file's beginning whose types are tried first.
_HEAD: Final = 256 * 1024


class Typed(NamedTuple):
    """A block in types that hold all its values."""

    parsed: Parsed
    schema: pa.Schema


def parse_first(data: bytes, layout: Layout, names: Sequence[str]) -> Typed:
    """Parse a file's first block, and find types that hold all its values in the columns ``names``."""
    # Mostly the first rows tell all.
    head = data[: RecordEnds(layout.dialect).last(data[:_HEAD])] or data
    try:
        return parse_widening(data, layout, _types(head, layout, names))
    except ConvergedLaterError:
        schema = _types(data, layout, names)
        return Typed(parse(data, layout, schema), schema)


def parse_widening(data: bytes, layout: Layout, schema: pa.Schema) -> Typed:
    """Parse a block with the types of ``schema``, or wider ones where its values need them.

    Raises:
        ConvergedLaterError: No types hold both what ``schema`` did and this block, without loss.
    """
    parsed = parse(data, layout, schema)
    if parsed.misfits:
        schema = agreed(schema, _types(data, layout, schema.names))
        parsed = parse(data, layout, schema)
    texts = numbers_as_text(data, layout, pa.Table.from_batches([parsed.batch]))
    for name, text in texts.items():
        if padded_in(text) or (pa.types.is_floating(schema.field(name).type) and beyond_in(text)):
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


def _types(data: bytes, layout: Layout, names: Sequence[str]) -> pa.Schema:
    """Return the types that hold all values of a block."""
    hopeful = {name: list(KINDS) for name in names}
    return types_of(profile_block(data, layout, names, hopeful, 1), 1.0)
