"""CSV and TSV: what is done with a block of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from haulyard.ingest.text.arrow_csv import parse
from haulyard.ingest.text.csv_profile import numbers_as_text, profile_block
from haulyard.ingest.text.evidence import KINDS, beyond_in, padded_in

if TYPE_CHECKING:
    from collections.abc import Mapping

    from haulyard.ingest.text.layout import Layout, Parsed
    from haulyard.ingest.text.profile import TextProfile


class DelimitedForm:
    """Rows of fields between delimiters."""

    def __init__(self, layout: Layout, wanted: tuple[str, ...] | None) -> None:
        self._layout = layout
        self.names = tuple(name for name in wanted or layout.names if name in layout.names)

    def parse(self, data: bytes, schema: pa.Schema) -> Parsed:
        """Return a block as the columns of ``schema``, and the rows that do not fit it."""
        return parse(data, self._layout, schema)

    def is_lossy(self, data: bytes, parsed: Parsed) -> bool:
        """Whether numbers were written with zeros before them, or are longer than a double is exact."""
        texts = numbers_as_text(data, self._layout, parsed.batch)
        return any(
            padded_in(text) or (pa.types.is_floating(parsed.batch[name].type) and beyond_in(text))
            for name, text in texts.items()
        )

    def profile(self, data: bytes, hopeful: Mapping[str, list[str]]) -> TextProfile:
        """Return what a block says of the columns."""
        kinds = {name: hopeful.get(name, list(KINDS)) for name in self.names}
        return profile_block(data, self._layout, kinds)
