"""A minute of records sent to an API that allows 5,000 calls a second, one record a call.

All is told by the API's own log: the mean rate, whether any sliding second had more than it allows (it
refuses those), and how evenly the calls came.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from benchmarks import records
from benchmarks.comparison import Bar, Bench, Comparison, Contest, Contestant

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.comparison import Usage

RATE = 5_000


@contextmanager
def _open(bench: Bench) -> Iterator[Contest]:
    count = bench.scale.records
    with records.flights(bench, (RATE, 1.0), (records.KEY, count)) as scene:

        def observe(usage: Usage) -> Usage:
            seen = scene.arrivals(RATE)
            return scene.with_disk(usage)._replace(
                unused=1.0 - (seen.calls - 1) / seen.span / RATE,
                refused=seen.refused / seen.calls,
                lost=1.0 - seen.records / count,
                jitter=seen.jitter,
            )

        def verify(_trial: str, _output: Path, _first: bool) -> None:  # noqa: FBT001 -- the shape of Contest.verify
            records.require(scene.arrivals(RATE).records, count, "records")

        command = scene.process(records.SOURCE, "--rate", f"{RATE}/s")
        yield Contest(
            (Contestant("haul", lambda _: command, warmed=False),),
            scene.environ,
            verify,
            scene.forget,
            observe=observe,
        )


ROW = Comparison(
    name="process_5000",
    title="{records:,} records to an API that allows 5,000 calls a second",
    # 60 % of one core for the minute that it takes.
    bars=(Bar("unused", 0.03), Bar("refused", 0.0), Bar("lost", 0.0), Bar("cpu", 36.0)),
    open=_open,
    most_rounds=3,
)
