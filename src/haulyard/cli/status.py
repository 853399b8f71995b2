"""Show how jobs stand: all of them in a table, or one in detail; live while a process works on it.

Nothing is locked and nothing is written. --watch shows it anew until nobody works on it any more.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from haulyard.cli import exits, flags, jobs
from haulyard.errors import ConfigError, JobError

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Iterator

    from haulyard.cli.context import Context
    from haulyard.cli.stop import Stop
    from haulyard.jobs.status import JobStatus
    from haulyard.journal.folder import JobFolder
    from haulyard.records.status import RecordsStatus

EXAMPLES = (
    "haul plan copy s3://demo/hello.txt s3://demo/s/ --job s; haul status",
    "haul status s --json",
)

#: Seconds between two looks.
_INTERVAL: Final = 1.0
_CLEAR: Final = "\x1b[H\x1b[J"


@dataclass(frozen=True, slots=True)
class Options:
    """Which job, ``""`` for all, and whether to look again and again."""

    job: str
    watch: bool


def configure(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("job", nargs="?", default="", metavar="JOB", help="this one, in detail")
    parser.add_argument("-w", "--watch", action="store_true", help="show it anew while the job runs")
    flags.add(parser, flags.JOBS, flags.OUTPUT)


def read(arguments: Namespace) -> Options:
    """Validate the arguments."""
    if arguments.watch and not arguments.job:
        raise ConfigError("--watch is for one job", hint="name it; haul status lists them")
    return Options(arguments.job, arguments.watch)


async def run(options: Options, context: Context) -> int:
    """Show it."""
    if not options.job:
        return _show_all(context)
    folder = jobs.open_job(options.job, context)
    status = _show(folder, context)
    with context.stop.attended():
        while options.watch and status.is_running and not context.stop.requested:
            await pause(context.stop)
            if context.output.writer.shows_results and not context.output.as_json:
                context.output.writer.line(_CLEAR)
            status = _show(folder, context)
    return exits.USAGE if status.damaged else exits.OK


async def pause(stop: Stop) -> None:
    """Wait until it is time to look again, or until it is asked to stop."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_INTERVAL):
            await stop.wait()


def _show(folder: JobFolder, context: Context) -> JobStatus | RecordsStatus:
    status = _status_of(folder)
    context.output.result(status)
    context.output.writer.flush()
    return status


def _show_all(context: Context) -> int:
    from haulyard.jobs.status import table  # SQLite, which --help does not need

    where = jobs.directory(context)
    if context.output.as_json:
        for status in _statuses(where):
            context.output.result(status)
        return exits.OK
    found = list(_statuses(where))
    if found:
        context.output.lines(table(found))
    else:
        context.output.note(f"there are no jobs in {where}: haul plan and haul process make some")
    return exits.OK


def _status_of(folder: JobFolder) -> JobStatus | RecordsStatus:
    if jobs.has_records(folder):
        from haulyard.records.status import status_of as status_of_records  # likewise

        return status_of_records(folder)
    from haulyard.jobs.status import status_of  # likewise

    return status_of(folder)


def _statuses(where: str) -> Iterator[JobStatus | RecordsStatus]:
    """Yield how each job stands, by name; a damaged one is among them and says so."""
    from haulyard.jobs.status import JobStatus  # likewise
    from haulyard.journal.folder import JobFolder, list_jobs

    for name in list_jobs(where):
        try:
            folder = JobFolder.open(where, name)
        except JobError as error:
            yield JobStatus(name, damaged=(str(error),))
        else:
            yield _status_of(folder)
