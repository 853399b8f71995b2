"""Files as one table: which they are, which columns they have together, and their rows piece by piece."""

from __future__ import annotations

from typing import TYPE_CHECKING

from haulyard.ingest.model import ReadOptions

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    import pyarrow as pa

    from haulyard.client.session import Session
    from haulyard.ingest.model import Piece, SourceFile
    from haulyard.ingest.schema import SchemaInfo
    from haulyard.ingest.where import Where

READ = ReadOptions()


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
    raise NotImplementedError


class Dataset:
    """The files of some sources as one table.

    ``files`` are in the order of reading: that of the sources, in each the store's. ``skipped`` names what
    was left out. ``size`` is what is stored, in bytes.
    """

    files: tuple[SourceFile, ...]
    skipped: tuple[str, ...]
    options: ReadOptions

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
        """
        raise NotImplementedError

    def pieces(self, schema: pa.Schema | None = None, where: Where | None = None) -> AsyncGenerator[Piece]:
        """Yield the rows of all files, in the order of the files; close it where it is not read to its end.

        Every batch has the columns of ``schema`` (that of the method `schema`, say), partitions included.
        Without a schema all batches still have the same, which is found on the way: so consistent files are
        read once. Rows that ``where`` is not true of are counted in ``filtered``.

        Raises:
            ConvergedLaterError: Without a schema: rows came that do not fit the columns found before.
            IngestError: A file cannot be read, was replaced meanwhile, or differs from the others.
            ConfigError: ``where`` names unknown columns or cannot be understood.
        """
        raise NotImplementedError

    async def describe(self) -> SchemaInfo:
        """Read all rows once, in bounded memory, and say of each column what is in it."""
        raise NotImplementedError
