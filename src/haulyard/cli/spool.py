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

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from haulyard.cli import flags
from haulyard.config.kinds import parse_duration, parse_size
from haulyard.errors import ConfigError

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Callable
    from typing import Literal, TypeVar

    from haulyard.cli.context import Context

    T = TypeVar("T", int, float)

EXAMPLES = (
    """printf '{"id": 1}\\n{"id": 2}\\n' | haul spool events""",
    'printf \'<e id="1"/><e id="2"/>\' | haul spool events --format xml --root events --compress gzip',
)

_FORMS: Final = ("json", "xml")
_FRAMINGS: Final = ("lines", "documents", "length")
_COMPRESSIONS: Final = ("gzip", "zstd")


@dataclass(frozen=True, slots=True)
class Options:
    """What is written where; sizes are in bytes, the age in seconds, ``min_free`` None is the default."""

    directory: str
    form: Literal["json", "xml"]
    framing: str
    root: str
    max_bytes: int
    max_age: float
    max_events: int
    max_event: int
    compress: str
    socket: str
    min_free: int | None


def configure(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    add = parser.add_argument
    add("directory", nargs="?", default="", metavar="DIR", help="directory of the files (HAUL_SPOOL_DIR)")
    add("--format", default="json", choices=_FORMS, help="of the events and the files (json)")
    add("--framing", default="", choices=_FRAMINGS, help="how events follow each other (lines or documents)")
    add("--socket", default="", metavar="PATH", help="listen on a Unix socket instead of standard input")
    add("--root", default="events", metavar="NAME", help="root element of XML files (events)")
    add("--max-size", default="64MiB", metavar="SIZE", help="of a file (64MiB)")
    add("--max-age", default="5m", metavar="TIME", help="from a file's first event to its end, 0: any (5m)")
    add("--max-events", type=int, default=0, metavar="N", help="of a file (any number)")
    add("--max-event", default="16MiB", metavar="SIZE", help="a longer event is rejected (16MiB)")
    add("--compress", default="", choices=_COMPRESSIONS, help="compress the files")
    add("--min-free", default="", metavar="SIZE", help="of the disk; else events wait (256MiB, at most 5%%)")
    flags.add(parser, flags.OUTPUT)


def read(arguments: Namespace) -> Options:
    """Validate the arguments.

    Raises:
        ConfigError: One of them is not what it has to be.
    """
    expected = "lines" if arguments.format == "json" else "documents"
    if arguments.framing not in {"", expected, "length"}:
        raise ConfigError(
            f"{arguments.format} does not come as {arguments.framing}",
            hint=f"write --framing {expected} or --framing length",
        )
    if arguments.max_events < 0:
        raise ConfigError("--max-events is a number of events", hint="write --max-events 10000")
    min_free = arguments.min_free
    return Options(
        directory=arguments.directory,
        form=arguments.format,
        framing=arguments.framing or expected,
        root=arguments.root,
        max_bytes=_positive("--max-size", arguments.max_size),
        max_age=_value("--max-age", arguments.max_age, parse_duration, "5m, 30s or 0"),
        max_events=arguments.max_events,
        max_event=_positive("--max-event", arguments.max_event),
        compress=arguments.compress,
        socket=arguments.socket,
        min_free=_value("--min-free", min_free, parse_size, "1GiB or 0") if min_free else None,
    )


async def run(options: Options, context: Context) -> int:
    """Write what comes in, until its end or a signal."""
    # expat, orjson, anyio's threads: 40 ms that --help does not pay.
    from haulyard.cli import spool_run

    return await spool_run.spool(options, context)


def _positive(flag: str, text: str) -> int:
    size = _value(flag, text, parse_size, "64MiB")
    if size < 1:
        raise ConfigError(f"{flag} is at least one byte", hint=f"write {flag} 64MiB")
    return size


def _value(flag: str, text: str, parse: Callable[[str], T], example: str) -> T:
    try:
        return parse(text)
    except ValueError:
        raise ConfigError(f"{flag} {text!r} is not understood", hint=f"write {flag} {example}") from None
