"""Small bulk jobs on disk, planned and partly applied, for the tests of what tells about them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import anyio

from haulyard.jobs.model import PLAN_COLUMNS, PLAN_DDL, PLAN_TABLE, Action, Stage, Verb
from haulyard.jobs.specification import Specification
from haulyard.journal.building import ShardBuilder
from haulyard.journal.folder import JobFolder
from haulyard.journal.shard import Shard

if TYPE_CHECKING:
    from collections.abc import Sequence

START = 1_760_000_000.0
#: An entry without its time: item, phase, seconds after `START`, details.
Entry = tuple[int, str, float, dict[str, Any]]
COPIED = {"etag": '"e1"', "version": "", "size": 100, "verified": "checksum", "seconds": 0.05}
DENIED = {
    "error": "S3PermissionError",
    "code": "AccessDenied",
    "status": 403,
    "message": "denied",
    "attempts": 1,
}


def begun(at: float = 0.0, pid: int = 7, **details: Any) -> Entry:
    return 0, "begun", at, {"pid": pid, "host": "host", **details}


def row(
    key: str,
    destination: str = "",
    action: Action = Action.ACT,
    *,
    rule: int = 0,
    size: int = 100,
    conflict: int = 0,
) -> tuple[Any, ...]:
    """Return the values of a plan's row without its id."""
    destination = destination or (f"new/{key}" if action in {Action.ACT, Action.ORDERED} else "")
    return (int(action), rule, key, "", size, START, '"e1"', "STANDARD", destination, 0, conflict, "")


def make_job(
    directory: str, name: str = "job", verb: Verb = Verb.MOVE, stage: Stage | None = None, **fields: Any
) -> JobFolder:
    """Make a job's folder, at ``stage``."""
    fields = {
        "source": "s3://photos/in/",
        "destination": "s3://archive/",
        "created": START,
        "release": "0.1",
        **fields,
    }
    folder = JobFolder.create(directory, name, Specification(verb, **fields).to_json())
    if stage:
        folder.write("state", {"stage": stage.value})
    return folder


def add_shard(
    folder: JobFolder,
    rows: Sequence[tuple[Any, ...]],
    entries: Sequence[Entry] = (),
    *,
    name: str = "00000.db",
    tally: dict[str, Any] | None = None,
) -> str:
    """Add a shard, and a journal where there are entries; return its path."""
    builder = ShardBuilder(os.path.join(folder.shards, name), PLAN_DDL, PLAN_TABLE, PLAN_COLUMNS)
    builder.add(rows)
    builder.seal()
    if entries or tally is not None:
        anyio.run(_record, builder.path, entries, tally)
    return builder.path


async def _record(path: str, entries: Sequence[Entry], tally: dict[str, Any] | None) -> None:
    async with Shard.open(path, owner="test") as shard:
        for item, phase, at, details in entries:
            # One commit each.
            await shard.record([item, phase, START + at, details])
        if tally is not None:
            await shard.finish(tally)
