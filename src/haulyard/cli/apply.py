"""Carry a plan out, or go on with it: copy, verify, write down, delete; every object is accounted for.

Killed or interrupted at any moment, the same command goes on, and asks the store what is in doubt. What
failed is tried once more at the end of the run, then listed; haul apply JOB again takes up what is left. The
job remembers its stores; flags that name others (--endpoint-url, --profile …) go before what it remembers.

Conflicts that the plan found (several sources with one destination, other objects at destinations) need
a decision, which holds for all later runs: fail (they fail, all else is done), skip (they are left alone),
overwrite (what is there is replaced while it is what the plan saw; of several sources the last one listed
wins), suffix (a number makes another name).

--rate is shared by all processes; where source and destination are two stores, each has that many.
--processes share the shards of a job, of 100,000 objects each: with fewer objects one process does all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from haulyard.cli import flags, jobs
from haulyard.errors import ConfigError
from haulyard.jobs.model import ON_CONFLICT

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from haulyard.cli.context import Context
    from haulyard.jobs.applying.options import ApplyOptions, Tally
    from haulyard.jobs.specification import Specification

EXAMPLES = (
    "haul plan copy s3://demo/hello.txt s3://demo/copied/ --job copies; haul apply copies",
    "haul apply copies --max-errors 10 --rate 100",
)


@dataclass(frozen=True, slots=True)
class Options:
    """Which job, and how it is carried out; ``rate`` in requests a second, 0 for no limit."""

    job: str
    on_conflict: str
    verify: str
    processes: int
    max_errors: int | None
    rate: float


def configure(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    jobs.configure(parser, optional=True)
    parser.add_argument(
        "--on-conflict", choices=ON_CONFLICT, default="", help="what becomes of conflicts that the plan found"
    )
    parser.add_argument(
        "--verify",
        choices=("checksum",),
        default="",
        help="read source and copy again where the stores state no checksums that compare",
    )
    parser.add_argument("--processes", type=int, default=1, metavar="N", help="work in so many processes (1)")
    parser.add_argument("--max-errors", type=int, metavar="N", help="stop once more than N objects failed")
    parser.add_argument("--rate", type=float, default=0.0, metavar="N", help="requests a second at most")
    flags.add(parser, *jobs.GROUPS)


def read(arguments: Namespace) -> Options:
    """Validate the arguments."""
    if arguments.processes < 1:
        raise ConfigError("--processes is at least 1", hint="write --processes 4")
    if arguments.max_errors is not None and arguments.max_errors < 0:
        raise ConfigError("--max-errors is a number of objects", hint="write --max-errors 100")
    if not 0 <= arguments.rate < float("inf"):
        raise ConfigError("--rate is a number of requests a second", hint="write --rate 500; 0 is no limit")
    return Options(
        arguments.job,
        arguments.on_conflict,
        arguments.verify,
        arguments.processes,
        arguments.max_errors,
        arguments.rate,
    )


async def run(options: Options, context: Context) -> int:
    """Do what is left to do, and say what it came to."""
    # All that moves objects, and SQLite: 80 ms that --help does not pay.
    from haulyard.cli.jobs_run import Run, expect_rest
    from haulyard.jobs import conduct
    from haulyard.jobs.specification import Specification

    folder = jobs.open_job(options.job, context)
    specification = Specification.from_json(folder.specification)
    course = Run("apply", DID[specification.verb], "left alone", folder, context)
    with course.going_on(), context.stop.attended(), context.progress("objects") as expect:
        expect_rest(folder, expect)
        async with jobs.surroundings(specification, context, course.report, rate=options.rate) as around:
            tally = await conduct.apply(
                folder,
                _apply_options(options, specification, context),
                around,
                processes=options.processes,
                rate=options.rate,
            )
    return course.end(tally, _steps(folder.name, tally, context))


#: What becomes of objects, as in "3 objects moved".
DID = {
    "copy": "copied",
    "move": "moved",
    "delete": "deleted",
    "restore": "asked for",
    "retag": "retagged",
}


def _apply_options(options: Options, specification: Specification, context: Context) -> ApplyOptions:
    from haulyard.cli.transferring import transfer_options
    from haulyard.jobs.applying.options import ApplyOptions
    from haulyard.models import PutOptions

    return ApplyOptions(
        options.on_conflict,
        options.verify,
        options.max_errors,
        context.settings.concurrency,
        transfer_options(context, PutOptions(), durable=specification.verb.deletes),
    )


def _steps(name: str, tally: Tally, context: Context) -> tuple[tuple[str, str], ...]:
    again = jobs.command("apply", name, context)
    report = ("what happened:", jobs.command("report", name, context))
    undo = ("take it back:", jobs.command("undo", name, context))
    if tally.interrupted:
        return ("go on:", again), undo
    if tally.failed:
        return ("try again:", again), report, undo
    return report, undo
