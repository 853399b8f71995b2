"""Thousands of small files uploaded to the embedded store."""

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
    names = inputs.small_files(source, bench.scale.files, bench.scale.file_size)
    with seaweedfs(bench.scratch) as endpoint:
        environ = tools.environment(endpoint, bench.scratch)
        stored.make_bucket(environ)
        yield Contest(
            (
                Contestant("haul", lambda trial: tools.haul("cp", f"{source}/", stored.url(trial))),
                Contestant("s5cmd", lambda trial: tools.s5cmd("cp", f"{source}/", stored.url(trial))),
                Contestant("rclone", lambda trial: tools.rclone("copy", str(source), stored.remote(trial))),
                Contestant("obstore", lambda trial: _script("obstore", source, trial)),
                Contestant("boto3", lambda trial: _script("boto3", source, trial), warmed=False),
            ),
            environ,
            verify=lambda trial, _output, _first: stored.require(
                environ, trial, len(names), len(names) * bench.scale.file_size
            ),
        )


def _script(library: str, source: object, trial: str) -> list[str]:
    return tools.peer(library, "up", str(source), stored.BUCKET, f"{trial}/")


ROW = Comparison(
    name="small_up",
    title="{files:,} files of 4 KiB up",
    bars=(Bar("wall", 0.9, "s5cmd"), Bar("cpu", 0.6, "s5cmd"), Bar("wall", 0.2, "boto3")),
    open=_open,
)
