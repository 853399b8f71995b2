"""Rows into one file: Parquet or CSV, which appears when it is complete, or not at all."""

from __future__ import annotations

import asyncio
import io
import os
import time
import zlib
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, get_args

from haulyard.errors import ConfigError, IngestError
from haulyard.ingest.exporting_sinks import open_sink
from haulyard.ingest.loading import Account, Loaded, Order, carry
from haulyard.ingest.tables import TableName
from haulyard.ingest.tables_fitting import new_names
from haulyard.url import LocalPath, S3Url, StdStream, parse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    import pyarrow as pa

    from haulyard.client.session import Session
    from haulyard.events import Emit
    from haulyard.ingest.dataset import Dataset
    from haulyard.ingest.exporting_sinks import Sink
    from haulyard.ingest.where import Where
    from haulyard.models.body import Buffer

#: Rows of a row group of Parquet: as many as DuckDB has in one of its own, so that its threads divide them.
_GROUP: Final = 122_880

Form = Literal["parquet", "csv", "tsv"]


class Destination(NamedTuple):
    """A file to be written: its URL, path or ``-``, and what it is to hold."""

    where: str
    form: Form
    is_packed: bool = False

    @classmethod
    def parse(cls, where: str) -> Destination:
        """Understand the name of a file; its suffix says what it is to hold, and ``-`` is CSV.

        Raises:
            ConfigError: It has another suffix, or names no file.
        """
        end = parse(where)
        if isinstance(end, StdStream):
            return cls(where, "csv")
        name = end.key if isinstance(end, S3Url) else end.path
        if isinstance(end, S3Url) and end.version_id:
            raise ConfigError(f"{where} names a version, which cannot be written", hint="leave it out")
        plain = name.lower().removesuffix(".gz")
        packed = plain != name.lower()
        for form in get_args(Form):
            if plain.endswith(f".{form}") and not (form == "parquet" and packed):
                return cls(where, form, packed)
        raise ConfigError(
            f"{where} does not say what it is to be", hint="end it in .parquet, .csv, .tsv or .csv.gz"
        )

    def order(self, rejects: str, max_rejects: int | None, where: Where | None) -> Order:
        """Return what is asked of a load into it; without ``rejects`` their file is beside it, or here."""
        name = "stdout" if self.where == "-" else os.path.basename(self.where)
        beside = self.where if isinstance(parse(self.where), LocalPath) else name
        path = rejects or f"{beside}.rejects.jsonl"
        return Order(TableName("main", name), "create", path, max_rejects=max_rejects, where=where)


async def export(
    dataset: Dataset,
    session: Session,
    destination: Destination,
    order: Order,
    emit: Emit,
    *,
    raw: Callable[[Buffer], Awaitable[None]] | None = None,
) -> Loaded:
    """Write the rows of ``dataset`` to one file; ``raw`` takes what goes to ``-``.

    What goes to ``-`` cannot be taken back: the types are found before the first row, and where too many rows
    are rejected those before them were written.

    Raises:
        TooManyRejects: More rows than ``order.max_rejects`` do not fit.
        IngestError: A file cannot be read, or the destination not written.
    """
    started = time.monotonic()
    end = parse(destination.where)

    @asynccontextmanager
    async def attempt() -> AsyncIterator[FileWriter]:
        async with open_sink(end, session, raw) as sink:
            yield FileWriter(sink, destination)

    async def finish(writer: FileWriter, account: Account) -> Loaded:
        await writer.finish()
        return Loaded(
            destination.where,
            files=len(dataset.files),
            rows_read=account.read,
            rows_loaded=account.loaded,
            rows_rejected=account.rejects.count,
            rows_filtered=account.filtered,
            bytes=account.bytes,
            rejects_file=account.rejects.keep(),
            seconds=time.monotonic() - started,
        )

    schema = await dataset.schema() if isinstance(end, StdStream) else None
    return await carry(dataset, attempt, finish, order, emit, schema)


class FileWriter:
    """Takes batches, makes bytes of them in a thread, and hands those on."""

    def __init__(self, sink: Sink, destination: Destination) -> None:
        self._sink = sink
        self._destination = destination
        self._buffer = _Buffer()
        self._writer: Any = None
        self._names: list[str] = []
        self._packer = zlib.compressobj(wbits=31) if destination.is_packed else None

    async def begin(self, schema: pa.Schema, source: str) -> None:
        """Write what comes before the rows."""
        del source
        self._writer = await self._made(partial(self._open, schema))

    async def write(self, batch: pa.RecordBatch) -> None:
        """Write rows.

        Raises:
            IngestError: The format cannot hold them.
        """
        await self._made(partial(self._put, batch))

    async def finish(self) -> None:
        """Write what comes behind the rows."""
        await self._made(self._writer.close)
        if self._packer is not None:
            await self._sink.write(self._packer.flush())

    async def _made(self, work: Callable[[], Any]) -> Any:  # noqa: ANN401 -- what the work returns
        import pyarrow as pa

        def done() -> tuple[Any, bytes]:
            result = work()
            data = self._buffer.taken()
            return result, self._packer.compress(data) if self._packer is not None else data

        try:
            result, data = await asyncio.to_thread(done)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
            text = str(error).partition("\n")[0]
            raise IngestError(
                f"{self._destination.where}: {text}", hint="lists and structures go into .parquet"
            ) from None
        if data:
            await self._sink.write(data)
        return result

    def _open(self, schema: pa.Schema) -> Any:  # noqa: ANN401 -- pyarrow has no types
        import pyarrow as pa

        self._names = list(new_names(schema.names))
        schema = pa.schema([field.with_name(name) for field, name in zip(schema, self._names, strict=True)])
        if self._destination.form == "parquet":
            from pyarrow import parquet

            return parquet.ParquetWriter(self._buffer, schema, compression="zstd")
        from pyarrow import csv

        delimiter = "\t" if self._destination.form == "tsv" else ","
        return csv.CSVWriter(self._buffer, schema, write_options=csv.WriteOptions(delimiter=delimiter))

    def _put(self, batch: pa.RecordBatch) -> None:
        batch = batch.rename_columns(self._names)
        if self._destination.form == "parquet":
            self._writer.write_batch(batch, row_group_size=_GROUP)
        else:
            self._writer.write_batch(batch)


class _Buffer(io.RawIOBase):
    """A file that is only written, whose bytes are taken away from time to time."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:  # noqa: ANN401 -- whatever has bytes
        piece = bytes(data)
        self._pieces.append(piece)
        self._size += len(piece)
        return len(piece)

    def tell(self) -> int:
        return self._size

    def taken(self) -> bytes:
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)
