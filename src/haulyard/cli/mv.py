"""Move files and objects: copy, verify, and only then delete the source.

Arguments are those of cp. A source is deleted only if it is still what was copied, and never where source
and destination are the same. Run again after a kill: what was moved is gone from the source, the rest goes
on.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from haulyard.cli import cp
from haulyard.cli.cp import Options
from haulyard.errors import ConfigError

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

EXAMPLES = (
    "haul mv s3://demo/hello.txt s3://demo/moved/",
    "haul mv -r s3://demo/moved/ s3://demo/archive/ --dry-run",
)

run = cp.run


def configure(parser: ArgumentParser) -> None:
    """Declare the arguments: those of ``cp`` and one more."""
    cp.configure(parser)
    parser.add_argument(
        "--verify",
        choices=("checksum",),
        default="",
        help="read source and copy again where the stores state no checksums that compare",
    )


def read(arguments: Namespace) -> Options:
    """Validate the arguments."""
    options = cp.read(arguments)
    if options.reading.version_id:
        raise ConfigError(
            "mv --version-id would delete one version of several", hint="use cp --version-id, then rm"
        )
    return replace(options, move=True, verify=bool(arguments.verify))


__all__ = ["EXAMPLES", "Options", "configure", "read", "run"]
