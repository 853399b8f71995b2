"""Batches made what is wanted: with partitions, of the types of the table, filtered, in order."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from haulyard.errors import IngestError
from haulyard.ingest.casting import cast
from haulyard.ingest.partitions import partition_value

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa

    from haulyard.ingest.model import Reject, SourceFile
    from haulyard.ingest.where import Condition, Filter


class Conformed(NamedTuple):
    """What became of a batch of ``rows`` rows."""

    batch: pa.RecordBatch
    rejects: Sequence[Reject]
    rows: int

    @property
    def filtered(self) -> int:
        """The good rows that the condition left out."""
        return self.rows - int(self.batch.num_rows) - len(self.rejects)


class Plan(NamedTuple):
    """What is read of Parquet files with the columns ``schema``, called ``names``, in one kind of path.

    ``columns`` are needed, in this order. ``can_prune`` says whether the condition's columns are of the
    types that the table has, so that statistics tell.
    """

    schema: pa.Schema
    names: tuple[str, ...]
    partitions: tuple[str, ...]
    columns: tuple[str, ...]
    condition: Filter | None
    can_prune: bool


class Shaper:
    """Makes what is wanted of the batches of all files; may be used by several threads.

    ``partitions`` are the types of the columns that paths give. ``schema`` are the columns to read, those of
    the condition among them, with the types of the table; None where they are taken as they come. ``columns``
    are those that are wanted in the end, all where None.
    """

    def __init__(
        self,
        partitions: Mapping[str, pa.DataType],
        condition: Condition | None = None,
        schema: pa.Schema | None = None,
        columns: Sequence[str] | None = None,
    ) -> None:
        self.partitions = partitions
        self.schema = schema
        self.columns = columns
        self._condition = condition
        self._filters: dict[pa.Schema, Filter] = {}
        self._last: Plan | None = None

    @staticmethod
    def with_needed(schema: pa.Schema, whole: pa.Schema, condition: Condition) -> pa.Schema:
        """Return ``schema`` with the columns of ``whole`` that only the condition looks at behind it."""
        import pyarrow as pa

        needed = condition.bind(whole).columns
        return pa.schema([*schema, *(whole.field(name) for name in needed if name not in schema.names)])

    def filter(self, schema: pa.Schema) -> Filter | None:
        """Return the condition for batches of a file's ``schema``, partitions included.

        Raises:
            ConfigError: The condition does not fit it.
        """
        if self._condition is None:
            return None
        schema = self.schema or schema
        found = self._filters.get(schema)
        if found is None:
            found = self._filters[schema] = self._condition.bind(schema)
        return found

    def plan(self, source: SourceFile, schema: pa.Schema) -> Plan:
        """Return what is read of a Parquet file; remembered, as mostly the next file is like the last.

        Raises:
            IngestError: Columns have the same name.
            ConfigError: The condition does not fit.
        """
        partitions = tuple(name for name, _ in source.partitions)
        last = self._last
        if last is None or last.partitions != partitions or not last.schema.equals(schema):
            last = self._last = self._planned(source, schema, partitions)
        return last

    def _planned(self, source: SourceFile, schema: pa.Schema, partitions: tuple[str, ...]) -> Plan:
        names = tuple(schema.names)
        if len(set(names)) < len(names):
            double = next(name for number, name in enumerate(names) if name in names[:number])
            raise IngestError(
                f"{source.uri} has several columns named {double!r}",
                hint="write it again with names of their own",
            )
        whole = self.extended(schema, source)
        condition = self.filter(whole)
        looked_at = () if condition is None else condition.columns
        if self.schema is not None:
            wanted = list(self.schema.names)
        else:
            wanted = [*(whole.names if self.columns is None else self.columns), *looked_at]
        own = set(names).difference(partitions)
        columns = tuple(dict.fromkeys(name for name in wanted if name in own))
        can_prune = self.schema is None or all(
            name in whole.names and whole.field(name).type == self.schema.field(name).type
            for name in looked_at
        )
        return Plan(schema, names, partitions, columns, condition, can_prune)

    def text_columns(self) -> tuple[str, ...] | None:
        """Return the columns of text that have to be parsed; None for all."""
        names = None if self._condition is None else self._condition.names
        if self.schema is not None or self.columns is None or (self._condition and names is None):
            return None
        return tuple(dict.fromkeys((*self.columns, *(names or ()))))

    def spelt(self, names: Sequence[str]) -> tuple[str, ...] | None:
        """Return what `text_columns` should be for a file with columns ``names``: case may differ in SQL.

        Raises:
            ConfigError: The condition names a column that does not exist.
        """
        wanted = self.text_columns()
        if wanted is None or self._condition is None:
            return wanted
        own = [*names, *(name for name in self.partitions if name not in names)]
        spelt = dict(zip(self._condition.names or (), self._condition.spelt(own), strict=False))
        return tuple(dict.fromkeys((*(self.columns or ()), *spelt.values())))

    def is_idle(self, source: SourceFile, schema: pa.Schema) -> bool:
        """Whether batches of ``schema`` are what is wanted as they are."""
        if self._condition is not None or source.partitions:
            return False
        wanted = self.schema is None or schema == self.schema
        return wanted and (self.columns is None or schema.names == list(self.columns))

    def extended(self, schema: pa.Schema, source: SourceFile) -> pa.Schema:
        """Return a file's schema with the columns that its path gives, which go before its own."""
        import pyarrow as pa

        names = {name for name, _ in source.partitions}
        added = [pa.field(name, kind) for name, kind in self.partitions.items() if name in names]
        return pa.schema([*(field for field in schema if field.name not in names), *added])

    def __call__(
        self, source: SourceFile, batch: pa.RecordBatch, first: int, encoded: frozenset[str] = frozenset()
    ) -> Conformed:
        """Make of a batch what is wanted; its first row is number ``first`` of the file, from 1.

        The columns ``encoded`` are strings that came as dictionaries, and are made strings when only the rows
        are left that are wanted.
        """
        import pyarrow as pa

        rows = batch.num_rows
        values = dict(source.partitions)
        if values and any(name in values for name in batch.schema.names):
            batch = batch.select([name for name in batch.schema.names if name not in values])
        plain = _plain_schema(batch.schema, encoded)
        for name, kind in self.partitions.items():
            if name in values:
                value = pa.scalar(partition_value(values[name], kind), kind)
                batch = batch.append_column(name, pa.repeat(value, rows))
                plain = plain.append(pa.field(name, kind))
        rejects: list[Reject] = []
        if self.schema is not None and plain != self.schema:
            batch = cast(_plain(batch, encoded), self.schema, source, first, rejects)
            encoded = frozenset()
        if condition := self.filter(plain):
            looked_at = encoded.intersection(condition.columns)
            batch = condition.apply(_plain(batch, looked_at) if looked_at else batch)
        if encoded:
            batch = _plain(batch, encoded)
        if self.columns is not None and batch.schema.names != list(self.columns):
            names = set(batch.schema.names)
            batch = batch.select([name for name in self.columns if name in names])
        return Conformed(batch, rejects, rows)


