"""Loads the reviews in a process of its own, which says how many texts are safe: to be killed.

python -m tests.ingest.embedding.loading DIRECTORY URL COUNT
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from tests.ingest.embedding.working import STAGED, TABLE, reviews, working

from haulyard.events import RecordsEnded
from haulyard.ingest.embedding.job import embed


def _say(event: object) -> None:
    if isinstance(event, RecordsEnded):
        sys.stdout.write(f"{event.done}\n")
        sys.stdout.flush()


async def _load(directory: str, url: str, count: str) -> None:
    work = working(Path(directory), url, reviews(int(count)), max_in_flight=4)
    async with work.staged() as database:
        await embed(work.session, database, STAGED, work.embedding, table=TABLE, on_event=_say)


if __name__ == "__main__":
    asyncio.run(_load(*sys.argv[1:]))
