"""A process of several that apply one job: takes shards that nobody else holds until none is left."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from haulyard.jobs.applying.running import ShardsRun, is_finished, is_ordered
from haulyard.jobs.applying.workshop import Workshop
from haulyard.jobs.ends import open_ends
from haulyard.jobs.rules import Rules
from haulyard.jobs.specification import Specification
from haulyard.journal.folder import JobFolder
from haulyard.journal.lock import holder_of
from haulyard.stores.assemble import Connection

if TYPE_CHECKING:
    from collections.abc import Iterator

    from haulyard.config import Settings
    from haulyard.events import Event
    from haulyard.jobs.applying.options import ApplyOptions
    from haulyard.journal.executors.processes import Line


@dataclass(frozen=True, slots=True)
class Order:
    """What a worker needs to know; ``number`` counts the workers from 0."""

    directory: str
    name: str
    settings: Settings
    options: ApplyOptions
    rate: float
    begun: float
    number: int


async def work(order: Order, line: Line) -> None:
    """Apply what is left of the job, and tell each outcome, and at the end the tally."""
    folder = JobFolder.open(order.directory, order.name)
    specification = Specification.from_json(folder.specification)
    rules = Rules.parse(specification.rules, specification.rules_name) if specification.rules else None

    def emit(event: Event) -> None:
        line.tell(event)

    settings, source_settings = order.settings, order.settings.for_source()
    async with AsyncExitStack() as stack:
        connection = await stack.enter_async_context(Connection(settings, emit, rate=order.rate))
        source_connection = connection
        if source_settings != settings:
            # Only of another store: one store has one ceiling of requests.
            source_connection = await stack.enter_async_context(
                Connection(source_settings, emit, rate=order.rate)
            )
        ends = await open_ends(specification, connection, source_connection, may_write=True)
        shop = Workshop(
            specification,
            rules,
            ends,
            order.options,
            emit,
            begun=order.begun,
            shards=folder.shard_paths(),
        )
        run = ShardsRun(shop, line.tell, line.stopped, owner=f"worker {order.number}", shared=True)
        await run.run(_free(folder, order.number))
        await run.run_again()
        line.tell(run.tally)


def _free(folder: JobFolder, number: int) -> Iterator[str]:
    """Yield shards that nobody works on, each worker beginning with another one."""
    paths = [path for path in folder.shard_paths() if not is_ordered(path)]
    for path in [*paths[number:], *paths[:number]]:
        if not is_finished(path) and holder_of(path + ".lock") is None:
            yield path
