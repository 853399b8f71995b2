"""What the commands of jobs share: finding a job, its stores, running it, and what to type next."""

from __future__ import annotations

import asyncio
import os
import shlex
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from haulyard.cli import flags
from haulyard.errors import ConfigError, JobError

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import AsyncIterator, Callable

    from haulyard.cli.context import Context
    from haulyard.events import TransferDone
    from haulyard.jobs.conduct import Surroundings
    from haulyard.jobs.specification import Specification
    from haulyard.journal.folder import JobFolder

#: The groups of flags of `apply` and `undo`.
GROUPS = (
    flags.JOBS,
    flags.TRANSFER,
    flags.JOB_CONNECTION,
    flags.SOURCE,
    flags.OUTPUT,
    flags.PROGRESS,
)


def configure(parser: ArgumentParser, *, optional: bool = False) -> None:
    """Declare the job that a command is about."""
    if optional:
        parser.add_argument(
            "job", nargs="?", default="", metavar="JOB", help="its name; not needed where there is only one"
        )
    else:
        parser.add_argument("job", metavar="JOB", help="its name; haul status lists them")


def directory(context: Context) -> str:
    """Return where jobs are kept, as an absolute path."""
    return os.path.abspath(context.settings.job_dir)


def open_job(name: str, context: Context) -> JobFolder:
    """Return the folder of a job; without a name, that of the only one.

    Raises:
        JobError: There is no such job, or its ``job.json`` is damaged.
        ConfigError: Without a name: there is none, or there are several.
    """
    # 40 ms that --help does not pay.
    from haulyard.journal.folder import JobFolder, list_jobs

    where = directory(context)
    if name:
        return JobFolder.open(where, name)
    known = list_jobs(where)
    if len(known) == 1:
        return JobFolder.open(where, known[0])
    if not known:
        raise JobError(
            f"there are no jobs in {where}",
            hint="haul plan and haul process make some; --job-dir names another place",
        )
    raise ConfigError(
        f"which job? There are {len(known)} in {where}", hint="name one; haul status lists them"
    )


def has_records(folder: JobFolder) -> bool:
    """Whether it is a job of `haul process`; the others are bulk jobs."""
    return folder.specification.get("kind") == "records"


def command(verb: str, name: str, context: Context, more: str = "") -> str:
    """Return a command line that goes on with a job, from where this command is run."""
    settings = context.settings
    words = ["haul", verb, name]
    if settings.origins.get("job_dir", "").startswith("--"):
        words += ["--job-dir", shlex.quote(settings.job_dir)]
    return " ".join([*words, more]).rstrip()


@asynccontextmanager
async def surroundings(
    specification: Specification,
    context: Context,
    report: Callable[[TransferDone], None],
    *,
    expect: Callable[[int, int], None] = lambda _objects, _bytes: None,
    rate: float = 0.0,
) -> AsyncIterator[Surroundings]:
    """Give what a job works with: connections to the stores that it remembers, and the wish to stop."""
    from haulyard.jobs.conduct import Surroundings, settings_for

    settings = settings_for(specification, context.settings)
    stopping = asyncio.Event()

    async def watch() -> None:
        await context.stop.wait()
        stopping.set()

    watcher = asyncio.create_task(watch())
    try:
        yield Surroundings(
            context.connection_for(settings, rate=rate),
            context.connection_for(settings.for_source(), rate=rate),
            context.emit,
            report,
            stopped=context.stop.is_requested,
            expect=expect,
            stopping=stopping,
        )
    finally:
        watcher.cancel()
