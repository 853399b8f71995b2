"""Plans a sync of many keys and prints by how many MiB its peak memory is above that of a small one.

Usage: many_keys.py merged|on-disk
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from haulyard.models import ListPage, ObjectInfo
from haulyard.stores.base import LIST
from haulyard.stores.memory import MemoryStore
from haulyard.transfer.compare import SyncRules
from haulyard.transfer.sync import SyncPlan

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from haulyard.models import ListOptions

_KEYS = 400_000
START = datetime(2024, 1, 1, tzinfo=UTC)


class Endless(MemoryStore):
    """Lists ``count`` keys from ``first`` on without ever holding more than a page of them."""

    def __init__(self, first: int, count: int, *, ordered: bool) -> None:
        super().__init__()
        self.capabilities = replace(self.capabilities, ordered_listing=ordered)
        self._span = first, first + count

    async def list(self, prefix: str = "", options: ListOptions = LIST) -> AsyncIterator[ListPage]:
        for page in range(*self._span, 1000):
            keys = range(page, min(page + 1000, self._span[1]))
            yield ListPage(
                [
                    ObjectInfo(
                        f"{prefix}warehouse/part-{n:09}.parquet", n, START + timedelta(seconds=n), f"{n:032x}"
                    )
                    for n in keys
                ],
                [],
            )


async def plan(count: int, *, ordered: bool) -> None:
    """Half of the source is in the destination, as much is in the destination alone."""
    source, destination = (
        Endless(0, count, ordered=ordered),
        Endless(count // 2, count, ordered=ordered),
    )
    async with SyncPlan(source, "in", destination, "out", SyncRules(delete=True)) as sync:
        copies = [len(page) async for page in sync.jobs()]
        deletions = [len(page) for page in sync.deletions()]
    if sum(copies) != count // 2 or sum(deletions) != count // 2:
        sys.exit(f"{sum(copies)} copies and {sum(deletions)} deletions of {count} keys")


def peak() -> int:
    """The most memory this process ever had, in KiB; ``ru_maxrss`` would count that of its parent too."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0])


async def main() -> None:
    ordered = sys.argv[1] == "merged"
    await plan(20_000, ordered=ordered)
    before = peak()
    await plan(_KEYS, ordered=ordered)
    sys.stdout.write(f"{(peak() - before) // 1024}\n")


if __name__ == "__main__":
    asyncio.run(main())
