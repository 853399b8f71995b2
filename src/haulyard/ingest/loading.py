"""Files into a table, all in one transaction, each row accounted for."""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, get_args

from haulyard.errors import IngestError, TooManyRejects
from haulyard.events import RowsRead, Warned
from haulyard.ingest.loaded_sources import Mode, Tally, choose, remember, remembered_of
from haulyard.ingest.model import ConvergedLaterError, check_choice, check_max_rejects
from haulyard.ingest.rejects import Rejects
from haulyard.ingest.tables_fitting import ReadAsError
from haulyard.ingest.tables_writing import TableWriter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from contextlib import AbstractAsyncContextManager

    import pyarrow as pa

    from haulyard.events import Emit
    from haulyard.ingest.dataset import Dataset
    from haulyard.ingest.embedding.model import Embedded
    from haulyard.ingest.loaded_sources import Choice
    from haulyard.ingest.model import Piece, SourceFile
    from haulyard.ingest.tables import Database, TableName
    from haulyard.ingest.tables_writing import Enrichment
    from haulyard.ingest.where import Where

#: Bytes of memory that a load takes by default.
MEMORY: Final = 512 * 1024**2
#: Once too many rows were rejected nothing is loaded, but reading goes on for so many more of them: who mends
#: a file wants to know of all.
_MORE: Final = 1000
#: Of files that were loaded with other content so many are named.
_TOLD: Final = 3


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a load came to. ``rows_read == rows_loaded + rows_rejected + rows_filtered``.

    ``destination`` is the database, file or URL, ``table`` the table in a database. ``files`` were read;
    ``files_known`` were left out because they had been loaded before. Of the ``rows_loaded``,
    ``rows_updated`` took the place of rows with the same key. ``rows_filtered`` were left out by a condition.
    ``rejects_file`` and ``rejects_table`` are ``""`` where there are no rejects. ``bytes`` are stored bytes.
    ``embedded`` tells of the column of vectors, None where there is none.
    """

    destination: str
    table: str = ""
    files: int = 0
    files_known: int = 0
    rows_read: int = 0
    rows_loaded: int = 0
    rows_updated: int = 0
    rows_rejected: int = 0
    rows_filtered: int = 0
    bytes: int = 0
    seconds: float = 0.0
    rejects_file: str = ""
    rejects_table: str = ""
    embedded: Embedded | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """What is asked of a load into a table.

    The file ``rejects_path`` appears where there are rejects; ``max_rejects`` None allows any number of them.

    Raises:
        ConfigError: There is no such mode, no such number of rows, or the condition is none.
    """

    table: TableName
    mode: Mode
    rejects_path: str
    key: tuple[str, ...] = ()
    force: bool = False
    max_rejects: int | None = 0
    where: Where | None = None

    def __post_init__(self) -> None:
        check_choice("mode", self.mode, get_args(Mode))
        check_max_rejects(self.max_rejects)
        if self.where is not None:
            # The condition is looked at again when rows are read, and there may be nothing to read.
            from haulyard.ingest.where import Condition

            Condition(self.where)


class Shares(NamedTuple):
    """Bytes of memory: what is read ahead and parsed, and what DuckDB may use."""

    reading: int
    database: int


def shares(memory: int) -> Shares:
    """Divide ``memory`` bytes (0: 512 MiB) among the two; the program itself takes the rest."""
    memory = memory or MEMORY
    return Shares(memory // 4, memory // 4)


def rejects_beside(path: str, table: TableName) -> str:
    """Return the file that rows of ``table`` go to that do not fit: beside the database at ``path``."""
    return os.path.join(os.path.dirname(path), f"{table.rejects}.jsonl")


class Receiver(Protocol):
    """Where rows go: a table, or a file."""

    async def begin(self, schema: pa.Schema, source: str) -> None:
        """Make ready for rows of ``schema``, the first of which come from ``source``."""
        ...

    async def write(self, batch: pa.RecordBatch) -> None:
        """Take rows."""
        ...


@dataclass(slots=True)
class Account:
    """What was read so far, file by file."""

    rejects: Rejects
    tallies: dict[SourceFile, Tally] = field(default_factory=dict)
    read: int = 0
    loaded: int = 0
    filtered: int = 0
    bytes: int = 0

    def take(self, piece: Piece) -> None:
        """Count a piece.

        Raises:
            IngestError: It does not say of each of its rows what became of it.
        """
        source, batch, rejects, rows, stored, filtered = piece
        if rows != batch.num_rows + len(rejects) + filtered:
            raise IngestError(
                f"{source.uri}: of {rows:,} rows {batch.num_rows:,} were read, {len(rejects):,} rejected and "
                f"{filtered:,} left out; nothing was loaded"
            )
        self.read += rows
        self.loaded += batch.num_rows
        self.filtered += filtered
        self.bytes += stored
        self.rejects.add(rejects)
        before = self.tallies.get(source) or Tally(source)
        self.tallies[source] = Tally(
            source,
            before.read + rows,
            before.loaded + batch.num_rows,
            before.rejected + len(rejects),
            before.filtered + filtered,
        )


async def load(
    dataset: Dataset,
    database: Database,
    order: Order,
    emit: Emit,
    enrichment: Enrichment | None = None,
    *,
    expect: Callable[[int, int], None] = lambda _files, _bytes: None,
) -> Loaded:
    """Load the files of ``dataset`` into a table, or leave the database as it was.

    ``enrichment`` gives the rows a further column. ``expect`` is told of the files to read: number and bytes.

    Raises:
        TooManyRejects: More rows than ``order.max_rejects`` do not fit.
        ConfigError: There is a table already, or it has no column of the key.
        IngestError: A file, or the database, cannot be read or written.
    """
    started = time.monotonic()
    table, mode = order.table, order.mode
    asked = _asked(dataset, order.where, enrichment)
    before = await database.run(lambda connection: remembered_of(connection, table))
    choice = choose(mode, table, dataset.files, before, asked=asked, force=order.force)
    known = len(choice.known)
    if choice.is_done:
        return Loaded(database.path, str(table), files_known=known, seconds=time.monotonic() - started)
    _warn(choice, table, emit)
    dataset.files = choice.files
    expect(len(choice.files), sum(file.size for file in choice.files))
    anew = before is None or mode == "replace"

    @asynccontextmanager
    async def attempt() -> AsyncIterator[TableWriter]:
        async with database.transaction():
            drift = dataset.options.on_drift
            writer = TableWriter(database, table, mode, order.key, drift, enrichment)
            try:
                yield writer
            finally:
                await writer.close()

    async def finish(writer: TableWriter, account: Account) -> Loaded:
        written = await writer.finish(account.loaded)
        tallies = [account.tallies.get(file) or Tally(file) for file in choice.files]
        await database.run(lambda connection: account.rejects.store(connection, table, anew=anew))
        await database.run(lambda connection: remember(connection, table, tallies, asked=asked, anew=anew))
        return Loaded(
            database.path,
            str(table),
            files=len(choice.files),
            files_known=known,
            rows_read=account.read,
            rows_loaded=account.loaded,
            rows_updated=written.updated,
            rows_rejected=account.rejects.count,
            rows_filtered=account.filtered,
            bytes=account.bytes,
            rejects_file=account.rejects.keep(),
            rejects_table=str(table.rejects) if account.rejects.count else "",
            seconds=time.monotonic() - started,
        )

    loaded = await carry(dataset, attempt, finish, order, emit)
    if enrichment is not None:
        await enrichment.settle()
        loaded = replace(loaded, embedded=enrichment.done)
    return loaded


async def carry(
    dataset: Dataset,
    attempt: Callable[[], AbstractAsyncContextManager[Any]],
    finish: Callable[[Any, Account], Awaitable[Loaded]],
    order: Order,
    emit: Emit,
    schema: pa.Schema | None = None,
) -> Loaded:
    """Read all rows into what ``attempt`` gives, and again where it turns out that they have other types.

    What ``attempt`` gives undoes, when it is left by an error, all that it took. Without a ``schema`` the
    types are found on the way.
    """
    while True:
        rejects = Rejects(order.rejects_path)
        account = Account(rejects)
        try:
            async with attempt() as receiver:
                await _fill(dataset, schema, receiver, account, order, emit)
                loaded = await finish(receiver, account)
        except ConvergedLaterError:
            schema = await dataset.schema()
        except ReadAsError as error:
            schema = error.schema
        else:
            return loaded
        finally:
            rejects.close()
        # What was counted is read again.
        emit(RowsRead(str(order.table), 0, 0, -account.bytes))


async def _fill(
    dataset: Dataset,
    schema: pa.Schema | None,
    receiver: Receiver,
    account: Account,
    order: Order,
    emit: Emit,
) -> None:
    """Read all rows into ``receiver``. Raises TooManyRejects once all of them, or enough, are known."""
    allowed = sys.maxsize if order.max_rejects is None else order.max_rejects
    has_begun = False
    async with aclosing(dataset.pieces(schema, order.where)) as pieces:
        async for piece in pieces:
            if not has_begun:
                await receiver.begin(piece.batch.schema, piece.source.uri)
                has_begun = True
            account.take(piece)
            count = account.rejects.count
            emit(RowsRead(str(order.table), account.loaded, count, piece.stored))
            if count > allowed + _MORE:
                break
            if count <= allowed and piece.batch.num_rows:
                await receiver.write(piece.batch)
    if account.rejects.count > allowed:
        raise _too_many(account, allowed)
    if not has_begun:
        await receiver.begin(schema or await dataset.schema(), dataset.files[0].uri)


def _too_many(account: Account, allowed: int) -> TooManyRejects:
    rejects = account.rejects
    path = rejects.keep()
    count = f"{rejects.count:,} of {account.read:,}"
    if rejects.count > allowed + _MORE:
        count = f"at least {count} that were read"
    return TooManyRejects(
        f"rows that do not fit: {count}, and {allowed:,} may be rejected; nothing was loaded",
        rejected=rejects.count,
        first=tuple(rejects.first),
        path=path,
        hint=f"they are in {os.path.relpath(path)}, with the reasons; max_rejects=N loads the others",
    )


def _warn(choice: Choice, table: TableName, emit: Emit) -> None:
    changed = [file.uri for file in choice.changed]
    if changed:
        more = f" and {len(changed) - _TOLD:,} more" if len(changed) > _TOLD else ""
        emit(
            Warned(
                f"{', '.join(changed[:_TOLD])}{more} changed since {table} was loaded: the rows are appended",
                hint="mode='upsert' with key= replaces them",
            )
        )


def _asked(dataset: Dataset, where: Where | None, enrichment: Enrichment | None) -> str:
    """Return what is wanted of the files, as one text that two loads can be compared by."""
    options = dataset.options
    wanted: dict[str, object] = {
        "columns": options.columns,
        "where": None if where is None else str(where),
        "schema": None if options.schema is None else str(options.schema),
        "embedding": None if enrichment is None else dict(enrichment.asked),
    }
    return json.dumps({name: value for name, value in wanted.items() if value is not None}, sort_keys=True)
