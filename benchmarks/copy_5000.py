"""Thousands of objects copied inside the embedded store, by the store itself."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from benchmarks import inputs, stored, tools
from benchmarks.comparison import Bar, Bench, Comparison, Contest, Contestant
from benchmarks.servers import seaweedfs

if TYPE_CHECKING:
    from collections.abc import Iterator

_PREFIX = "source"


@contextmanager
def _open(bench: Bench) -> Iterator[Contest]:
    source = bench.scratch / "source"
    names = inputs.small_files(source, bench.scale.files, bench.scale.file_size)

    def script(library: str, trial: str) -> list[str]:
        return tools.peer(library, "copy", stored.BUCKET, f"{_PREFIX}/", f"{trial}/")

    with seaweedfs(bench.scratch) as endpoint:
        environ = tools.environment(endpoint, bench.scratch)
        stored.make_bucket(environ)
        stored.fill(environ, source, _PREFIX)
        prefix = stored.url(_PREFIX)
        yield Contest(
            (
                Contestant("haul", lambda trial: tools.haul("cp", prefix, stored.url(trial))),
                Contestant("s5cmd", lambda trial: tools.s5cmd("cp", f"{prefix}*", stored.url(trial))),
                Contestant(
                    "rclone",
                    lambda trial: tools.rclone("copy", stored.remote(_PREFIX), stored.remote(trial)),
                ),
                Contestant("obstore", lambda trial: script("obstore", trial)),
            ),
            environ,
            verify=lambda trial, _output, _first: stored.require(
                environ, trial, len(names), len(names) * bench.scale.file_size
            ),
        )


ROW = Comparison(
    name="copy_5000",
    title="{files:,} objects copied inside the store",
    bars=(Bar("wall", 0.95, "s5cmd"), Bar("cpu", 0.5, "s5cmd")),
    open=_open,
)
