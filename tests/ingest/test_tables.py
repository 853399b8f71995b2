from __future__ import annotations

import asyncio
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, cast

import duckdb
import pyarrow as pa
import pytest
from pyarrow import parquet as pq
from tests.ingest.premises import MEMORY, Pieces, batch

from haulyard.errors import AccessDenied, ConfigError, DatabaseLocked, IngestError, NotFound
from haulyard.ingest.loading import load
from haulyard.ingest.tables import open_database

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.ingest.premises import Premises

    from haulyard.ingest.dataset import Dataset

pytestmark = pytest.mark.anyio


async def test_a_database_that_another_process_has_open_is_said_to_be_in_use(premises: Premises) -> None:
    script = "import sys, duckdb; held = duckdb.connect(sys.argv[1]); print(1, flush=True); sys.stdin.read()"
    words = [sys.executable, "-c", script, premises.db]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(DatabaseLocked, match=rf"in use by python\S*, process {other.pid}"):
            await premises.load_pieces(Pieces(batch(a=[1])))
        other.communicate()
    assert (await premises.load_pieces(Pieces(batch(a=[1])))).rows_loaded == 1


async def test_a_file_that_is_no_database_is_not_touched(premises: Premises) -> None:
    with open(premises.db, "wb") as file:
        file.write(b"no database" * 4096)
    with pytest.raises(ConfigError, match="is no DuckDB database"):
        await premises.load_pieces(Pieces(batch(a=[1])))
    assert os.path.getsize(premises.db) == 11 * 4096


@pytest.mark.parametrize("name", ["rows.parquet", "rows.csv", "rows.db", "empty.duckdb"])
async def test_files_that_duckdb_would_open_as_something_else_are_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name == "rows.parquet":
        pq.write_table(pa.table({"a": [1]}), path)
    elif name == "rows.csv":
        path.write_text("a\n1\n")
    elif name == "empty.duckdb":
        path.touch()
    else:
        sqlite3.connect(path).executescript("CREATE TABLE t (a INTEGER)").connection.close()
    before = path.read_bytes()
    with pytest.raises(ConfigError, match="is no DuckDB database"):
        async with open_database(str(path), MEMORY):
            pass
    assert path.read_bytes() == before


@pytest.mark.parametrize("path", ["", ":memory:", ":memory:x", "md:x", "s3://b/x.duckdb", "sqlite:x.db"])
async def test_what_is_no_path_of_a_file_is_refused(path: str) -> None:
    with pytest.raises(ConfigError, match="is no path of a local file"):
        async with open_database(path, MEMORY):
            pass


async def test_a_directory_is_no_database(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Is a directory"):
        async with open_database(str(tmp_path), MEMORY):
            pass


async def test_a_table_of_thousands_of_columns_gets_the_memory_that_they_need(premises: Premises) -> None:
    wide = batch(**{f"c{number}": ["x", "y"] for number in range(1000)})
    async with open_database(premises.db, 32 * 1024**2) as database:
        await load(cast("Dataset", Pieces(wide)), database, premises.order(), premises.events.append)
        limit = await database.run(
            lambda connection: connection.execute("SELECT current_setting('memory_limit')").fetchall()
        )
    assert limit == [("70.3 MiB",)]
    assert premises.query("SELECT c0, c999 FROM t") == [("x", "x"), ("y", "y")]


async def test_a_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no such directory"):
        async with open_database(str(tmp_path / "no" / "t.duckdb"), MEMORY):
            pass


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
async def test_a_directory_that_may_not_be_written_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(AccessDenied, match="may not be written"):
        async with open_database(str(tmp_path / "t.duckdb"), MEMORY):
            pass


async def test_a_database_that_this_process_has_open_is_said_to_be(premises: Premises) -> None:
    with duckdb.connect(premises.db), pytest.raises(DatabaseLocked, match="open in this very program"):
        await premises.load_pieces(Pieces(batch(a=[1])))


async def test_what_a_killed_process_put_aside_is_removed(premises: Premises) -> None:
    aside = premises.directory / "t.duckdb.tmp"
    aside.mkdir()
    (aside / "duckdb_temp_1_0_storage_DEFAULT-0.tmp").write_bytes(b"x")
    (aside / "mine").write_bytes(b"x")
    await premises.load_pieces(Pieces(batch(a=[1])))
    assert os.listdir(aside) == ["mine"]
    (aside / "mine").unlink()
    await premises.load_pieces(Pieces(batch(a=[1])), mode="replace")
    assert not aside.exists()


async def test_a_database_that_stays_empty_is_removed_again(premises: Premises) -> None:
    async with open_database(premises.db, MEMORY):
        assert os.path.exists(premises.db)
    assert os.listdir(premises.directory) == []


async def test_a_database_that_was_empty_before_stays(premises: Premises) -> None:
    duckdb.connect(premises.db).close()
    async with open_database(premises.db, MEMORY):
        pass
    assert os.path.exists(premises.db)


async def test_a_cancelled_statement_ends_before_the_caller_goes_on(premises: Premises) -> None:
    began = threading.Event()
    ended = []

    def work(connection: duckdb.DuckDBPyConnection) -> None:
        began.set()
        try:
            connection.execute("SELECT sum(random()) FROM range(1_000_000_000_000)").fetchall()
        finally:
            ended.append(True)

    async with open_database(premises.db, MEMORY) as database:
        task = asyncio.ensure_future(database.run(work))
        await asyncio.to_thread(began.wait)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ended == [True]
        assert await database.run(lambda connection: connection.execute("SELECT 1").fetchall()) == [(1,)]


@pytest.fixture
def small_files() -> Iterator[None]:
    """No file may become larger than 4 MiB, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4 * 1024**2, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


async def test_a_full_disk_leaves_the_table_as_it_was(premises: Premises, small_files: None) -> None:
    await premises.load_pieces(Pieces(batch(a=["old"])))
    texts = [os.urandom(50).hex() for _ in range(20_000)]
    with pytest.raises(IngestError, match="no space left"):
        await premises.load_pieces(Pieces(*[batch(a=texts)] * 30), mode="append", force=True)
    assert premises.query("FROM t") == [("old",)]
    again = await premises.load_pieces(Pieces(batch(a=["new"])), mode="append", force=True)
    assert again.rows_loaded == 1
