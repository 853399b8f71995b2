"""`haul` with a journal that takes every entry, says at once that it is written, and forgets it.

Only for measuring what the journal costs: a job that is run like this cannot be continued or undone.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from haulyard.journal import shard

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence

    from haulyard.errors import JobError
    from haulyard.journal.log import Link


class ForgetfulWriter:
    """Stands in for the thread that writes a shard's log."""

    failure: JobError | None = None

    def __init__(self, connection: sqlite3.Connection, _path: str, link: Link) -> None:
        self.link = link
        self._connection = connection

    async def record(self, entries: Sequence[Sequence[Any]], values: Mapping[str, str] | None = None) -> None:
        """Do nothing."""

    def note(self, entry: Sequence[Any]) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()


if __name__ == "__main__":
    vars(shard)["Writer"] = ForgetfulWriter
    from haulyard.cli.main import main

    sys.exit(main())
