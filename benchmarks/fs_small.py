"""Small objects written and read through fsspec, 64 at a time, each by one call."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from benchmarks import fsspec_peers, stored, tools
from benchmarks.comparison import Bar, Bench, Comparison, Contest
from benchmarks.servers import seaweedfs

if TYPE_CHECKING:
    from collections.abc import Iterator

_COUNT = 2_000
_SIZE = 16 * 1024


@contextmanager
def _open(bench: Bench) -> Iterator[Contest]:
    count = min(_COUNT, bench.scale.files)
    with seaweedfs(bench.scratch) as endpoint:
        environ = tools.environment(endpoint, bench.scratch)
        stored.make_bucket(environ)
        yield Contest(
            fsspec_peers.contestants("both", lambda trial: trial, str(count), str(_SIZE)),
            environ,
            verify=lambda _trial, output, _first: fsspec_peers.require_number(output, count),
        )


ROW = Comparison(
    name="fs_small",
    title="2,000 objects of 16 KiB written and read through fsspec",
    bars=(Bar("wall", 0.25, "s3fs"), Bar("wall", 0.5, "obstore"), Bar("cpu", 0.5, "obstore")),
    open=_open,
)
