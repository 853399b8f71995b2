"""Send records out of objects to an HTTP API, at an exact rate; each is accounted for.

haul process SOURCE --to URL    sends each record of SOURCE: an object, a prefix/, a wildcard, a local path
haul process                    the same from S3_BUCKET, S3_KEY, API_ENDPOINT … in the environment or in .env
haul process --job NAME         goes on with a job
haul process --retry-failed JOB sends its dead letters again, and --dead-letters JOB prints them

CSV (values stay strings unless --types infer), JSON Lines, JSON and Parquet are understood, plain or packed
with gzip, zstd or bz2. Never more than --rate calls are made in any sliding period, retries included; 429 and
Retry-After pause all of them. 2xx is a success (--success says more), 400, 404, 409, 413, 415, 422 and the
like are the record's own failure, 408, 425, 429 and 5xx are tried again. 401, 403, or everything failing at
once stop the job: exit 3 or 5, and no record counts as failed for that. Each call has an Idempotency-Key that
is the same on each try, also after a kill.

Killed or interrupted, the same command goes on behind the last record that was answered; what was in flight
is sent again. A source that was replaced since is refused. Secrets go into variables: they are filled in when
a call is made, and kept nowhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from haulyard.cli import flags, process_options
from haulyard.cli.process_options import Options
from haulyard.config import PROCESSING

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from haulyard.cli.context import Context

_PEOPLE = "printf 'id,name\\n1,Ann\\n2,Bob\\n' | haul put - s3://demo/people.csv"
EXAMPLES = (
    f"{_PEOPLE}; haul process s3://demo/people.csv --to https://api.example.com/people --dry-run",
    "haul process s3://demo/people.csv --to https://api.example.com/ --rate 10/s --fields id --dry-run",
)

read = process_options.read

_SENDING = "calls"
_READING = "reading"


def configure(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    add = parser.add_argument
    add("source", nargs="?", default="", metavar="SOURCE", help="what is read; else S3_BUCKET and S3_KEY")
    add("--job", default="", metavar="NAME", help="name of the job; else it follows from the rest")
    add("--new", action="store_true", help="start over; a job that has sent something stays as NAME-1")
    add("--retry-failed", default="", metavar="JOB", help="send the dead letters of a job again")
    add("--dead-letters", default="", metavar="JOB", help="print the dead letters of a job as JSON Lines")
    add(
        "--dead-letters-to", default="", metavar="URL", help="object or file to write dead letters to as well"
    )
    add("--limit", type=int, default=0, metavar="N", help="take at most so many records in this run (0: all)")
    add("--sample", default="", metavar="SHARE", help="send this share of the records: 0.01 or 1%%")
    add("-r", "--recursive", action="store_true", help="what is below a prefix without slash")
    add("--grace", default="", metavar="TIME", help="what calls in flight get when it is stopped (30s)")
    add("--patience", default="", metavar="TIME", help="how long an API is waited for that fails (60s)")
    add(
        "--stop-after",
        type=int,
        metavar="N",
        help="answers without a success that mean that everything fails (100); 0 for never",
    )
    _configure_calls(parser)
    _configure_reading(parser)
    flags.add(
        parser,
        flags.DRY_RUN,
        flags.JOBS,
        flags.FILTERS,
        flags.MANIFEST,
        flags.RAW,
        flags.CONNECTION,
        flags.OUTPUT,
        flags.PROGRESS,
    )


def _configure_calls(parser: ArgumentParser) -> None:
    group = parser.add_argument_group(_SENDING)
    add = group.add_argument
    for name in ("api_endpoint", "rate_limit_calls", "rate_limit_period", "max_in_flight"):
        setting = PROCESSING[name]
        add(setting.flag, dest=name, metavar=_metavar(name), help=f"{setting.help} ({setting.names[0]})")
    add(
        "--rate",
        action="append",
        default=[],
        metavar="N/PERIOD",
        help="5000/s, 10/min, 1000000/day: instead of the two above; may be repeated, all of them hold",
    )
    add("--method", default="POST", choices=process_options.METHODS, help="of the request (POST)")
    add(
        "--header",
        action="append",
        default=[],
        metavar="'NAME: VALUE'",
        help="may be repeated; ${VARIABLE} is filled in from the environment or .env",
    )
    add("--body", default="", choices=process_options.BODIES, help="what a call carries (json)")
    add(
        "--body-template",
        default="",
        metavar="TEXT|@FILE",
        help="{{field}} and {{*}}, the record, are filled in",
    )
    add("--records-per-call", type=int, default=1, metavar="N", help="so many records in an array (1)")
    add("--success", default="", metavar="JMESPATH", help="true of the answer to a record that was taken")
    add("--timeout", default="", metavar="TIME", help="of one call (30s)")
    add("--save-responses", default="", metavar="URL|DIR", help="keep the answers there, with the addresses")
    add("--responses-format", default="", choices=("jsonl", "parquet"), help="as what they are kept (jsonl)")


def _configure_reading(parser: ArgumentParser) -> None:
    group = parser.add_argument_group(_READING)
    add = group.add_argument
    add("--format", default="", choices=process_options.FORMATS, help="else by name, else by content")
    add("--compression", default="", choices=process_options.COMPRESSIONS, help="likewise")
    add("--encoding", default="utf-8", metavar="NAME", help="of the text (utf-8)")
    add("--delimiter", default="", metavar="CHAR", help="between fields of CSV: , ; | or tab")
    add("--quote", default='"', metavar="CHAR", help='around fields of CSV ("), none for none')
    add("--escape", default="", metavar="CHAR", help="before a quote in a field, where it is not doubled")
    add("--columns", default="", metavar="A,B,C", help="names of the fields, where there is no header")
    add("--types", default="strings", choices=("strings", "infer"), help="infer: numbers and booleans in CSV")
    add("--fields", default="", metavar="A,B,C", help="send these fields, in this order")
    add("--rename", action="append", default=[], metavar="OLD=NEW", help="may be repeated")
    add("--transform", default="", metavar="MODULE:FUNCTION", help="record in; record, list or None out")
    for name in ("batch_size", "chunk_size"):
        setting = PROCESSING[name]
        add(setting.flag, dest=name, metavar=_metavar(name), help=f"{setting.help} ({setting.names[0]})")


def _metavar(name: str) -> str:
    return {"api_endpoint": "URL", "rate_limit_period": "TIME", "chunk_size": "SIZE"}.get(name, "N")


async def run(options: Options, context: Context) -> int:
    """Send, or say what would be sent, or print what could not be."""
    # All that reads and sends, and SQLite: 120 ms that --help does not pay.
    from haulyard.cli import process_run

    if options.dead_letters:
        return process_run.print_letters(options, context)
    return await process_run.process(options, context)


__all__ = ["EXAMPLES", "Options", "configure", "read", "run"]
