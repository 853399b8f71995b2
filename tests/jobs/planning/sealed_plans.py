"""Small plans on disk for the tests of what reads and finishes them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from haulyard.jobs.ends import Ends
from haulyard.jobs.model import PLAN_COLUMNS, PLAN_DDL, PLAN_TABLE, Action, Operation
from haulyard.jobs.planning.ordered import normal_shards
from haulyard.jobs.planning.spill import Spill
from haulyard.journal.building import ShardBuilder
from haulyard.journal.folder import JobFolder
from haulyard.journal.shard import Shard
from haulyard.stores.memory import MemoryStore
from haulyard.transfer.mapping import Target
from haulyard.transfer.selection import select

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from haulyard.stores.base import Store


def row(
    key: str,
    destination: str = "",
    action: Action = Action.ACT,
    *,
    version: str = "",
    size: int = 1,
    etag: str = "",
    modified: float = 1.5,
) -> Operation:
    """Return a row as the planner makes them; without a destination it is one that stays."""
    if not destination and action is Action.ACT:
        action = Action.SKIPPED
    etag = etag or f"etag of {key}"
    return Operation(0, action, 0, key, version, size, modified, etag, "STANDARD", destination)


def make_plan(
    directory: str,
    rows: Sequence[Operation],
    *,
    rows_a_shard: int = 3,
    specification: Mapping[str, object] | None = None,
) -> JobFolder:
    """Write a job's folder with these rows in shards of a few."""
    folder = JobFolder.create(directory, "job", specification or {"kind": "bulk", "verb": "move"})
    for number, start in enumerate(range(0, len(rows), rows_a_shard)):
        path = os.path.join(folder.shards, f"{number:05}.db")
        builder = ShardBuilder(path, PLAN_DDL, PLAN_TABLE, PLAN_COLUMNS)
        builder.add([each[1:] for each in rows[start : start + rows_a_shard]])
        builder.seal()
    return folder


def spilled(folder: JobFolder) -> Spill:
    """Return the spill of all rows, as a resumed plan makes it."""
    spill = Spill(folder.path)
    spill.refill(normal_shards(folder))
    return spill


def one_store(store: Store | None = None) -> Ends:
    """Return the ends of a job within one store."""
    store = store or MemoryStore("b")
    return Ends(store, select(""), store, Target("", into=True))


def two_stores(destination: Store | None = None) -> Ends:
    """Return the ends of a job from one store to another."""
    return Ends(MemoryStore("a"), select(""), destination or MemoryStore("b"), Target("", into=True))


def read_plan(folder: JobFolder) -> dict[str, list[Operation]]:
    """Return the rows of every shard, by its file's name; all that a later command can see of a plan."""
    shards = {}
    for path in folder.shard_paths():
        with Shard.open(path, owner="test", read_only=True) as shard:
            rows = [Operation._make(each) for page in shard.rows() for each in page]
        shards[os.path.basename(path)] = rows
    return shards
