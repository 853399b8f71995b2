"""A long listing through fsspec: ``find`` with details, in the embedded store."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from benchmarks import fsspec_peers, stored, tools
from benchmarks.comparison import Bar, Bench, Comparison, Contest
from benchmarks.servers import seaweedfs

if TYPE_CHECKING:
    from collections.abc import Iterator

_DIRECTORIES = 20


@contextmanager
def _open(bench: Bench) -> Iterator[Contest]:
    each = bench.scale.keys // _DIRECTORIES
    with seaweedfs(bench.scratch) as endpoint:
        environ = tools.environment(endpoint, bench.scratch)
        stored.make_bucket(environ)
        for number in range(_DIRECTORIES):
            prefix = f"{stored.BUCKET}/found/part-{number:02}/"
            tools.prepare(tools.peer("fsspec", "haul", "write", prefix, str(each), "16"), environ)
        yield Contest(
            fsspec_peers.contestants("find", lambda _trial: "found"),
            environ,
            verify=lambda _trial, output, _first: fsspec_peers.require_number(output, each * _DIRECTORIES),
        )


ROW = Comparison(
    name="fs_find",
    title="{keys:,} keys found through fsspec",
    bars=(Bar("wall", 0.4, "s3fs"),),
    open=_open,
)
