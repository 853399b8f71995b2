"""A DuckDB file: one writer, one thread, one transaction; and its errors in our words.

Only this process may have it open while it writes: DuckDB locks the file. All that a load does is in one
transaction. What DuckDB writes of it before the commit are blocks that nothing refers to yet, so that a
process that is killed leaves the file as it was.
"""

from __future__ import annotations

import asyncio
import os
import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from haulyard.errors import AccessDenied, ConfigError, DatabaseLocked, HaulError, IngestError, NotFound

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from duckdb import DuckDBPyConnection

T = TypeVar("T")

_HOLDER = re.compile(r"held in (.{1,200}?) \(PID (\d{1,10})\)")
#: ``md:``, ``sqlite:``, ``s3://`` and the like; DuckDB takes what is before the first colon for an extension.
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9_+.-]+:")
#: What a DuckDB file has behind its first checksum ("Storage versions and format" in DuckDB's documentation).
_MAGIC, _MAGIC_AT = b"DUCK", 8
_NO_SPACE = ("No space left on device", "File too large", "Disk quota exceeded")


class TableName(NamedTuple):
    """A table of a database; ``schema`` is DuckDB's ``main`` where none was named."""

    schema: str
    name: str

    @classmethod
    def parse(cls, text: str) -> TableName:
        """Understand ``table`` or ``schema.table``.

        Raises:
            ConfigError: It is neither.
        """
        schema, dot, name = text.partition(".")
        if not dot:
            schema, name = "main", text
        if not schema or not name or "." in name or not text.isprintable():
            raise ConfigError(
                f"{text!r} is no name of a table", hint="write table='name', or table='schema.name'"
            )
        if schema.lower() == OURS:
            raise ConfigError(f"the schema {OURS} is kept for what was loaded", hint="name another one")
        return cls(schema, name)

    @property
    def rejects(self) -> TableName:
        """The table of the rows that did not fit."""
        return self._replace(name=f"{self.name}_rejects")

    @property
    def sql(self) -> str:
        """Return it quoted, for a statement."""
        return f"{quoted(self.schema)}.{quoted(self.name)}"

    def __str__(self) -> str:
        return self.name if self.schema == "main" else f"{self.schema}.{self.name}"


#: The schema of our own tables, out of the sight of ``SHOW TABLES``.
OURS = "haulyard"


def quoted(name: str) -> str:
    """Return a name as it stands in a statement."""
    return '"' + name.replace('"', '""') + '"'


@contextmanager
def registered(connection: DuckDBPyConnection, name: str, rows: object) -> Iterator[None]:
    """Let statements inside see ``rows``, in Arrow, as the view ``name``."""
    connection.register(name, rows)
    yield
    # Not after an error: a transaction that was aborted by it allows nothing more, and would say only that.
    connection.unregister(name)


class Database:
    """A DuckDB file that is open for writing; made by `open_database`.

    Its calls run in one thread, one after the other: the event loop stays free, and a connection of DuckDB
    may not be used twice at a time.
    """

    def __init__(
        self, path: str, connection: DuckDBPyConnection, thread: ThreadPoolExecutor, memory: int
    ) -> None:
        self.path = path
        self._memory = memory
        self._connection = connection
        self._thread = thread

    def provide(self, connection: DuckDBPyConnection, columns: int) -> None:
        """Let DuckDB have what a table of so many columns needs: up to three times its memory.

        It writes each column on its own, of 2,048 rows at least, in one thread as in several.
        """
        needed = min(columns * _COLUMN, 3 * self._memory)
        if needed > self._memory:
            connection.execute(f"SET memory_limit = '{needed // 1024}KiB'")
            connection.execute("SET threads = 1")

    async def run(self, work: Callable[[DuckDBPyConnection], T], *, interrupt: bool = True) -> T:
        """Return what ``work`` makes of the connection; cancelled, it still waits for the end of it.

        ``interrupt`` hastens that end.

        Raises:
            HaulError: What DuckDB complained of.
        """

        def translated() -> T:
            with _translated(self.path):
                return work(self._connection)

        future = asyncio.get_running_loop().run_in_executor(self._thread, translated)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            while not future.done():
                if interrupt:
                    # Again and again: it is lost on a connection that is between two statements.
                    self._connection.interrupt()
                # Nor may a second cancellation leave the thread at work on a connection that is closed.
                with suppress(asyncio.CancelledError):
                    await asyncio.wait([future], timeout=_INTERRUPTED if interrupt else None)
            if not future.cancelled():
                # Looked at, so that asyncio does not complain that nobody did.
                future.exception()
            raise

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        """Commit what is done inside where it ends well, else leave everything as it was."""
        await self.run(lambda connection: connection.execute("BEGIN TRANSACTION"))
        try:
            yield
            await self.run(lambda connection: connection.execute("COMMIT"), interrupt=False)
        except BaseException:
            # A commit that failed has ended the transaction already.
            with suppress(HaulError):
                await asyncio.shield(self.run(lambda connection: connection.execute("ROLLBACK")))
            raise


