"""Files as one table: which they are, which columns they have together, and their rows piece by piece."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from haulyard.errors import ConfigError
from haulyard.events import RowsRead, ignore
from haulyard.ingest.agreement import Agreement
from haulyard.ingest.conforming import Shaper
from haulyard.ingest.drift import check_known
from haulyard.ingest.file_reading import pieces_of
from haulyard.ingest.model import ConvergedLaterError, ReadOptions
from haulyard.ingest.partitions import partition_types
from haulyard.ingest.profiling import columns_of, names_of
from haulyard.ingest.remarks import Remarks
from haulyard.ingest.sources import find_files
from haulyard.ingest.surroundings import Surroundings
from haulyard.records.reading_ahead import opened_ahead

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator, Sequence

    import pyarrow as pa

    from haulyard.client.session import Session
    from haulyard.events import Emit
    from haulyard.ingest.model import Piece, SourceFile
    from haulyard.ingest.schema import SchemaInfo
    from haulyard.ingest.sources import Files
    from haulyard.ingest.where import Condition, Where

READ = ReadOptions()

#: Files that are read at a time, at most.
_FILES: Final = 32
#: A file is taken to need so many bytes of memory for each that is stored, and some that none can do without.
_HELD: Final = 8
_LEAST: Final = 256 * 1024


async def open_dataset(
    session: Session,
    sources: Sequence[str],
    options: ReadOptions = READ,
    *,
    manifest: str = "",
    recursive: bool = False,
) -> Dataset:
    """Find the files that ``sources`` name; nothing is read of them yet.

    A source is ``s3://bucket/key``, an ``https://`` form of it, or a local path: of one file, of a prefix or
    directory that ends in a slash (or does not, with ``recursive``), or with ``*`` and ``?``. ``manifest``
    lists what is below the only source instead. Files in a tree or under a wildcard whose names tell no
    format are left out and named in a warning (`haulyard.events.Warned` by ``session.emit``), unless
    ``options.format`` is given.

    Raises:
        NotFound: There is no such file; the hint names the nearest that exist.
        ConfigError: A source cannot be understood, or the extra ``data`` is not installed.
    """
    check_installed("pyarrow")
    options.check()
    found = await find_files(session, sources, options, manifest=manifest, recursive=recursive)
    return Dataset(found, options, session.emit)


def check_installed(*modules: str) -> None:
    """Raise ConfigError where a library that tables need is missing."""
    for module in modules:
        if find_spec(module) is None:
            raise ConfigError(
                f"tables need the library {module}, which is not installed",
                hint="pip install pandas" if module == "pandas" else "pip install 'haulyard[data]'",
            )


class Dataset:
    """The files of some sources as one table.

    ``files`` are in the order of reading: that of the sources, in each the store's. ``skipped`` names what
    was left out.
    """

    def __init__(self, found: Files, options: ReadOptions, emit: Emit) -> None:
        self.files = found.files
        self.skipped = found.skipped
        self.options = options
        self._emit = emit
        self._tails = found.tails
        self._partitions = partition_types(found.files)
        self._all: pa.Schema | None = None
        #: Whether there are columns that ``options.schema`` does not name; None where nobody knows yet.
        self._is_partly: bool | None = None

    @property
    def size(self) -> int:
        """The stored bytes of all files."""
        return sum(file.size for file in self.files)

    async def schema(self) -> pa.Schema:
        """Return the columns of all files together, with those of their partitions behind them.

        Found over all rows of text files and the footers of Parquet; remembered. ``options.schema`` and
        ``options.columns`` are followed.

        Raises:
            IngestError: The files differ and ``options.on_drift`` does not allow it (it names file and
                column), or one of them cannot be read.
            ConfigError: A column that is wanted does not exist.
        """
        whole = await self._columns()
        if self.options.columns is None:
            return whole
        import pyarrow as pa

        check_known("the table", self.options.columns, whole.names)
        return pa.schema([whole.field(name) for name in self.options.columns])

    async def pieces(
        self, schema: pa.Schema | None = None, where: Where | None = None, *, widening: bool = False
    ) -> AsyncGenerator[Piece]:
        """Yield the rows of all files, in the order of the files; close it where it is not read to its end.

        Every file gives one piece at least, which may have no row. Every batch has the columns of ``schema``
        (that of the method `schema`, say, or ``options.schema``), partitions included. Without a schema all
        batches still have the same, which is found on the way: so consistent files are read once. With
        ``widening``, batches may then have wider types than those before, and more columns: whoever asks for
        it casts them in the end to what `haulyard.ingest.drift.lossless` makes of their schemas. Rows that
        ``where`` is not true of are counted in ``filtered``; files whose partitions rule them out are not
        read at all, and give no piece.

        Raises:
            ConvergedLaterError: Without a schema: rows came that do not fit the columns found before.
            IngestError: A file cannot be read, was replaced meanwhile, or differs from the others.
            ConfigError: ``where`` names unknown columns or cannot be understood.
        """
        condition = None
        if where is not None:
            # Only here: reading without a condition needs no DuckDB.
            from haulyard.ingest.where import Condition

            condition = Condition(where)
        if schema is None and self.options.schema is not None:
            schema = self._pinned(self.options.schema, condition)
        shaper = await self._shaper(schema, condition)
        more = None if self._is_partly else self._found_more
        order = Agreement(self.options, shaper, is_widening=widening, more=more)
        remarks = Remarks()
        with self._lanes() as lanes:

            def read(source: SourceFile) -> AsyncGenerator[Piece]:
                memory = self._weigh(source)
                around = Surroundings(self.options, lanes, self._emit, memory, self._tails, remarks)
                return pieces_of(source, around, shaper, order.found)

            files = opened_ahead(
                self._remaining(shaper, condition),
                read,
                ahead=_FILES - 1,
                weigh=self._weigh,
                most=self.options.memory,
            )
            async with aclosing(files):
                async for opened in files:
                    async with aclosing(opened.blocks()) as blocks:
                        async for piece in blocks:
                            remarks.take(piece)
                            yield order.agreed(piece)
                    order.ended(opened.source)
            order.finished()
        remarks.tell(self._emit)

    def _pinned(self, schema: pa.Schema, condition: Condition | None) -> pa.Schema:
        """Return what is wanted of the columns that the options pin, as far as is known all that there are.

        Raises:
            ConvergedLaterError: There are others.
        """
        wanted = self.options.columns
        is_enough = wanted is None or set(wanted) <= set(schema.names)
        if self._is_partly or not is_enough or not (condition is None or condition.suits(schema)):
            self._found_more()
            raise ConvergedLaterError
        import pyarrow as pa

        return schema if wanted is None else pa.schema([schema.field(name) for name in wanted])

    async def describe(self) -> SchemaInfo:
        """Read all rows once, in bounded memory, and say of each column what is in it."""
        from haulyard.ingest.describing import described

        schema = await self.schema()
        async with aclosing(self._told(schema)) as pieces:
            return await described(pieces, schema, len(self.files))

    async def _told(self, schema: pa.Schema) -> AsyncGenerator[Piece]:
        """Yield all pieces, and tell of each."""
        rows = rejected = 0
        async with aclosing(self.pieces(schema)) as pieces:
            async for piece in pieces:
                rows += piece.batch.num_rows
                rejected += len(piece.rejects)
                self._emit(RowsRead("", rows, rejected, piece.stored))
                yield piece

    async def _shaper(self, schema: pa.Schema | None, condition: Condition | None) -> Shaper:
        """Return what makes batches; of what only the condition needs, the types are those of all files."""
        if schema is None:
            return Shaper(self._partitions, condition, None, self.options.columns)
        reading = schema
        if condition is not None and not condition.suits(schema):
            whole = await self._columns()
            reading = Shaper.with_needed(schema, whole, condition)
        return Shaper(self._partitions, condition, reading, schema.names)

    async def _columns(self) -> pa.Schema:
        """Return all columns of all files, whichever are wanted."""
        if self.options.schema is not None and not await self._has_more(self.options.schema):
            return self.options.schema
        if self._all is None:
            with self._lanes() as lanes:
                options, memory = replace(self.options, columns=None), self.options.memory // 4
                around = Surroundings(options, lanes, self._emit, memory, self._tails)
                wanted = self.options.columns
                self._all = await columns_of(self.files, around, self._partitions, wanted)
        return self._all

    def _found_more(self) -> None:
        self._is_partly = True

    async def _has_more(self, schema: pa.Schema) -> bool:
        """Whether files have columns whose types ``schema`` does not pin; the first of them is asked."""
        if self._is_partly is None:
            wanted = self.options.columns
            if self.options.on_drift == "add-columns" or not self.files:
                self._is_partly = True
            elif wanted is not None:
                self._is_partly = not set(wanted) <= set(schema.names)
            else:
                with self._lanes() as lanes:
                    around = Surroundings(
                        replace(self.options, columns=None), lanes, ignore, _LEAST, self._tails
                    )
                    self._is_partly = not set(await names_of(self.files[0], around)) <= set(schema.names)
        return self._is_partly

    def _remaining(self, shaper: Shaper, condition: Condition | None) -> Iterator[SourceFile]:
        """Yield the files that may have rows which are wanted."""
        if condition is None or not self._partitions:
            yield from self.files
            return
        from haulyard.ingest.pruning import FilePruning  # as above

        pruning = FilePruning.of(condition, shaper.schema, self._partitions)
        yield from (file for file in self.files if pruning is None or pruning.may_fit(file))

    def _weigh(self, source: SourceFile) -> int:
        """Return the bytes of memory that reading a file takes at most."""
        return min(_LEAST + _HELD * source.size, self.options.memory)

    def _lanes(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="haulyard-ingest")
