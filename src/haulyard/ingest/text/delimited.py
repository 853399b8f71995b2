"""CSV and TSV: what is done with a block of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from haulyard.ingest.text.arrow_csv import parse
from haulyard.ingest.text.csv_profile import numbers_as_text, profile_block
from haulyard.ingest.text.dates import WAYS
from haulyard.ingest.text.digits import loses_digits
from haulyard.ingest.text.evidence import KINDS, beyond_in, padded_in
from haulyard.ingest.text.layout import FORMAT, format_of
from haulyard.ingest.text.profile import likeliest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from haulyard.ingest.text.layout import Layout, Parsed
    from haulyard.ingest.text.profile import TextProfile


def with_ways(schema: pa.Schema, head: bytes, layout: Layout) -> pa.Schema:
    """Return a schema that says how its dates are written in a file that begins with the records ``head``.

    A schema that someone wrote says that a column has dates, and seldom how. What may have the day or the
    month first is left alone: it is for people to say.
    """
    ways = ["date", *WAYS]
    asked = {
        field.name: ways
        for field in schema
        if pa.types.is_date32(field.type) and not format_of(field) and field.name in layout.names
    }
    if not asked or not head:
        return schema
    found = profile_block(head, layout, asked, as_text=True)
    for name, evidence in found.columns.items():
        kind = likeliest(evidence)
        if kind in WAYS:
            at = schema.get_field_index(name)
            schema = schema.set(at, schema.field(at).with_metadata({FORMAT: kind.encode()}))
    return schema


class DelimitedForm:
    """Rows of fields between delimiters."""

    def __init__(self, layout: Layout, wanted: tuple[str, ...] | None) -> None:
        self._layout = layout
        names = layout.names if wanted is None else wanted
        self.names = tuple(name for name in names if name in layout.names)

    def parse(self, data: bytes, schema: pa.Schema) -> Parsed:
        """Return a block as the columns of ``schema``, and the rows that do not fit it."""
        return parse(data, self._layout, schema)

    def is_lossy(self, data: bytes, parsed: Parsed) -> bool:
        """Whether numbers were written with zeros before them, or with digits that a double loses."""
        for name, texts in numbers_as_text(data, self._layout, parsed.batch).items():
            numbers = parsed.batch[name]
            is_double = pa.types.is_floating(numbers.type)
            if padded_in(texts) or (is_double and (beyond_in(texts) or loses_digits(numbers, texts))):
                return True
        return False

    def profile(self, data: bytes, hopeful: Mapping[str, list[str]]) -> TextProfile:
        """Return what a block says of the columns."""
        kinds = {name: hopeful.get(name, list(KINDS)) for name in self.names}
        return profile_block(data, self._layout, kinds)
