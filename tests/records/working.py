"""Records jobs run in this process, from a store in memory to a scripted API."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from haulyard.config import resolve
from haulyard.records import processing
from haulyard.records.ledger import Ledger
from haulyard.records.parts import Source
from haulyard.records.processing import RunOptions, Surroundings
from haulyard.records.run import Manner
from haulyard.records.specification import Specification
from haulyard.stores.memory import MemoryStore
from haulyard.transfer.selection import select

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from haulyard.journal.folder import JobFolder
    from haulyard.records.ledger import Kept
    from haulyard.records.pacer import Limit
    from haulyard.records.processing import Outcome
    from haulyard.testing.api import Call

#: What a run does where a test does not care: no limit, and no patience.
BRISK = Manner(attempts=3, retry_base=0.001, patience=0.2, grace=5.0)


def csv_of(count: int, *, first: int = 0) -> bytes:
    """Return CSV whose column ``id`` counts."""
    return b"id,name\n" + b"".join(b"%d,n%d\n" % (each, each) for each in range(first, first + count))


@dataclass
class Work:
    """One job and its world; what is changed of it between runs is as if the command were changed."""

    directory: Path
    store: MemoryStore
    specification: Specification
    around: Surroundings
    options: RunOptions
    events: list[Any] = field(default_factory=list)

    @property
    def folder(self) -> JobFolder:
        """The job's folder, which is made with the first use."""
        return processing.create(str(self.directory), self.specification, "job").folder

    def asked(self, **fields: Any) -> None:
        """Change what the job is asked for."""
        self.specification = replace(self.specification, **fields)

    def carried_out(self, *, limits: Sequence[Limit] = (), **manner: Any) -> None:
        """Change how its runs go about it."""
        own = {name: manner.pop(name) for name in list(manner) if name in RunOptions.__dataclass_fields__}
        changed = replace(self.options.manner, **manner)
        self.options = replace(self.options, limits=tuple(limits), manner=changed, **own)

    async def run(self, **options: Any) -> Outcome:
        """Run it, as one process would."""
        return await processing.process(self.folder, self.around, replace(self.options, **options))

    def stop(self) -> None:
        """Ask it to stop."""
        assert self.around.stopping is not None
        self.around.stopping.set()

    def letters(self) -> list[Kept]:
        """Return its dead letters that are not resolved."""
        with Ledger.open(self.folder, read_only=True) as ledger:
            return [each for page in ledger.letters(unresolved_only=True) for each in page]

    def marked(self) -> int:
        """Return how many records came to their end, as its ledger says."""
        with Ledger.open(self.folder, read_only=True) as ledger:
            account: Any = ledger.state().account or {}
            names = ("delivered", "passed_over", "malformed", "transform", "rejected", "failed")
            return sum(account.get(name, 0) for name in names)


async def working(directory: Path, url: str, objects: dict[str, bytes], **fields: Any) -> Work:
    """Return the job that sends ``objects`` to ``url``; ``fields`` are those of its specification."""
    store = MemoryStore()
    for key, content in objects.items():
        await store.put(key, content)
    values = {"source": "s3://b/", "to": url, "uid": uuid.uuid4().hex[:12], "grid": 16384, **fields}
    events: list[Any] = []
    around = Surroundings(
        Source(store, select("")),
        resolve({}, {}, str(directory)),
        {},
        events.append,
        stopping=asyncio.Event(),
    )
    options = RunOptions(limits=(), manner=BRISK, timeout=5.0)
    return Work(directory, store, Specification(**values), around, options, events)


def delivered(calls: Sequence[Call]) -> list[int]:
    """Return the ids of the records that were answered well, in the order of their calls."""
    return [number for call in calls if call.delivered for number in ids(call)]


def ids(call: Call) -> list[int]:
    """Return the ids of the records of a call."""
    content = call.json()
    return [int(each["id"]) for each in (content if isinstance(content, list) else [content])]
