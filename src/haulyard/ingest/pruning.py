"""What need not be read: files and row groups that cannot have a row for which a condition is true.

Arrow decides that from partitions and from the statistics of row groups; what it cannot tell is read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from haulyard.ingest.partitions import partition_value

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa
    import pyarrow.compute as pc

    from haulyard.ingest.model import SourceFile
    from haulyard.ingest.where import Condition


def row_groups(
    metadata: Any,  # noqa: ANN401 -- pyarrow has no types
    expression: pc.Expression,
    source: SourceFile,
    partitions: Mapping[str, pa.DataType],
) -> list[int]:
    """Return the numbers of the row groups that may have a row for which ``expression`` is true."""
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    metadata.write_metadata_file(sink)
    physical = metadata.schema.to_arrow_schema()
    return _subset(sink.getvalue(), expression, _schema(physical, partitions), _known(source, partitions))


class FilePruning:
    """Tells files that need not be read by their partitions alone."""

    def __init__(
        self, expression: pc.Expression, schema: pa.Schema, partitions: Mapping[str, pa.DataType]
    ) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        # A row group of which nothing is known but the path.
        sink = pa.BufferOutputStream()
        row = [pa.nulls(1, field.type) for field in schema]
        names = [field.name for field in schema]
        pq.write_table(pa.Table.from_arrays(row, names), sink, write_statistics=False)
        self._content = sink.getvalue()
        self._expression = expression
        self._schema = schema
        self._partitions = partitions

    @classmethod
    def of(
        cls, condition: Condition, schema: pa.Schema | None, partitions: Mapping[str, pa.DataType]
    ) -> FilePruning | None:
        """Return what tells by a condition; None where Arrow cannot.

        Without a ``schema`` only what it says of partitions tells: of other columns the types are not known
        yet.
        """
        import pyarrow as pa

        if schema is None:
            schema = pa.schema(list(partitions.items()))
        expression = condition.necessary(schema)
        return None if expression is None else cls(expression, schema, partitions)

    def may_fit(self, source: SourceFile) -> bool:
        """Return whether the file may have a row for which the condition is true."""
        if not source.partitions:
            return True
        known = _known(source, self._partitions)
        return bool(_subset(self._content, self._expression, self._schema, known))


def _subset(
    content: pa.Buffer, expression: pc.Expression, schema: pa.Schema, known: pc.Expression | None
) -> list[int]:
    import pyarrow as pa
    import pyarrow.dataset as ds

    fragment = ds.ParquetFileFormat().make_fragment(pa.BufferReader(content), partition_expression=known)
    return [group.id for group in fragment.subset(filter=expression, schema=schema).row_groups]


def _known(source: SourceFile, partitions: Mapping[str, pa.DataType]) -> pc.Expression | None:
    """Return what a path tells, as Arrow writes it."""
    import pyarrow as pa
    import pyarrow.compute as pc

    found = None
    for name, text in source.partitions:
        kind = partitions[name]
        value = partition_value(text, kind)
        field = pc.field(name)
        told = field.is_null() if value is None else field == pa.scalar(value, kind)
        found = told if found is None else found & told
    return found


def _schema(physical: pa.Schema, partitions: Mapping[str, pa.DataType]) -> pa.Schema:
    import pyarrow as pa

    added = [pa.field(name, kind) for name, kind in partitions.items()]
    return pa.schema([*(field for field in physical if field.name not in partitions), *added])
