"""Leads through an embedding: texts out of a staged table, a records job, vectors back into the table."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from haulyard._version import __version__
from haulyard.client.session import both
from haulyard.errors import ApiUnavailable, ConfigError, IngestError, TransferError
from haulyard.ingest.embedding.columns import chosen_columns
from haulyard.ingest.embedding.endpoint import Endpoint, address_of, headers_of
from haulyard.ingest.embedding.letters import failures_of
from haulyard.ingest.embedding.model import Embedded
from haulyard.ingest.embedding.texts import write_texts
from haulyard.ingest.embedding.vectors import answer_files, dimensions_of, join_vectors
from haulyard.ingest.loaded_sources import has_table
from haulyard.ingest.tables import quoted
from haulyard.journal import durable
from haulyard.journal.folder import JobFolder, derived_name
from haulyard.records import processing
from haulyard.records.outbox import Place
from haulyard.records.pacer import Limit
from haulyard.records.parts import Source
from haulyard.records.processing import RunOptions, Surroundings
from haulyard.records.specification import Specification
from haulyard.records.stages import FINISHED, stage_of
from haulyard.stores.local import LocalStore
from haulyard.transfer.selection import select

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from duckdb import DuckDBPyConnection

    from haulyard.client.session import Session
    from haulyard.events import Emit
    from haulyard.ingest.embedding.model import Embedding
    from haulyard.ingest.embedding.texts import Texts
    from haulyard.ingest.tables import Database, TableName
    from haulyard.records.processing import Outcome

_TEXTS: Final = "texts.jsonl"
_VECTORS: Final = "vectors"
_VECTORS_OF: Final = re.compile(r"FLOAT\[(\d*)\]")
#: A document of a job whose vectors are in their table.
_LOADED: Final = "loaded"


def foresee(embedding: Embedding, columns: Mapping[str, bool], environ: Mapping[str, str]) -> tuple[str, str]:
    """Find what is wrong before anything is loaded; return the columns of the texts and of the vectors.

    ``columns`` are all of the table, each with whether it holds text.

    Raises:
        ConfigError: See `chosen_columns`, `address_of` and `headers_of`.
    """
    headers_of(address_of(embedding, environ), environ)
    return chosen_columns(columns, embedding)


async def embed(
    session: Session,
    database: Database,
    staged: TableName,
    embedding: Embedding,
    *,
    table: TableName,
    expect: Callable[[int, int], None] = lambda _records, _bytes: None,
    on_event: Emit | None = None,
) -> Embedded:
    """Give a staged table its column of vectors; its rows stay in their order.

    Each distinct text is sent once. What was answered is kept in a job's folder: a load that was killed, and
    is made again, sends what is left. `settle` removes that once the table is there.

    Args:
        session: Has the settings, and is told of events.
        database: Has the table.
        staged: What is to become ``table``.
        embedding: What is asked for.
        table: What the texts are loaded into; with the database it tells this job from others.
        expect: Is told of the bytes of texts that are left to be sent.
        on_event: Is told of events as well.

    Raises:
        ConfigError: The endpoint cannot be used like that, or the columns do not fit.
        ApiDenied, ApiUnavailable: It cannot be used now; nothing that was paid for is lost.
        JobError: Somebody works on the same, or what was kept is damaged.
        TransferError: A text has no vector, and ``embedding.strict``.
        IngestError: Not one text has a vector, or vectors differ in their length.
    """
    environ = session.settings.environment
    columns = await database.run(lambda connection: _columns(connection, staged))
    column, into = foresee(embedding, columns, environ)
    there = await database.run(lambda connection: _dimensions(connection, table, into))
    url = address_of(embedding, environ)
    place = _place(session, database, (str(table), column, url, embedding.model, str(embedding.dimensions)))
    try:
        texts = await database.run(lambda connection: write_texts(connection, staged, column, place.part))
        if not texts.number:
            await database.run(lambda connection: join_vectors(connection, staged, column, into, (), 0))
            rows = await database.run(lambda connection: _without(connection, staged, column, into))
            return Embedded(column, into, embedding.model, rows_without=rows[0])
        job = _Job(_folder(place, texts, url, embedding), session, embedding, url, on_event)
        job.wanted = there
    finally:
        with suppress(FileNotFoundError):
            os.unlink(place.part)
    outcome = await job.send(expect)
    failed, samples = failures_of(job.folder)
    job.judge(outcome, texts, failed, samples)
    paths = answer_files(os.path.join(job.folder.path, _VECTORS))
    size = dimensions_of(paths)
    await database.run(lambda connection: join_vectors(connection, staged, column, into, paths, size))
    without, lost = await database.run(lambda connection: _without(connection, staged, column, into))
    return Embedded(
        column,
        into,
        embedding.model,
        size,
        texts.number,
        failed,
        without,
        lost,
        outcome.account.calls,
        job.folder.name,
        job.folder.path,
        samples,
    )


def settle(embedded: Embedded) -> None:
    """Remove the texts and vectors of a job whose table is there; its numbers and dead letters stay."""
    if not embedded.path:
        return
    folder = JobFolder.open(*os.path.split(embedded.path))
    folder.write(_LOADED, {"rows_failed": embedded.rows_failed})
    shutil.rmtree(os.path.join(folder.path, _VECTORS), ignore_errors=True)
    with suppress(FileNotFoundError):
        os.unlink(os.path.join(folder.path, _TEXTS))


class _Job:
    """The records job that sends the texts."""

    def __init__(
        self, folder: JobFolder, session: Session, embedding: Embedding, url: str, on_event: Emit | None
    ) -> None:
        self.folder = folder
        self._session = session
        self._embedding = embedding
        self._url = url
        self._emit = both(session.emit, on_event)
        self.wanted = 0
        """Numbers of the vectors that the table has already, 0 where it has none."""

    async def send(self, expect: Callable[[int, int], None]) -> Outcome:
        """Send what is left; what failed in a load that did not come to its end is sent again first."""
        embedding = self._embedding
        options = RunOptions(
            limits=tuple(Limit(calls, seconds) for calls, seconds in embedding.limits),
            max_in_flight=embedding.max_in_flight,
            timeout=embedding.timeout,
            retry_failed=stage_of(self.folder)[0] == FINISHED and failures_of(self.folder)[0] > 0,
        )
        around = self._around(expect)
        try:
            return await processing.process(self.folder, around, options)
        except ApiUnavailable as error:
            raise ApiUnavailable(
                error.message,
                status=error.status,
                hint="nothing that was paid for is lost: run the same command again once it works",
            ) from error
        finally:
            # A job that is finished closes nothing.
            if around.target is not None:
                await around.target.close()

    def judge(
        self, outcome: Outcome, texts: Texts, failed: int, samples: tuple[tuple[str, str], ...]
    ) -> None:
        """Raise where a load must not go on."""
        if outcome.unread or not outcome.is_finished:
            raise IngestError(f"not all texts of job {self.folder.name} were sent", hint="run it again")
        if not failed:
            return
        why = f"{samples[0][1]}" if samples else "haul status says why"
        hint = f"haul process --dead-letters {self.folder.name} lists them; run again, they are sent anew"
        if failed >= texts.number:
            raise IngestError(
                f"{self._url.partition('?')[0]} took not one of {failed:,} texts: {why}", hint=hint
            )
        if self._embedding.strict:
            raise TransferError(
                f"{failed:,} of {texts.number:,} texts have no vector, so nothing was loaded: {why}",
                failed=failed,
                hint=hint,
            )

    def _around(self, expect: Callable[[int, int], None]) -> Surroundings:
        path, settings = self.folder.path, self._session.settings
        vectors = os.path.join(path, _VECTORS)
        os.makedirs(vectors, exist_ok=True)
        known = dimensions_of(answer_files(vectors, os.path.join(path, "responses")))
        return Surroundings(
            Source(LocalStore(path), select(_TEXTS, raw=True)),
            settings,
            settings.environment,
            self._emit,
            answers=Place(LocalStore(vectors), ""),
            expect=expect,
            target=Endpoint(self._embedding, self._url, settings, settings.environment, known, self.wanted),
        )


class _Place(NamedTuple):
    """Where jobs are, what tells this one from others, and the file that texts are written to at first."""

    directory: str
    about: tuple[str, ...]
    part: str


def _place(session: Session, database: Database, about: tuple[str, ...]) -> _Place:
    directory = os.path.abspath(session.settings.job_dir)
    try:
        os.makedirs(directory, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"the vectors cannot be kept in {directory}: {error.strerror}",
            hint="HAUL_JOB_DIR names another directory",
        ) from error
    # The table first: it is what the job's name shows.
    about = (*about, os.path.realpath(database.path))
    return _Place(directory, about, os.path.join(directory, f".{derived_name('texts', *about)}.part"))


def _folder(place: _Place, texts: Texts, url: str, embedding: Embedding) -> JobFolder:
    """Return the folder of the job of these texts, with them in it."""
    directory, about, part = place
    name = derived_name("embed", *about, texts.digest)
    path = os.path.join(directory, name)
    specification = Specification(
        source=os.path.join(path, _TEXTS),
        to=f"{embedding.model} at {url}",
        format="jsonl",
        compression="none",
        raw=True,
        body="array",
        records_per_call=embedding.batch,
        save_responses=os.path.join(path, _VECTORS),
        created=time.time(),
        release=__version__,
        uid=secrets.token_hex(6),
    )
    folder = None
    if JobFolder.exists(directory, name):
        folder = JobFolder.open(directory, name)
        is_over = folder.read(_LOADED) is not None or embedding.new
        folder = None if is_over else folder
    if folder is None:
        folder = processing.create(directory, specification, name, new=True).folder
    if not os.path.exists(source := os.path.join(folder.path, _TEXTS)):
        os.replace(part, source)
        durable.fsync_directory(folder.path)
    return folder


def _columns(connection: DuckDBPyConnection, table: TableName) -> dict[str, bool]:
    rows = connection.execute(f"DESCRIBE {table.sql}").fetchall()
    return {str(row[0]): str(row[1]) == "VARCHAR" for row in rows}


def _dimensions(connection: DuckDBPyConnection, table: TableName, into: str) -> int:
    """Return the numbers of the vectors that a table has already, 0 where it has none.

    Raises:
        IngestError: The column is of another type.
    """
    if not has_table(connection, table):
        return 0
    rows = connection.execute(f"DESCRIBE {table.sql}").fetchall()
    kind = next((str(row[1]) for row in rows if str(row[0]).lower() == into.lower()), "FLOAT[]")
    found = _VECTORS_OF.fullmatch(kind)
    if found is None:
        raise IngestError(
            f"{table} has a column {into}, of type {kind}, which takes no vectors",
            hint="give them another name: Embedding(into='NAME')",
        )
    return int(found[1] or 0)


def _without(connection: DuckDBPyConnection, table: TableName, column: str, into: str) -> tuple[int, int]:
    """Return how many rows have no vector, and how many of these have a text."""
    row = connection.execute(
        f"SELECT count(*), count(*) FILTER ({quoted(column)} <> '') "  # noqa: S608 -- quoted
        f"FROM {table.sql} WHERE {quoted(into)} IS NULL"
    ).fetchone()
    return (int(row[0]), int(row[1])) if row else (0, 0)
