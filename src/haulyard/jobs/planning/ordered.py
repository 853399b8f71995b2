"""Writes down what the comparison of names came to: ordered shards, and changed rows in the normal ones.

It can be killed at any moment and done again. First the names of the normal shards that will change are
noted in ``finishing.json``, then the ordered shards are made, then the rows are changed, a shard at a time.
Who finds that note begins with `restore`: the ordered shards are removed, and the rows become what they were.
"""

from __future__ import annotations

import os
from contextlib import suppress
from itertools import groupby
from typing import TYPE_CHECKING, Final

from haulyard.errors import JobError
from haulyard.jobs.model import PLAN_COLUMNS, PLAN_DDL, PLAN_TABLE, SHARD_ROWS
from haulyard.jobs.planning.clashes import VALUES
from haulyard.journal import durable
from haulyard.journal.amending import amended
from haulyard.journal.building import ShardBuilder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from haulyard.jobs.planning.clashes import Amendment, Row
    from haulyard.journal.folder import JobFolder

#: The document that names the shards whose rows change.
_NOTE: Final = "finishing"
#: What the names of ordered shards start with.
ORDERED: Final = "ordered-"

# Of the rows that act only a placeholder has no key.
_RESTORE: Final = """
UPDATE op SET conflict = :NONE, present = '', action = CASE
  WHEN action IN (:ORDERED, :CYCLE) OR (action = :SKIPPED AND conflict = :SAME)
  THEN iif(key = '', :FOLDER, :ACT) ELSE action END
WHERE conflict <> :NONE OR action IN (:ORDERED, :CYCLE)
"""
_AMEND: Final = "UPDATE op SET action = ?, conflict = ?, present = ? WHERE id = ?"


def normal_shards(folder: JobFolder) -> list[str]:
    """Return the paths of the shards whose order does not matter."""
    return [path for path in folder.shard_paths() if not os.path.basename(path).startswith(ORDERED)]


def restore(folder: JobFolder) -> None:
    """Make the shards what they were before `note`; nothing happens where it was not called.

    Raises:
        JobError: A shard is locked or damaged, or cannot be written.
    """
    note = folder.read(_NOTE)
    if note is None:
        return
    _remove_ordered(folder)
    for name in note["shards"]:
        with amended(os.path.join(folder.shards, name)) as connection:
            connection.execute(_RESTORE, VALUES)


def note(folder: JobFolder, paths: Iterable[str]) -> None:
    """Write down which normal shards are going to change. Raises JobError."""
    folder.write(_NOTE, {"shards": [os.path.basename(path) for path in paths]})


def write_ordered(
    folder: JobFolder, pages: Iterable[list[Row]], *, shard_rows: int = SHARD_ROWS
) -> Iterator[str]:
    """Make ordered shards of rows without ids, and yield the path of each once it is sealed.

    Raises:
        JobError: One cannot be written.
    """
    waiting: list[Row] = []
    number = 0
    builder: ShardBuilder | None = None
    try:
        for page in pages:
            waiting += page
            while waiting:
                builder = builder or _builder(folder, number)
                room = shard_rows - builder.count
                builder.add(waiting[:room])
                del waiting[:room]
                if builder.count == shard_rows:
                    builder.seal()
                    yield builder.path
                    builder, number = None, number + 1
        if builder:
            builder.seal()
            yield builder.path
            builder = None
    finally:
        if builder:
            builder.discard()


def amend(paths: list[str], amendments: Iterable[Amendment]) -> Iterator[str]:
    """Change rows of normal shards, by their numbers in ``paths``; yield the path of each that was changed.

    Raises:
        JobError: A shard is locked or damaged, or cannot be written.
    """
    for shard, changes in groupby(amendments, key=lambda each: each.shard):
        with amended(paths[shard]) as connection:
            connection.executemany(
                _AMEND, ((each.action, each.conflict, each.present, each.id) for each in changes)
            )
        yield paths[shard]


def _builder(folder: JobFolder, number: int) -> ShardBuilder:
    path = os.path.join(folder.shards, f"{ORDERED}{number:05}.db")
    return ShardBuilder(path, PLAN_DDL, PLAN_TABLE, PLAN_COLUMNS)


def _remove_ordered(folder: JobFolder) -> None:
    try:
        for name in os.listdir(folder.shards):
            if name.startswith(ORDERED):
                with suppress(FileNotFoundError):
                    os.unlink(os.path.join(folder.shards, name))
        durable.fsync_directory(folder.shards)
    except OSError as error:
        raise JobError(
            f"{error.filename or folder.shards} cannot be removed: {error.strerror}",
            hint="make the directory writable for this user",
        ) from error
