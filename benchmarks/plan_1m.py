"""A plan made of a long listing: how long from the answers to the journalled plan, and in how much memory.

The listing lies ready in files, so that the store costs next to nothing; the shards are written to where all
files of the comparison are. Both plans find no object at the destination and no two names alike.
"""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

from benchmarks import canned, tools
from benchmarks.comparison import MIB, Bar, Bench, Comparison, Contest, Contestant, WorkNotDoneError
from benchmarks.servers import nginx

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: Times as many keys, in as much memory.
_MORE = 4
_PAGES = {"fewer": "fewer", "more": "more", "empty": "empty"}
_RULES = r"""
[[rule]]
name = "first days"
match = '^events/day=000(?P<day>\d)/hour=(?P<hour>\d\d)/part-(?P<part>\d+)'
to = "first/{day}/{hour}/{part}.parquet"

[[rule]]
name = "nights"
match = '^events/day=(?P<day>\d+)/hour=0(?P<hour>\d)/'
to = "nights/{day}/{hour}/{name}"

[[rule]]
name = "all others"
glob = "events/*.parquet"
to = "{dir}/{stem}.{ext}"
"""


@contextmanager
def _open(bench: Bench) -> Iterator[Contest]:
    root, jobs, rules = bench.scratch / "root", bench.scratch / "jobs", bench.scratch / "rules.toml"
    counts = {"fewer": bench.scale.many_keys, "more": _MORE * bench.scale.many_keys}
    for name, keys in counts.items():
        canned.write_pages(root, name, keys)
    canned.write_pages(root, "empty", 0)
    rules.write_text(_RULES)

    def planned(trial: str, output: Path, _first: bool) -> None:  # noqa: FBT001 -- the shape of Contest.verify
        shown = output.read_text().split()
        if not any(f"{keys:,}" in shown for keys in counts.values()):
            raise WorkNotDoneError(f"{trial} did not plan all keys")

    def plan(pages: str, trial: str) -> list[str]:
        job = ("--job", trial, "--new", "--job-dir", str(jobs))
        return tools.haul("plan", "copy", f"s3://{pages}/", "s3://empty/", "--rules", str(rules), *job)

    serving = nginx(tools.required("nginx"), root, maps=canned.MAPS, locations=canned.locations(_PAGES))
    with serving as endpoint:
        yield Contest(
            (
                Contestant("haul, fewer keys", lambda trial: plan("fewer", trial)),
                Contestant("haul, more keys", lambda trial: plan("more", trial), warmed=False),
            ),
            tools.environment(endpoint, bench.scratch),
            verify=planned,
            clear=lambda trial: shutil.rmtree(jobs / trial, ignore_errors=True),
        )


ROW = Comparison(
    name="plan_1m",
    title="{many_keys:,} and four times as many keys planned by 3 rules (nginx, canned pages)",
    bars=(
        Bar("wall", 10.0, subject="haul, fewer keys"),
        Bar("wall", 40.0, subject="haul, more keys"),
        Bar("rss", 300 * MIB, subject="haul, fewer keys"),
        Bar("rss", 300 * MIB, subject="haul, more keys"),
    ),
    open=_open,
    needs=("nginx",),
)
