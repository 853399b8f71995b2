"""Records sent to an API without a limit, one a call: haul beside the document's script and aiohttp.

The peers are slower, so they get fewer records. What a call takes them is then counted as often as haul
calls: wall time between the first call and the last, and all of their CPU time.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from benchmarks import records, stored, tools
from benchmarks.comparison import Bar, Bench, Comparison, Contest, Contestant

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from benchmarks.comparison import Usage

#: One in so many of haul's records is what a peer gets.
_SHARES = {"requests": 40, "aiohttp": 4}


@contextmanager
def _open(bench: Bench) -> Iterator[Contest]:
    count = bench.scale.records
    sizes = [(f"{name}.csv", count // share) for name, share in _SHARES.items()]
    with records.flights(bench, None, (records.KEY, count), *sizes) as scene:

        def peer(name: str) -> Sequence[str]:
            script = str(tools.PEERS / f"process_{name}.py")
            return [tools.PYTHON, script, stored.BUCKET, f"{name}.csv", f"{scene.api.url}/records"]

        def observe(usage: Usage) -> Usage:
            seen = scene.arrivals()
            more = count / max(1, seen.calls)
            return scene.with_disk(usage)._replace(
                wall=usage.wall + seen.span * (more - 1), cpu=usage.cpu * more
            )

        def verify(_trial: str, _output: Path, _first: bool) -> None:  # noqa: FBT001 -- the shape of Contest.verify
            seen = scene.arrivals()
            if seen.calls not in dict(sizes).values():
                records.require(seen.records, count, "records")

        command = scene.process(records.SOURCE, "--rate-limit-calls", "0")
        yield Contest(
            (
                Contestant("haul", lambda _: command, warmed=False),
                *(Contestant(name, lambda _, name=name: peer(name), warmed=False) for name in _SHARES),  # type: ignore[misc]
            ),
            scene.environ,
            verify,
            scene.forget,
            observe=observe,
        )


ROW = Comparison(
    name="process_unlimited",
    title="{records:,} records to an API without a limit, one a call",
    # 12,000 calls a second, start-up included.
    bars=(Bar("wall", 25.0),),
    open=_open,
    most_rounds=3,
)
