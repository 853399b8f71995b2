"""Loads that are killed at a step each: ``python -m tests.crash.ingest.victims CASES``.

Every case is a process of its own, forked from this one, which has imported what is slow to import and has
started no thread. The file of cases gets, line by line, how they ended.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
from tests.ingest.premises import Pieces, Premises

from haulyard.ingest import loading, tables, tables_writing
from haulyard.ingest.loading_feed import Feed

#: Enough for DuckDB to write a row group of 122,880 rows into the file before the end.
BATCHES, ROWS = 3, 45_000


def _batches() -> list[pa.RecordBatch]:
    """Return rows with the keys 0 to BATCHES * ROWS."""
    return [
        pa.RecordBatch.from_pydict(
            {
                "id": pa.array(range(first, first + ROWS)),
                "name": pa.array([f"new {number:x}" for number in range(first, first + ROWS)]),
            }
        )
        for first in range(0, BATCHES * ROWS, ROWS)
    ]


def _die(*_: Any, **__: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _before(module: Any, name: str) -> None:
    original = getattr(module, name)

    def dying(*args: Any, **more: Any) -> Any:
        _die()
        return original(*args, **more)

    setattr(module, name, dying)


def _after(module: Any, name: str) -> None:
    original = getattr(module, name)

    def dying(*args: Any, **more: Any) -> Any:
        found = original(*args, **more)
        _die()
        return found

    setattr(module, name, dying)


class _Connection:
    """Dies before or after a statement."""

    def __init__(self, connection: Any, statement: str, *, after: bool) -> None:
        self._connection = connection
        self._statement = statement
        self._after = after

    def execute(self, statement: str, *more: Any) -> Any:
        is_meant = statement.startswith(self._statement)
        if is_meant and not self._after:
            _die()
        found = self._connection.execute(statement, *more)
        if is_meant:
            found.fetchall()
            _die()
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


def _at_statement(statement: str, *, after: bool = False) -> None:
    original = tables.Database.run

    async def run(self: tables.Database, work: Any, **more: Any) -> Any:
        def wrapped(connection: Any) -> Any:
            return work(_Connection(connection, statement, after=after))

        return await original(self, wrapped, **more)

    tables.Database.run = run  # type: ignore[method-assign]


def _in_the_insert() -> None:
    original = Feed._batches

    def batches(self: Feed) -> Any:
        for number, batch in enumerate(original(self)):
            if number == BATCHES - 1:
                _die()
            yield batch

    Feed._batches = batches  # type: ignore[method-assign]


STEPS: dict[str, Any] = {
    "before anything": lambda: _after(loading, "remembered_of"),
    "before staging": lambda: _before(tables_writing.TableWriter, "_prepare"),
    "after staging": lambda: _after(tables_writing.TableWriter, "_prepare"),
    "in the insert": _in_the_insert,
    "after the insert": lambda: _at_statement("INSERT", after=True),
    "before the merge": lambda: _at_statement("MERGE"),
    "after the merge": lambda: _at_statement("MERGE", after=True),
    "before the commit": lambda: _at_statement("COMMIT"),
    "after the commit": lambda: _at_statement("COMMIT", after=True),
    "before closing": lambda: _before(tables, "_close"),
}
#: Where what was loaded is there to stay.
SAFE = ("after the commit", "before closing")


def _load(directory: str, mode: str, batches: list[pa.RecordBatch]) -> None:
    premises = Premises(Path(directory))
    key = ("id",) if mode == "upsert" else ()
    asyncio.run(premises.load_pieces(Pieces(*batches), mode=mode, key=key))


def _fork(directory: str, mode: str, step: str, *, batches: list[pa.RecordBatch]) -> int:
    child = os.fork()
    if not child:
        try:
            if step:
                STEPS[step]()
            _load(directory, mode, batches)
        except BaseException as error:  # noqa: BLE001 -- whatever it is, the test is to hear of it
            print(repr(error), file=sys.stderr)  # noqa: T201 -- likewise
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main(path: str) -> None:
    """Run what the lines of a file say, each a JSON array of directory, mode and step."""
    batches = _batches()
    with open(path) as cases, open(f"{path}.ended", "w") as ended:
        ended.writelines(f"{_fork(*json.loads(line), batches=batches)}\n" for line in cases)


if __name__ == "__main__":
    main(sys.argv[1])