@asynccontextmanager
async def open_database(path: str, memory: int) -> AsyncIterator[Database]:
    """Open the DuckDB file ``path`` (it is made where there is none), which may use ``memory`` bytes.

    A file that was made here and stays without a table is removed again.

    Raises:
        DatabaseLocked: Another process has it open.
        NotFound: There is no such directory.
        AccessDenied: It may not be written.
        ConfigError: It is no path, or of no DuckDB file, or DuckDB is not installed.
    """
    duckdb = duckdb_module()
    is_new = not await asyncio.to_thread(_is_database, path)
    settings: dict[str, Any] = {
        "memory_limit": f"{max(memory, _LEAST) // 1024}KiB",
        # Nothing is fetched from the network that was not asked for.
        "autoinstall_known_extensions": False,
    }
    thread = ThreadPoolExecutor(1, thread_name_prefix="duckdb")

    def connect() -> DuckDBPyConnection:
        with _translated(path):
            found: DuckDBPyConnection = duckdb.connect(path, config=settings)
            _sweep(path)
            return found

    try:
        connection = await asyncio.get_running_loop().run_in_executor(thread, connect)
        database = Database(path, connection, thread, memory)
        try:
            yield database
        finally:
            await asyncio.shield(database.run(lambda connection: _close(connection, path, is_new=is_new)))
    finally:
        thread.shutdown()


#: Seconds between two interruptions of a statement that is not to go on.
_INTERRUPTED = 0.1
#: Bytes that a column of a table needs while it is written. 5,000 columns of 2,000 texts or numbers needed
#: between 256 and 320 MiB, with one thread.
_COLUMN = 72 * 1024
#: DuckDB refuses to work with less than about this.
_LEAST = 32 * 1024**2


def duckdb_module() -> Any:  # noqa: ANN401 -- a module that need not be installed
    """Return DuckDB.

    Raises:
        ConfigError: It is not installed.
    """
    try:
        import duckdb
    except ImportError:
        raise ConfigError(
            "tables need DuckDB, which is not installed", hint="pip install 'haulyard[data]'"
        ) from None
    return duckdb


def _is_database(path: str) -> bool:
    """Say whether there is a database at ``path``, or nothing at all.

    DuckDB itself would open Parquet, CSV and other databases as well, and what it calls ``:memory:``: a table
    that is made there is nowhere afterwards.

    Raises:
        ConfigError: It is something else, or no path of a file.
    """
    if not path or path.startswith(":") or _SCHEME.match(path):
        raise ConfigError(f"{path!r} is no path of a local file", hint="db= names one, such as haul.duckdb")
    try:
        with open(path, "rb") as file:
            head = file.read(_MAGIC_AT + len(_MAGIC))
    except (FileNotFoundError, NotADirectoryError):
        return False
    except PermissionError:
        raise AccessDenied(f"{path} may not be read", store="local", operation="open", key=path) from None
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}", hint="name another file by db=") from None
    if head[_MAGIC_AT:] != _MAGIC:
        raise ConfigError(f"{path} is no DuckDB database", hint="name another file by db=")
    return True


def _sweep(path: str) -> None:
    """Remove what a killed process had put aside for want of memory; the lock of ``path`` is held."""
    directory = f"{path}.tmp"
    with suppress(FileNotFoundError, NotADirectoryError):
        for name in os.listdir(directory):
            if name.startswith("duckdb_temp_"):
                os.unlink(os.path.join(directory, name))
        with suppress(OSError):
            os.rmdir(directory)


def _close(connection: DuckDBPyConnection, path: str, *, is_new: bool) -> None:
    """Close it, which writes what is in the log of the database into the database."""
    try:
        if is_new and _is_empty(connection):
            # While the lock is still held: who opens the name from now on makes a file of their own.
            for name in (path, f"{path}.wal"):
                with suppress(OSError):
                    os.unlink(name)
    finally:
        connection.close()


def _is_empty(connection: DuckDBPyConnection) -> bool:
    duckdb = duckdb_module()
    try:
        return not connection.execute("SELECT 1 FROM duckdb_tables() LIMIT 1").fetchall()
    except duckdb.Error:
        # A database that could not be written any more answers nothing: it is kept.
        return False


@contextmanager
def _translated(path: str) -> Iterator[None]:
    duckdb = duckdb_module()
    try:
        yield
    except duckdb.Error as error:
        raise _error(
            path, str(error), is_out_of_memory=isinstance(error, duckdb.OutOfMemoryException)
        ) from error


def _error(path: str, text: str, *, is_out_of_memory: bool) -> HaulError:
    """Return what DuckDB's complaint means."""
    line = text.partition("\n")[0]
    if any(sign in text for sign in _NO_SPACE):
        return IngestError(
            f"{path}: there is no space left to write to; the database is as it was",
            hint="make room, and run the same command again",
        )
    if is_out_of_memory:
        return IngestError(
            f"{path}: DuckDB needs more memory than it may use: {line}", hint="raise the limit: memory="
        )
    return _not_opened(path, text) or IngestError(f"{path}: {line}")


def _not_opened(path: str, text: str) -> HaulError | None:
    """Return why a database could not be opened, None where it is something else."""
    if "Could not set lock" in text:
        holder = _HOLDER.search(text)
        by = f" by {os.path.basename(holder[1])}, process {holder[2]}" if holder else ""
        return DatabaseLocked(
            f"{path} is in use{by}; nothing was loaded",
            hint="close it there (DuckDB lets one process write at a time), and run the same command again",
        )
    if "different configuration" in text:
        return DatabaseLocked(
            f"{path} is open in this very program; nothing was loaded", hint="close it there first"
        )
    if "not a valid DuckDB database file" in text:
        return ConfigError(f"{path} is no DuckDB database", hint="name another file by db=")
    return _not_reached(path, text) if "Cannot open file" in text or "Could not open" in text else None


def _not_reached(path: str, text: str) -> HaulError | None:
    if "No such file" in text:
        return NotFound(
            f"{path}: there is no such directory",
            store="local",
            operation="open",
            key=path,
            hint="make it first",
        )
    if "ermission denied" in text or "Read-only" in text:
        return AccessDenied(f"{path} may not be written", store="local", operation="open", key=path)
    return None