def _plain_schema(schema: pa.Schema, encoded: frozenset[str]) -> pa.Schema:
    import pyarrow as pa

    if not encoded:
        return schema
    return pa.schema([field.with_type(pa.string()) if field.name in encoded else field for field in schema])


def _plain(batch: pa.RecordBatch, encoded: frozenset[str]) -> pa.RecordBatch:
    """Return a batch whose columns ``encoded`` are strings."""
    import pyarrow as pa

    columns = [
        column.cast(pa.string()) if field.name in encoded and pa.types.is_dictionary(field.type) else column
        for field, column in zip(batch.schema, batch.columns, strict=True)
    ]
    return pa.RecordBatch.from_arrays(columns, schema=_plain_schema(batch.schema, encoded))


def fitted(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Return a batch with the columns of ``schema``, which have wider types; null where it lacks one.

    Raises:
        ValueError: A value is lost (pyarrow's ArrowInvalid).
    """
    import pyarrow as pa

    if batch.schema.equals(schema):
        return batch
    columns = []
    for field in schema:
        at = batch.schema.get_field_index(field.name)
        columns.append(pa.nulls(batch.num_rows, field.type) if at < 0 else batch.column(at).cast(field.type))
    return pa.RecordBatch.from_arrays(columns, schema=schema)
