"""The commands: which file each is in and what it does, so that ``haul --help`` imports none of them.

The file is the command. It has

- ``EXAMPLES``: two command lines that work as printed after `TRY`;
- ``configure(parser)``: declares positionals and flags (groups of `haulyard.cli.flags`, or its own);
- ``read(arguments)``: turns the parsed namespace into a frozen, validated ``Options``, or raises ConfigError;
- ``run(options, context)``: does the work and returns the exit code. A plain function that returns an int,
  or a coroutine function, which `haulyard.cli.running` drives.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, cast

from haulyard.errors import ConfigError

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace
    from collections.abc import Coroutine

    from haulyard.cli.context import Context

#: What makes the examples of every help text work as printed.
TRY = 'eval "$(haul local start --export)"; haul mb s3://demo; echo hello | haul put - s3://demo/hello.txt'


class Command(NamedTuple):
    """One line of ``haul --help`` and the module behind it."""

    module: str
    summary: str


class CommandModule(Protocol):
    """What the file of a command offers."""

    EXAMPLES: tuple[str, ...]

    def configure(self, parser: ArgumentParser, /) -> None:
        """Declare positionals and flags."""
        ...

    def read(self, arguments: Namespace, /) -> Any:  # noqa: ANN401 -- each command has its own Options
        """Return the validated options."""
        ...

    def run(self, options: Any, context: Context, /) -> int | Coroutine[Any, Any, int]:  # noqa: ANN401 -- likewise
        """Do the work and return the exit code."""
        ...


GROUPS: dict[str, dict[str, Command]] = {
    "Objects": {
        "ls": Command("ls", "list buckets, objects and versions"),
        "cp": Command("cp", "copy between local files and stores"),
        "mv": Command("mv", "copy, verify, then delete the source"),
        "sync": Command("sync", "make a destination like its source"),
        "rm": Command("rm", "remove objects and versions"),
        "cat": Command("cat", "write objects to standard output"),
        "put": Command("put", "write standard input or a file to one object"),
        "head": Command("head", "show everything known of an object"),
        "du": Command("du", "add up sizes below prefixes"),
        "presign": Command("presign", "make a URL that works without credentials"),
        "restore": Command("restore", "bring archived objects back"),
        "uploads": Command("uploads", "list and abort unfinished multipart uploads"),
    },
    "Buckets": {
        "mb": Command("mb", "make a bucket"),
        "rb": Command("rb", "remove a bucket"),
    },
    "Bulk jobs": {
        "plan": Command("plan", "say what a copy, move, delete … by rules would do"),
        "apply": Command("apply", "carry a plan out, or go on with it"),
        "status": Command("status", "show how jobs stand"),
        "undo": Command("undo", "take back what a job did"),
        "report": Command("report", "write what a job did as a page, JSON and CSV"),
    },
    "Records": {
        "process": Command("process", "send records to a rate-limited HTTP API"),
        "ingest": Command("ingest", "load CSV, JSON and Parquet into tables"),
    },
    "Events and files": {
        "spool": Command("spool", "write events into rotated files"),
        "ship": Command("ship", "carry rotated files from a directory into S3"),
    },
    "Many at once": {
        "run": Command("run", "run one command a line, in parallel, in one process"),
    },
    "This machine": {
        "doctor": Command("doctor", "check credentials, network and permissions"),
        "config": Command("config", "show every setting and where it came from"),
        "local": Command("local", "start and stop the embedded S3 server"),
        "demo": Command("demo", "move real files to a real server and back"),
        "completion": Command("completion", "print completion for bash, zsh or fish"),
    },
}

COMMANDS: dict[str, Command] = {verb: each for group in GROUPS.values() for verb, each in group.items()}


def load(verb: str) -> CommandModule:
    """Import the file of a command.

    Raises:
        ConfigError: There is no such command.
    """
    command = COMMANDS.get(verb)
    if command is None:
        # Settings come with it: 10 ms that --help does not pay.
        from haulyard.config.suggest import nearest

        near = nearest(verb, COMMANDS)
        raise ConfigError(
            f"{verb} is not a command",
            hint=f"did you mean haul {near}?" if near else "haul --help lists the commands",
        )
    return cast("CommandModule", import_module(f"haulyard.cli.{command.module}"))


def overview() -> str:
    """Return the text of ``haul --help``."""
    width = max(map(len, COMMANDS)) + 2
    lines = [
        "usage: haul VERB [FLAG …] SOURCE… DESTINATION",
        "",
        "Moves data into, out of and inside S3 and S3-compatible stores, and accounts for every object.",
    ]
    for title, group in GROUPS.items():
        lines += ["", title]
        lines += [f"  {verb:<{width}}{command.summary}" for verb, command in group.items()]
    lines += [
        "",
        "haul VERB --help or haul help VERB shows flags and examples of a command.",
        "haul --version shows the version.",
        "Flags that commands share may stand before the verb: haul --profile dev ls s3://bucket/",
    ]
    return "\n".join(lines) + "\n"
