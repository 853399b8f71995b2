"""Write events from standard input, or from a Unix socket, into rotated files.

... | haul spool DIR                 JSON, one value a line, into DIR/YYYYMMDD_HHMMSS.json (UTC)
... | haul spool DIR --format xml    XML, one document after another, into .xml files with a root element
haul spool DIR --socket PATH         from programs that connect; each batch is acknowledged once it is durable

A file is NAME.active while it is written, and is ended, on the disk and renamed when it is large, old or full
enough, on SIGHUP, and at the end. Killed at any moment, the next run keeps every whole event of the active
file. An event that is not well-formed, or XML with a DOCTYPE, goes to DIR/rejected/ with the reason. While
the disk is nearly full events wait. haul ship DIR carries the files to S3.

Framing: lines, documents, or length: each event after its length in four bytes, big endian. The socket
answers with lines like {"events": 1200, "rejected": 3}: so many of the connection's are on the disk.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from haulyard.cli import flags, spool_options
from haulyard.cli.spool_options import COMPRESSIONS, FORMS, FRAMINGS, Options

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from haulyard.cli.context import Context

EXAMPLES = (
    """printf '{"id": 1}\\n{"id": 2}\\n' | haul spool events""",
    'printf \'<e id="1"/><e id="2"/>\' | haul spool events --format xml --root events --compress gzip',
)

read = spool_options.read


def configure(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    add = parser.add_argument
    add("directory", nargs="?", default="", metavar="DIR", help="directory of the files (HAUL_SPOOL_DIR)")
    add("--format", default="json", choices=FORMS, help="of the events and the files (json)")
    add("--framing", default="", choices=FRAMINGS, help="how events follow each other (lines or documents)")
    add("--socket", default="", metavar="PATH", help="listen on a Unix socket instead of standard input")
    add("--root", default="events", metavar="NAME", help="root element of XML files (events)")
    add("--max-size", default="64MiB", metavar="SIZE", help="of a file (64MiB)")
    add("--max-age", default="5m", metavar="TIME", help="from a file's first event to its end, 0: any (5m)")
    add("--max-events", type=int, default=0, metavar="N", help="of a file (any number)")
    add("--max-event", default="16MiB", metavar="SIZE", help="a longer event is rejected (16MiB)")
    add("--compress", default="", choices=COMPRESSIONS, help="compress the files")
    add("--min-free", default="", metavar="SIZE", help="of the disk; else events wait (256MiB, at most 5%%)")
    flags.add(parser, flags.OUTPUT)


async def run(options: Options, context: Context) -> int:
    """Write what comes in, until its end or a signal."""
    # expat, orjson, anyio's threads: 40 ms that --help does not pay.
    from haulyard.cli import spool_run

    return await spool_run.spool(options, context)


__all__ = ["EXAMPLES", "Options", "configure", "read", "run"]
