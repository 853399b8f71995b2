"""Thousands of small objects downloaded from the embedded store."""

from __future__ import annotations

import shutil
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
    source, targets = bench.scratch / "source", bench.scratch / "targets"
    inputs.small_files(source, bench.scale.files, bench.scale.file_size)

    def script(library: str, trial: str) -> list[str]:
        return tools.peer(library, "down", stored.BUCKET, f"{_PREFIX}/", str(targets / trial))

    with seaweedfs(bench.scratch) as endpoint:
        environ = tools.environment(endpoint, bench.scratch)
        stored.make_bucket(environ)
        stored.fill(environ, source, _PREFIX)
        prefix = stored.url(_PREFIX)
        yield Contest(
            (
                Contestant("haul", lambda trial: tools.haul("cp", prefix, f"{targets / trial}/")),
                Contestant("s5cmd", lambda trial: tools.s5cmd("cp", f"{prefix}*", f"{targets / trial}/")),
                Contestant(
                    "rclone",
                    lambda trial: tools.rclone("copy", stored.remote(_PREFIX), str(targets / trial)),
                ),
                Contestant("obstore", lambda trial: script("obstore", trial)),
                Contestant("boto3", lambda trial: script("boto3", trial), warmed=False),
                Contestant("aiobotocore", lambda trial: script("aiobotocore", trial), warmed=False),
            ),
            environ,
            verify=lambda trial, _output, first: inputs.require_same_tree(
                source, targets / trial, content=first
            ),
            prepare=lambda trial: (targets / trial).mkdir(parents=True),
            clear=lambda trial: shutil.rmtree(targets / trial),
        )


ROW = Comparison(
    name="small_down",
    title="{files:,} objects of 4 KiB down",
    bars=(Bar("wall", 0.75, "s5cmd"), Bar("cpu", 0.5, "s5cmd"), Bar("wall", 0.2, "boto3")),
    open=_open,
)
