"""An endpoint that embeds as OpenAI's does, with vectors that follow from the texts; and a table for it."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from struct import pack, unpack
from typing import TYPE_CHECKING, Any

import orjson
import pyarrow as pa

from haulyard.client.session import Session
from haulyard.config import resolve
from haulyard.ingest.embedding.job import embed, settle
from haulyard.ingest.embedding.model import Embedding
from haulyard.ingest.loaded_sources import has_table
from haulyard.ingest.tables import TableName, open_database
from haulyard.testing.api import Rule

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from haulyard.ingest.embedding.model import Embedded
    from haulyard.ingest.tables import Database
    from haulyard.testing.api import Call

SECRET = "sk-not-to-be-seen-anywhere"
TABLE = TableName("main", "reviews")
STAGED = TableName("main", "reviews_staged")


def vector_of(text: str, dimensions: int = 4) -> list[float]:
    """Return the vector of a text: numbers that float32 holds exactly."""
    digest = hashlib.sha256(text.encode()).digest()
    return [number / 256 for number in unpack(f"{dimensions}B", digest[:dimensions])]


def embeds(call: Call, dimensions: int = 4) -> bytes:
    """Answer as OpenAI does: in base64 where that is asked for, in the order of the texts."""
    asked = call.json()
    packed = asked.get("encoding_format") == "base64"
    data: list[dict[str, Any]] = []
    for index, text in enumerate(asked["input"]):
        vector: Any = vector_of(text, asked.get("dimensions", dimensions))
        if packed:
            vector = b64encode(pack(f"<{len(vector)}f", *vector)).decode()
        data.append({"object": "embedding", "index": index, "embedding": vector})
    return orjson.dumps({"object": "list", "model": asked["model"], "data": data})


EMBEDS = Rule(body=embeds)
"""The last rule of every endpoint."""


def refuses(message: str, **fields: str) -> str:
    """Return the body of an error as OpenAI writes it."""
    return orjson.dumps({"error": {"message": message, "type": "invalid_request_error", **fields}}).decode()


def texts_sent(calls: Iterable[Call]) -> Counter[str]:
    """Return how often each text was answered with a vector."""
    return Counter(text for call in calls if call.delivered for text in call.json()["input"])


@dataclass
class Work:
    """Loads of one table, each as a command would make it."""

    directory: Path
    rows: Sequence[tuple[Any, ...]]
    embedding: Embedding
    environ: dict[str, str] = field(default_factory=dict)
    columns: str = "id BIGINT, text VARCHAR"
    events: list[Any] = field(default_factory=list)

    def asked(self, **fields: Any) -> None:
        """Change what is asked for."""
        self.embedding = replace(self.embedding, **fields)

    @property
    def session(self) -> Session:
        """A session as a client has it."""
        settings = resolve({"job_dir": str(self.directory / "jobs")}, self.environ, str(self.directory))
        return Session(settings, self.events.append)

    @asynccontextmanager
    async def staged(self) -> AsyncIterator[Database]:
        """Open the database, with the rows staged in a transaction that ends with the block."""
        async with self._database() as database, database.transaction():
            await database.run(self._stage)
            yield database

    async def load(self) -> Embedded:
        """Load the rows with their vectors, and say so."""
        async with self.staged() as database:
            done = await embed(self.session, database, STAGED, self.embedding, table=TABLE)
            await database.run(_publish)
        settle(done)
        return done

    async def table(self) -> list[tuple[Any, ...]] | None:
        """Return the rows of the table, None where there is no table."""
        async with self._database() as database:
            return await database.run(_rows)

    def _database(self) -> AbstractAsyncContextManager[Database]:
        return open_database(str(self.directory / "reviews.duckdb"), 256 * 1024**2)

    def files(self) -> list[str]:
        """Return the paths of all files of its jobs, relative to the directory of jobs."""
        jobs = self.directory / "jobs"
        return sorted(str(path.relative_to(jobs)) for path in jobs.rglob("*") if path.is_file())

    def _stage(self, connection: Any) -> None:
        connection.execute(f"CREATE TABLE {STAGED.sql} ({self.columns})")
        if not self.rows:
            return
        names = [each.split()[0] for each in self.columns.split(", ")]
        columns = (list(column) for column in zip(*self.rows, strict=True))
        connection.register("content", pa.table(dict(zip(names, columns, strict=True))))
        connection.execute(f"INSERT INTO {STAGED.sql} FROM content")
        connection.unregister("content")


def _publish(connection: Any) -> None:
    connection.execute(f"DROP TABLE IF EXISTS {TABLE.sql}")
    connection.execute(f"ALTER TABLE {STAGED.sql} RENAME TO {TABLE.name}")


def _rows(connection: Any) -> list[tuple[Any, ...]] | None:
    if not has_table(connection, TABLE):
        return None
    rows: list[tuple[Any, ...]] = connection.execute(f"FROM {TABLE.sql}").fetchall()
    return rows


def working(directory: Path, url: str, rows: Sequence[tuple[Any, ...]], **fields: Any) -> Work:
    """Return loads of ``rows`` that are embedded by the endpoint at ``url``."""
    embedding = Embedding(**{"model": "small", "url": url, "limits": (), "timeout": 5.0, **fields})
    return Work(directory, rows, embedding, {"OPENAI_API_KEY": SECRET})


def reviews(count: int) -> list[tuple[int, str]]:
    """Return rows whose texts are all different."""
    return [(number, f"review {number}: {'good' if number % 2 else 'bad'}") for number in range(count)]
