"""Two long listings compared by a sync that finds nothing to do: memory does not grow with their length."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from benchmarks import canned, tools
from benchmarks.comparison import Bar, Bench, Comparison, Contest, Contestant, WorkNotDoneError
from benchmarks.servers import nginx

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: Bucket names to the pages that answer for them: each pair of buckets holds the same.
_PAGES = {"fewer-here": "fewer", "fewer-there": "fewer", "more-here": "more", "more-there": "more"}


@contextmanager
def _open(bench: Bench) -> Iterator[Contest]:
    root = bench.scratch / "root"
    canned.write_pages(root, "fewer", bench.scale.keys)
    canned.write_pages(root, "more", bench.scale.many_keys)
    serving = nginx(tools.required("nginx"), root, maps=canned.MAPS, locations=canned.locations(_PAGES))
    with serving as endpoint:
        yield Contest(
            (
                Contestant("haul, fewer keys", lambda _trial: _haul("fewer")),
                Contestant("haul, more keys", lambda _trial: _haul("more")),
                # With more keys it takes minutes, and grows.
                Contestant(
                    "s5cmd, fewer keys",
                    lambda _trial: tools.s5cmd("--dry-run", "sync", "s3://fewer-here/*", "s3://fewer-there/"),
                    warmed=False,
                ),
            ),
            tools.environment(endpoint, bench.scratch),
            verify=_nothing_copied,
        )


def _haul(pages: str) -> list[str]:
    # Before it writes, haul proves what the destination can do, and nginx can do nothing.
    return tools.haul("sync", "--dry-run", f"s3://{pages}-here/", f"s3://{pages}-there/")


def _nothing_copied(_trial: str, output: Path, _first: bool) -> None:  # noqa: FBT001 -- the shape of Contest.verify
    if b"s3://" in output.read_bytes():
        raise WorkNotDoneError("something would be copied although both sides are the same")


ROW = Comparison(
    name="sync_1m",
    title="{keys:,} and {many_keys:,} keys compared by sync (nginx, canned pages)",
    bars=(Bar("rss", 1.3, "haul, fewer keys", subject="haul, more keys"),),
    open=_open,
    needs=("nginx",),
)
