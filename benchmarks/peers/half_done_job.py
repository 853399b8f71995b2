"""Make a job as a crash leaves it half-way: ``half_done_job.py DIRECTORY NAME OPERATIONS SHARDS``.

The first half of its shards is finished, in the next one every second operation is done, the rest was not
begun. The source's objects are empty; nothing says that there ever was a store.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import TYPE_CHECKING

from first_copy import ETAG  # type: ignore[import-not-found]  # it lies beside this script

from haulyard.jobs.inventory import SHARDS, shard_ids
from haulyard.jobs.model import PLAN_COLUMNS, PLAN_DDL, PLAN_TABLE, Action, Phase, Stage, Verb
from haulyard.jobs.planning.findings import Findings
from haulyard.jobs.planning.summary import PlanSummary
from haulyard.jobs.specification import Specification
from haulyard.journal.building import BATCH_ROWS, ShardBuilder
from haulyard.journal.folder import JobFolder
from haulyard.journal.shard import Shard

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SOURCE, DESTINATION = "s3://source/", "s3://copies/"
#: Entries of one commit: many of those that nobody reads again.
_COMMIT, _LARGE_COMMIT = 100, 1_000


def key(number: int) -> str:
    """Return the key of an object: none is in the plan twice."""
    day, hour = divmod(number // 500, 24)
    return f"events/day={day:04}/hour={hour:02}/part-{number:07}-c000.snappy.parquet"


def make(directory: str, name: str, operations: int, shards: int) -> None:
    """Make the job's folder with everything in it."""
    began = time.time() - 600
    specification = Specification(Verb.COPY, SOURCE, DESTINATION, recursive=True, created=began)
    folder = JobFolder.create(directory, name, specification.to_json())
    per_shard = operations // shards
    for number in range(shards):
        path = f"{folder.shards}/{number:05}.db"
        builder = ShardBuilder(path, PLAN_DDL, PLAN_TABLE, PLAN_COLUMNS)
        for first in range(number * per_shard, (number + 1) * per_shard, BATCH_ROWS):
            builder.add(_rows(range(first, min(first + BATCH_ROWS, (number + 1) * per_shard)), began))
        builder.seal()
        if number < shards // 2:
            _do(path, range(1, per_shard + 1), began, finished=True)
        elif number == shards // 2:
            _do(path, range(1, per_shard + 1, 2), began, finished=False)
    folder.write("summary", _summary(name, specification, operations).to_json())
    state = {"stage": Stage.APPLYING.value, "on_conflict": "", "begun": began, SHARDS: shard_ids(folder)}
    folder.write("state", state)


def _summary(name: str, specification: Specification, operations: int) -> PlanSummary:
    return PlanSummary(
        job=name,
        verb=specification.verb.value,
        source=SOURCE,
        destination=DESTINATION,
        finished=True,
        objects=operations,
        bytes=0,
        rules=(),
        actions={Action.ACT.word: (operations, 0)},
        unmatched_keys=(),
        unsafe_keys=(),
        samples=(),
        findings=Findings(),
        large=0,
        archived=0,
        missing=0,
        requests={},
        asked={},
        price=0.0,
        prices="",
        seconds=0.0,
    )


def _rows(numbers: range, modified: float) -> list[tuple[object, ...]]:
    return [
        (Action.ACT.value, -1, key(each), "", 0, modified, ETAG, "STANDARD", key(each), 0, 0, "")
        for each in numbers
    ]


def _do(path: str, items: Sequence[int], began: float, *, finished: bool) -> None:
    """Write into a shard's journal that these are done."""
    details = {"etag": ETAG, "version": "", "size": 0, "verified": "checksum", "seconds": 0.012}

    async def write() -> None:
        async with Shard.open(path, owner="benchmark") as shard:
            await shard.record((0, Phase.BEGUN.value, began, {"pid": 1, "host": "benchmark"}))
            for some in _batches(items, _LARGE_COMMIT if finished else _COMMIT):
                # As JSON has them: an entry may not be changed once it was handed over.
                await shard.record(*[(item, Phase.DONE.value, began, details) for item in some])
            if finished:
                await shard.finish({"phases": {Phase.DONE.value: len(items)}, "sizes": {}, "failures": []})

    asyncio.run(write())


def _batches(items: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


if __name__ == "__main__":
    _, where, named, count, parts = sys.argv
    make(where, named, int(count), int(parts))
