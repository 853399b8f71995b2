"""Start and stop the embedded S3 server: SeaweedFS on loopback, with generated credentials.

start  returns when the server answers; it runs until stopped
run    stays in the foreground; the server ends with it
stop   ends it; the data stay
status says whether it runs and where

It is the server of one directory: .haul/local below this one, or --dir. The AWS_… variables that --export
gave to a shell stay set after stop, and point to nothing: unset them, or leave that shell.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from haulyard.cli import exits, flags

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from haulyard.cli.context import Context
    from haulyard.local import EmbeddedStatus, EmbeddedStore

_EXPORTED = ("AWS_ENDPOINT_URL_S3", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION")
EXAMPLES = ('eval "$(haul local start --export)"', "haul local status --json")


@dataclass(frozen=True, slots=True)
class Options:
    """What is to be done with which server; ``directory`` is empty for the one of the settings."""

    action: str
    directory: str
    export: bool


@dataclass(frozen=True, slots=True)
class Status:
    """What is known of the server, no secrets; ``directory`` is the one that was asked for, if any."""

    kind: ClassVar[str] = "local"

    status: EmbeddedStatus
    directory: str = ""

    def text(self) -> str:
        """Return where it is and how to use it."""
        status = self.status
        if not status.running:
            return f"not running; its data are in {status.data_dir}"
        where = f" --dir {shlex.quote(self.directory)}" if self.directory else ""
        return (
            f"running at {status.endpoint_url} (process {status.pid})\n"
            f"data in {status.data_dir}, credentials in {status.credentials_file}\n"
            f'to use it: eval "$(haul local start{where} --export)"'
        )

    def fields(self) -> dict[str, object]:
        """Return it for programs."""
        status = self.status
        return {
            "running": status.running,
            "endpoint_url": status.endpoint_url,
            "pid": status.pid,
            "data_dir": str(status.data_dir),
            "credentials_file": str(status.credentials_file),
            "log_file": str(status.log_file),
        }


def configure(parser: ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("action", choices=("start", "stop", "status", "run"), help="what to do")
    parser.add_argument("--dir", default="", metavar="DIR", help="where its data are (HAUL_LOCAL_DIR)")
    parser.add_argument(
        "--export", action="store_true", help="print the variables that S3 clients need, for a shell's eval"
    )
    flags.add(parser, flags.OUTPUT)


def read(arguments: Namespace) -> Options:
    """Return the options."""
    return Options(arguments.action, arguments.dir, arguments.export)


def run(options: Options, context: Context) -> int:
    """Do it."""
    from haulyard.local import EmbeddedStore

    store = EmbeddedStore(options.directory or context.settings.local_dir)

    def show(status: EmbeddedStatus) -> None:
        if options.export:
            context.output.note(f"using the embedded store in {status.data_dir}")
            context.output.lines(
                [f"export {name}={shlex.quote(value)}" for name, value in store.environment().items()]
            )
        else:
            context.output.result(Status(status, options.directory))
        context.output.writer.flush()

    match options.action:
        case "start":
            show(store.start())
        case "run":
            store.run(show)
        case "stop":
            _stop(store, context)
        case _:
            show(store.status())
    return exits.OK


def _stop(store: EmbeddedStore, context: Context) -> None:
    before = store.status()
    stopped = store.stop()
    context.output.note(f"{'stopped' if stopped else 'not running'}: the embedded store in {before.data_dir}")
    if stopped and context.settings.environment.get("AWS_ENDPOINT_URL_S3") == before.endpoint_url:
        context.output.note(f"this shell still points to it: unset {' '.join(_EXPORTED)}")
