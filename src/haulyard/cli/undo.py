"""Take back what a job did: exactly that, and nothing that changed since.

Moved objects go back, verified; copies are deleted if nobody touched them; deletions in versioned buckets
lose their markers; retagged objects get their old tags. What cannot be taken back is listed before anything
starts; what changed since is kept, and listed with the reason (exit 1). Killed or interrupted, the same
command goes on. A job that was undone is not applied any more: plan it again with --new.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from haulyard.cli import exits, flags, jobs

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from haulyard.cli.context import Context
    from haulyard.jobs.undoing.past import Survey

EXAMPLES = (
    "haul plan copy s3://demo/hello.txt s3://demo/b/ --job b; haul apply b; haul undo b --dry-run",
    "haul undo b",
)


@dataclass(frozen=True, slots=True)
class Options:
    """Which job, and whether it is only said what would be done."""

    job: str
    dry_run: bool


@dataclass(frozen=True, slots=True)
class Surveyed:
    """What undoing comes to, before anything starts."""

    kind: ClassVar[str] = "survey"

    job: str
    survey: Survey

    def text(self) -> str:
        """Return it for people."""
        return "\n".join([f"{self.job}: to be taken back", *self.survey.lines()])

    def fields(self) -> dict[str, object]:
        """Return it for programs."""
        return {"job": self.job, **self.survey.fields()}


def configure(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    jobs.configure(parser)
    flags.add(parser, flags.DRY_RUN, *jobs.GROUPS)


def read(arguments: Namespace) -> Options:
    """Return the options."""
    return Options(arguments.job, arguments.dry_run)


async def run(options: Options, context: Context) -> int:
    """Say what will be done, then do it."""
    # All that moves objects, and SQLite: 80 ms that --help does not pay.
    from haulyard.cli.jobs_run import Run, expect_rest
    from haulyard.cli.transferring import transfer_options
    from haulyard.jobs import conduct
    from haulyard.jobs.applying.options import ApplyOptions
    from haulyard.jobs.specification import Specification
    from haulyard.models import PutOptions

    folder = jobs.open_job(options.job, context)
    specification = Specification.from_json(folder.specification)
    survey = conduct.survey_undo(folder)
    context.output.result(Surveyed(folder.name, survey))
    context.output.writer.flush()
    if options.dry_run:
        context.output.note("dry run: nothing was changed")
        return exits.OK
    course = Run("undo", "taken back", "kept", folder, context, told=survey.hopeless, before=survey.kept)
    transfer = transfer_options(context, PutOptions(), durable=True)
    apply_options = ApplyOptions(concurrency=context.settings.concurrency, transfer=transfer)
    with course.going_on(), context.stop.attended(), context.progress("objects") as expect:
        expect_rest(folder, expect, undo=True)
        async with jobs.surroundings(specification, context, course.report) as around:
            tally = await conduct.undo(folder, apply_options, around)
    again = ("go on:", jobs.command("undo", folder.name, context))
    report = ("what happened:", jobs.command("report", folder.name, context))
    # What was kept was not taken back, whatever the reason, and whichever run kept it.
    has_kept = bool(tally.skipped or survey.kept)
    code = course.end(tally, (again, report) if tally.interrupted or tally.failed else (report,))
    return exits.FAILED if code == exits.OK and has_kept else code
