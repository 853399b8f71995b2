"""Write what a job did: a page to read (report.html), a summary for programs and a list of all objects.

The page stands for itself and opens without a network: throughput over time, latencies, errors by kind, rules
by count. completion.csv is like the completion report of S3 Batch Operations, with a line for each object and
the reason where it failed; of haul process there is dead-letters.jsonl, with each record that was not
delivered. A job that is running, failed or damaged has a report too; a damaged one ends in exit code 2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from haulyard.cli import exits, flags, jobs

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from haulyard.cli.context import Context
    from haulyard.jobs.reporting import Reported
    from haulyard.journal.folder import JobFolder
    from haulyard.records.reporting import RecordsReported

EXAMPLES = (
    "haul plan copy s3://demo/hello.txt s3://demo/r/ --job r; haul apply r; haul report r",
    "haul report r --to ./report-of-r",
)


@dataclass(frozen=True, slots=True)
class Options:
    """Which job, and the directory of the report; ``""`` is the job's own."""

    job: str
    to: str


def configure(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    jobs.configure(parser, optional=True)
    parser.add_argument("--to", default="", metavar="DIR", help="where it is written (report/ of the job)")
    flags.add(parser, flags.JOBS, flags.OUTPUT)


def read(arguments: Namespace) -> Options:
    """Return the options."""
    return Options(arguments.job, arguments.to)


def run(options: Options, context: Context) -> int:
    """Write it, and say where it is."""
    folder = jobs.open_job(options.job, context)
    reported = _write(folder, options.to, context)
    context.output.result(reported)
    return exits.OK if reported.is_whole else exits.USAGE


def _write(folder: JobFolder, directory: str, context: Context) -> Reported | RecordsReported:
    # Templates, SQLite and, where it is installed, matplotlib: up to a second.
    if jobs.has_records(folder):
        from haulyard.records.reporting import write_report as write_report_of_records

        return write_report_of_records(folder, directory=directory, emit=context.emit)
    from haulyard.jobs.reporting import write_report

    return write_report(folder, directory=directory, emit=context.emit)
