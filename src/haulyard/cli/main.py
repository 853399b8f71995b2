"""The entry point of ``haul``. It imports nothing heavy: ``--version`` and ``--help`` answer at once."""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command line of this process and return its exit code (the table is in `exits`)."""
    if sys.argv[1:] == ["--version"]:
        from haulyard._version import __version__

        print(f"haul {__version__}")  # noqa: T201 -- the one result that needs no machinery
        return 0
    from haulyard.cli.dispatch import Process, dispatch

    return dispatch(sys.argv[1:], Process.of_this())
