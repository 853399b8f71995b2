"""Whether what comes of one file after the other makes one table, decided in the order of the files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from haulyard.ingest.conforming import fitted
from haulyard.ingest.drift import Columns, check_known, check_names, check_pinned, lossless, pinned_in, united
from haulyard.ingest.model import ConvergedLaterError
from haulyard.records.formats.detection import format_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pyarrow as pa

    from haulyard.ingest.conforming import Shaper
    from haulyard.ingest.model import Piece, ReadOptions, SourceFile

#: Formats whose rows all have the same columns, so that those of a file are known from its beginning.
_REGULAR: Final = frozenset(("csv", "tsv", "parquet"))


class Agreement:
    """What is known of the columns so far.

    Without a schema in ``shaper`` the first piece decides, and with ``is_widening`` the widest of all.
    ``more`` is called where ``options.schema`` does not name all columns; None where that is known.
    """

    def __init__(
        self,
        options: ReadOptions,
        shaper: Shaper,
        *,
        is_widening: bool = False,
        more: Callable[[], None] | None = None,
    ) -> None:
        self._options = options
        self._shaper = shaper
        self._is_widening = is_widening
        self._more = more
        #: The columns of each file that is being read; of Parquet with their types.
        self._found: dict[SourceFile, tuple[str, ...]] = {}
        self._typed: dict[SourceFile, Columns] = {}
        self._checked: set[SourceFile] = set()
        self._seen: dict[str, None] = {}
        self._first: tuple[str, tuple[str, ...]] | None = None
        self._parquet: Columns | None = None
        self._schema: pa.Schema | None = None
        #: What was found to agree last, by the identity of what was found.
        self._last: tuple[pa.Schema, tuple[str, ...]] | None = None

    def found(self, source: SourceFile, names: Sequence[str], schema: pa.Schema | None = None) -> None:
        """Take note of a file's own columns; of Parquet their types are known."""
        self._found[source] = tuple(names)
        if schema is not None:
            self._typed[source] = Columns(source.uri, schema)

    def agreed(self, piece: Piece) -> Piece:
        """Return a piece as it goes with those before it.

        Raises:
            IngestError: The file's columns differ in a way that is not allowed.
            ConvergedLaterError: The columns known so far cannot hold what came.
        """
        source = piece.source
        if source not in self._checked and (source in self._typed or self._is_regular(source)):
            self._check(source)
        if self._shaper.schema is not None or self._schema == piece.batch.schema:
            return piece
        if self._schema is None:
            self._schema = piece.batch.schema
            return piece
        wider = lossless(self._schema, piece.batch.schema)
        if wider is None:
            raise ConvergedLaterError
        if self._is_widening:
            self._schema = wider
            return piece
        if wider != self._schema:
            raise ConvergedLaterError
        return piece._replace(batch=_fitted(piece.batch, wider))

    def _is_regular(self, source: SourceFile) -> bool:
        return (self._options.format or format_of(source.key)) in _REGULAR

    def ended(self, source: SourceFile) -> None:
        """Take note that all of a file was read.

        Raises:
            IngestError: The file's columns differ in a way that is not allowed.
        """
        if source not in self._checked:
            self._check(source)
        for known in (self._found, self._typed):
            known.pop(source, None)
        self._checked.discard(source)

    def finished(self) -> None:
        """Take note that all files were read; ConfigError where none has a column that is wanted."""
        if self._first is not None and self._options.columns is not None and self._options.schema is None:
            check_known("the table", self._options.columns, tuple(self._seen))

    def _check(self, source: SourceFile) -> None:
        self._checked.add(source)
        if (typed := self._typed.get(source)) is not None:
            partitions = tuple(name for name, _ in source.partitions)
            if self._last is not None and self._last[0] is typed.schema and self._last[1] == partitions:
                return
            self._compare(source)
            self._last = typed.schema, partitions
        else:
            self._compare(source)

    def _compare(self, source: SourceFile) -> None:
        drift = self._options.on_drift
        own = dict.fromkeys((*self._found.get(source, ()), *(name for name, _ in source.partitions)))
        self._seen |= own
        if self._options.columns is not None and self._options.schema is None and drift != "add-columns":
            check_known(source.uri, self._options.columns, tuple(own))
        names = self._wanted(own)
        if self._first is None:
            self._first = source.uri, names
        else:
            check_names(*self._first, source.uri, names, drift)
        if self._options.schema is not None and self._more is not None:
            self._check_pinned(source, names, self._options.schema, self._more)
        typed = self._typed.get(source)
        if typed is None or (self._options.schema is not None and self._more is not None):
            return
        import pyarrow as pa

        own_types = pinned_in(typed.schema, self._options.schema)
        typed = Columns(source.uri, pa.schema([f for f in own_types if f.name in set(names)]))
        self._parquet = typed if self._parquet is None else united(self._parquet, typed, drift)

    def _check_pinned(
        self, source: SourceFile, names: Sequence[str], schema: pa.Schema, more: Callable[[], None]
    ) -> None:
        columns = self._options.columns
        wanted = schema.names if columns is None else [name for name in schema.names if name in columns]
        check_pinned(source.uri, wanted, names, self._options.on_drift)
        if not set(names) <= set(schema.names):
            more()
            raise ConvergedLaterError

    def _wanted(self, names: Mapping[str, None]) -> tuple[str, ...]:
        columns = self._options.columns
        return tuple(names) if columns is None else tuple(name for name in columns if name in names)


def _fitted(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    try:
        return fitted(batch, schema)
    except ValueError as error:
        # An integer that a double cannot hold, say.
        raise ConvergedLaterError from error
