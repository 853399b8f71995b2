"""What a command costs before it does anything."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from benchmarks import tools
from benchmarks.comparison import Bar, Bench, Comparison, Contest, Contestant, WorkNotDoneError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: Seconds.
LIMIT = 0.15


@contextmanager
def _open(bench: Bench) -> Iterator[Contest]:
    yield Contest(
        (
            Contestant("haul --version", lambda _trial: tools.haul("--version")),
            Contestant("haul --help", lambda _trial: tools.haul("--help")),
            Contestant("python -c pass", lambda _trial: [tools.PYTHON, "-c", "print()"]),
        ),
        tools.environment(None, bench.scratch),
        verify=_printed,
    )


def _printed(_trial: str, output: Path, _first: bool) -> None:  # noqa: FBT001 -- the shape of Contest.verify
    if not output.stat().st_size:
        raise WorkNotDoneError("nothing was printed")


ROW = Comparison(
    name="startup",
    title="Start-up",
    bars=(Bar("wall", LIMIT, subject="haul --version"), Bar("wall", LIMIT, subject="haul --help")),
    open=_open,
    repeat=3,
)
