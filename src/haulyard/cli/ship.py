"""Ship rotated files from a directory into S3; each leaves it only when S3 provably holds it.

haul ship DIR --to s3://bucket/prefix/   ships what is there, and ends
haul ship DIR --to … --watch             goes on with what comes
haul ship                                the same from HAUL_SPOOL_DIR, BUCKET_NAME, PREFIX … in the
                                         environment

A file is finished when nobody has it open for writing and it was left alone for --settle; hidden files and
*.active, *.part and *.tmp never are. The oldest go first. Keys are PREFIX and name, with --date-folders
PREFIX2025/07/29/NAME. Nothing is overwritten: the same content under the key counts as shipped, other content
sends the file to quarantine/, or with --on-conflict suffix to the next key that is free.

Wrong credentials or rights: exit 3, and nothing is removed; with --watch they are read again, and it waits,
as it does while the store does not answer. A file that fails for its own reasons is tried --retries times,
then goes to quarantine/, with the reason in reasons.jsonl. Killed, the same command goes on, and continues
large uploads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from haulyard.cli import flags, ship_options
from haulyard.cli.ship_options import Options
from haulyard.config import SHIPPING

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from haulyard.cli.context import Context

_FILE = "mkdir -p spool; echo '<events/>' > spool/20250729_161500.xml"
EXAMPLES = (
    f"{_FILE}; haul ship spool --to s3://demo/xml-events/ --settle 0 --after delete",
    f"{_FILE}; BUCKET_NAME=demo haul ship spool --settle 0 --date-folders",
)

read = ship_options.read

_TELLING = "telling others"


def configure(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    add = parser.add_argument
    add("directory", nargs="?", default="", metavar="DIR", help="of the files; else HAUL_SPOOL_DIR")
    add("--to", default="", metavar="URL", help="s3://bucket/prefix/; else BUCKET_NAME and PREFIX")
    add("--once", action="store_true", help="ship what is there, and end (default)")
    add("--watch", action="store_true", help="go on with what comes")
    add("--settle", default="5", metavar="TIME", help="how long a file must have been left alone (5s)")
    add("--rescan", default="", metavar="TIME", help="look again so often, whatever file events say (60s)")
    add(
        "--date-folders",
        dest="use_date_folders",
        action="store_const",
        const=True,
        help=f"{SHIPPING['use_date_folders'].help} (USE_DATE_FOLDERS)",
    )
    add(
        "--date-from",
        default="mtime",
        choices=("mtime", "now", "none"),
        help="for names without a date: the file's time (default), today, or no folders",
    )
    add(
        "--key-template",
        default="",
        metavar="TEXT",
        help="of {prefix} {date:%%Y/%%m/%%d} {name} {stem} {extension} {host}",
    )
    add(
        "--after",
        default="keep",
        choices=("keep", "delete", "move"),
        help="what becomes of a file that S3 holds (keep)",
    )
    add("--move-to", default="", metavar="DIR", help="where --after move puts it")
    add(
        "--on-conflict",
        default="fail",
        choices=("fail", "suffix"),
        help="where the key has other content: quarantine (fail), or the next key that is free",
    )
    add("--source", default="", metavar="NAME", help="what the metadata give as source")
    _configure_telling(parser)
    flags.add(
        parser,
        flags.FILTERS,
        flags.CUSTOMER_KEY,
        flags.PROPERTIES,
        flags.TRANSFER,
        flags.CONNECTION,
        flags.OUTPUT,
    )


def _configure_telling(parser: ArgumentParser) -> None:
    add = parser.add_argument_group(_TELLING).add_argument
    add("--health", default="", metavar="[HOST:]PORT", help="answer /healthz and /metrics there")
    add(
        "--batch-manifest", action="store_true", help="put lists of what came together into PREFIX_manifests/"
    )
    add("--batch-every", default="", metavar="TIME", help="how often a list is closed (60s)")
    add(
        "--notify",
        default="",
        metavar="URL",
        help="post each list there, signed with the secret in HAUL_NOTIFY_SECRET",
    )


async def run(options: Options, context: Context) -> int:
    """Ship."""
    # All that reads, sends and watches, and SQLite: 120 ms that --help does not pay.
    from haulyard.cli import ship_run

    return await ship_run.ship(options, context)


__all__ = ["EXAMPLES", "Options", "configure", "read", "run"]
