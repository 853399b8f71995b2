"""A long listing, its pages made beforehand and handed out by nginx."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from benchmarks import canned, inputs, tools
from benchmarks.comparison import Bar, Bench, Comparison, Contest, Contestant
from benchmarks.servers import nginx

if TYPE_CHECKING:
    from collections.abc import Iterator

_BUCKET = "listed"


@contextmanager
def _open(bench: Bench) -> Iterator[Contest]:
    root = bench.scratch / "root"
    canned.write_pages(root, _BUCKET, bench.scale.keys)
    serving = nginx(
        tools.required("nginx"), root, maps=canned.MAPS, locations=canned.locations({_BUCKET: _BUCKET})
    )
    with serving as endpoint:
        yield Contest(
            (
                Contestant("haul", lambda _trial: tools.haul("ls", "--recursive", f"s3://{_BUCKET}/")),
                Contestant("s5cmd", lambda _trial: tools.s5cmd("ls", f"s3://{_BUCKET}/*")),
                Contestant(
                    "rclone",
                    lambda _trial: tools.rclone(
                        "lsf", "--recursive", "--files-only", "--fast-list", f"{tools.REMOTE}:{_BUCKET}"
                    ),
                ),
                Contestant("obstore", lambda _trial: tools.peer("obstore", "ls", _BUCKET, "")),
                Contestant("boto3", lambda _trial: tools.peer("boto3", "ls", _BUCKET, ""), warmed=False),
            ),
            tools.environment(endpoint, bench.scratch),
            verify=lambda _trial, output, _first: inputs.require_lines(output, bench.scale.keys),
        )


ROW = Comparison(
    name="list_100k",
    title="{keys:,} keys listed (nginx, canned pages)",
    bars=(Bar("wall", 0.6, "s5cmd"),),
    open=_open,
    needs=("nginx",),
)
