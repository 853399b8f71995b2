"""Ranges of large objects through fsspec's ``cat_ranges``, a thousand a call.

As readers of zarr ask for them, chunks drawn from shards, and as those of Parquet do, pages of a column side
by side.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from benchmarks import fsspec_peers, stored, tools
from benchmarks.comparison import Bar, Bench, Comparison, Contest
from benchmarks.servers import seaweedfs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

_COUNT = 10_000
_SIZE = 64 * 1024
#: Ranges of an object, of 32 MiB.
_SLOTS = 512
#: Bytes that trials read are a small part of what is stored.
_OBJECTS = 64


def _opener(run: int) -> Callable[[Bench], AbstractContextManager[Contest]]:
    @contextmanager
    def opened(bench: Bench) -> Iterator[Contest]:
        count = min(_COUNT, bench.scale.files)
        objects = min(_OBJECTS, max(4, bench.scale.files // 100))
        numbers = tuple(map(str, (objects, _SLOTS, run, count, _SIZE)))
        with seaweedfs(bench.scratch) as endpoint:
            environ = tools.environment(endpoint, bench.scratch)
            stored.make_bucket(environ)
            prefix = f"{stored.BUCKET}/ranges/"
            size = str(_SLOTS * _SIZE)
            tools.prepare(tools.peer("fsspec", "haul", "write", prefix, str(objects), size), environ)
            yield Contest(
                fsspec_peers.contestants("ranges", lambda _trial: "ranges", *numbers),
                environ,
                verify=lambda _trial, output, _first: fsspec_peers.require_number(
                    output, count // run * run * _SIZE
                ),
            )

    return opened


_BARS = (Bar("wall", 0.5, "s3fs"), Bar("wall", 0.9, "obstore"))
ROWS = (
    Comparison(
        name="fs_zarr",
        title="10,000 ranges of 64 KiB through fsspec, one by one",
        bars=_BARS,
        open=_opener(1),
        most_rounds=3,
    ),
    Comparison(
        name="fs_parquet",
        title="10,000 ranges of 64 KiB through fsspec, eight side by side",
        bars=_BARS,
        open=_opener(8),
        most_rounds=3,
    ),
)
