"""Arrow into JSON objects, column by column and mostly without Python's lock.

flights.csv as Parquet, 336,776 rows of 19 columns, takes 0.9 s; to_pylist with orjson takes 5.9. Times are
ISO 8601, those with a zone in UTC; NaN and infinities are null, decimals strings, durations whole numbers of
their unit, binary is base64.
"""

# pyarrow has no types.
# ruff: noqa: ANN401
from __future__ import annotations

from base64 import b64encode
from functools import cached_property
from importlib import import_module
from typing import Any, Final

import orjson

#: What JSON must not have in a string.
_UNSAFE: Final = r'[\x00-\x1f"\\]'


class ArrowJson:
    """Makes JSON of Arrow's arrays; pyarrow, which need not be installed, is imported with the first one."""

    @cached_property
    def _arrow(self) -> Any:
        return import_module("pyarrow")

    @cached_property
    def _compute(self) -> Any:
        return import_module("pyarrow.compute")

    def rows(self, batch: Any) -> list[bytes]:
        """Return the rows of a record batch as JSON objects."""
        if not batch.num_columns:
            return [b"{}"] * batch.num_rows
        return [row.encode() for row in self._objects(batch.schema.names, batch.columns).to_pylist()]

    def _objects(self, names: list[str], columns: list[Any]) -> Any:
        pieces: list[Any] = []
        for name, column in zip(names, columns, strict=True):
            pieces += ["," if pieces else "{", f"{orjson.dumps(name).decode()}:", self._tokens(column)]
        return self._joined(*pieces, "}")

    def _tokens(self, column: Any) -> Any:
        """Return the JSON of each value of a column."""
        is_, kind = self._arrow.types, column.type
        if isinstance(kind, self._arrow.BaseExtensionType):
            return self._tokens(column.storage)
        if is_.is_dictionary(kind):
            return self._tokens(column.dictionary_decode())
        if is_.is_fixed_size_list(kind):
            return self._tokens(column.cast(self._arrow.list_(kind.value_type)))
        if is_.is_duration(kind):
            return self._tokens(column.cast(self._arrow.int64()))
        tokens = self._nested(column) if is_.is_nested(kind) else self._scalars(column)
        return self._compute.coalesce(tokens, self._literal("null"))

    def _scalars(self, column: Any) -> Any:
        is_, kind = self._arrow.types, column.type
        if is_.is_integer(kind) or is_.is_boolean(kind) or is_.is_null(kind):
            return self._texts(column)
        if is_.is_floating(kind):
            return self._floats(column)
        if is_.is_string(kind) or is_.is_large_string(kind) or is_.is_string_view(kind):
            return self._strings(self._texts(column))
        if is_.is_temporal(kind) or is_.is_decimal(kind):
            return self._joined('"', self._times(column), '"')
        return self._each(column)

    def _nested(self, column: Any) -> Any:
        is_, kind = self._arrow.types, column.type
        if is_.is_struct(kind):
            names = [kind.field(index).name for index in range(kind.num_fields)]
            tokens = self._objects(names, column.flatten()) if names else self._repeated("{}", len(column))
        elif is_.is_map(kind):
            pairs = self._joined(self._keys(column.keys), ":", self._tokens(column.items))
            tokens = self._joined("{", self._lists(column.offsets, pairs), "}")
        elif is_.is_list(kind) or is_.is_large_list(kind):
            tokens = self._joined("[", self._lists(column.offsets, self._tokens(column.values)), "]")
        else:
            return self._each(column)
        return self._compute.if_else(column.is_valid(), tokens, self._literal(None))

    def _lists(self, offsets: Any, tokens: Any) -> Any:
        """Return the elements of each list, joined by commas."""
        lists = self._arrow.ListArray.from_arrays(offsets.cast(self._arrow.int32()), tokens)
        return self._compute.binary_join(lists, self._literal(","))

    def _keys(self, keys: Any) -> Any:
        if self._arrow.types.is_string(keys.type) or self._arrow.types.is_large_string(keys.type):
            return self._tokens(keys)
        tokens = self._tokens(keys)
        quoted = self._joined('"', tokens, '"')
        return self._compute.if_else(self._compute.starts_with(tokens, '"'), tokens, quoted)

    def _floats(self, column: Any) -> Any:
        if column.type == self._arrow.float16():
            column = column.cast(self._arrow.float32())
        nothing = self._arrow.scalar(None, column.type)
        finite = self._texts(self._compute.if_else(self._compute.is_finite(column), column, nothing))
        # A whole number stays a float to those who read it.
        return self._compute.replace_substring_regex(finite, r"^(-?\d+)$", r"\1.0")

    def _strings(self, texts: Any) -> Any:
        unsafe = self._compute.any(self._compute.match_substring_regex(texts, _UNSAFE))
        return self._each(texts) if unsafe.as_py() else self._joined('"', texts, '"')

    def _times(self, column: Any) -> Any:
        is_, kind = self._arrow.types, column.type
        if is_.is_timestamp(kind) and kind.tz:
            column = column.cast(self._arrow.timestamp(kind.unit, "UTC"))
        texts = self._texts(column)
        if is_.is_date(kind) or is_.is_decimal(kind):
            return texts
        texts = self._compute.replace_substring(texts, " ", "T", max_replacements=1)
        return self._compute.replace_substring_regex(texts, r"\.0+(Z?)$", r"\1")

    def _each(self, column: Any) -> Any:
        """Return the JSON of binary and rare values, and of strings with escapes, one at a time."""
        values = [
            None if value is None else orjson.dumps(value, _plain).decode() for value in column.to_pylist()
        ]
        return self._arrow.array(values, self._arrow.large_string())

    def _texts(self, column: Any) -> Any:
        return column.cast(self._arrow.large_string())

    def _joined(self, *pieces: Any) -> Any:
        literals = [self._literal(piece) if isinstance(piece, str) else piece for piece in pieces]
        return self._compute.binary_join_element_wise(*literals, self._literal(""))

    def _repeated(self, text: str, count: int) -> Any:
        return self._arrow.repeat(self._literal(text), count)

    def _literal(self, text: str | None) -> Any:
        return self._arrow.scalar(text, self._arrow.large_string())


def _plain(value: object) -> object:
    """Return what orjson can write, for what it cannot."""
    return b64encode(value).decode() if isinstance(value, bytes) else str(value)
