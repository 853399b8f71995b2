"""Thousands of objects removed from the embedded store."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from benchmarks import inputs, stored, tools
from benchmarks.comparison import Bar, Bench, Comparison, Contest, Contestant
from benchmarks.servers import seaweedfs

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def _open(bench: Bench) -> Iterator[Contest]:
    source = bench.scratch / "source"
    inputs.small_files(source, bench.scale.files, bench.scale.file_size)

    with seaweedfs(bench.scratch) as endpoint:
        environ = tools.environment(endpoint, bench.scratch)
        stored.make_bucket(environ)
        yield Contest(
            (
                Contestant("haul", lambda trial: tools.haul("rm", "--recursive", stored.url(trial))),
                Contestant("s5cmd", lambda trial: tools.s5cmd("rm", f"{stored.url(trial)}*")),
                Contestant("boto3", lambda trial: tools.peer("boto3", "remove", stored.BUCKET, f"{trial}/")),
            ),
            environ,
            verify=lambda trial, _output, _first: stored.require(environ, trial, 0, 0),
            prepare=lambda trial: stored.fill(environ, source, trial),
        )


ROW = Comparison(
    name="remove_5000",
    title="{files:,} objects removed",
    bars=(Bar("wall", 1.0, "s5cmd"),),
    open=_open,
)
