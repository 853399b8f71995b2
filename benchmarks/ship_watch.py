"""A shipper that watches: how soon a renamed file is in the store, and what an idle directory costs."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from benchmarks import stored, tools
from benchmarks.comparison import Bar, Bench, Comparison, Contest, Contestant
from benchmarks.servers import seaweedfs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_MEMORY = 150_000_000
_SCRIPT = str(tools.PEERS / "watched_spool.py")


@contextmanager
def _open(bench: Bench) -> Iterator[Contest]:
    scratch = bench.scratch
    with seaweedfs(scratch) as endpoint:
        environ = tools.environment(endpoint, scratch)
        stored.make_bucket(environ)

        def verify(trial: str, _output: Path, _first: bool) -> None:  # noqa: FBT001 -- the shape of Contest.verify
            del trial  # The script judges for itself what it has seen, and fails.

        def watched(kind: str, trial: str) -> list[str]:
            return [tools.PYTHON, _SCRIPT, kind, tools.HAUL, str(scratch / trial), stored.url(trial)]

        yield Contest(
            (
                Contestant("haul", lambda trial: watched("arriving", trial), warmed=False),
                Contestant("haul, idle", lambda trial: watched("idle", trial), warmed=False),
            ),
            environ,
            verify,
        )


ROW = Comparison(
    name="ship_watch",
    title="haul ship --watch: 500 files at 50 a second (median under 0.2 s, p99 under 1 s until they are in "
    "the store), and an idle directory of 100,000 files (under 1 % of a core)",
    bars=(Bar("rss", _MEMORY), Bar("rss", _MEMORY, subject="haul, idle")),
    open=_open,
    most_rounds=3,
)
