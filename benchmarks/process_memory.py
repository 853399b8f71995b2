"""The memory that a large input takes beside that of a small one: both are made up, no disk is read."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from benchmarks import records
from benchmarks.comparison import MIB, Bar, Bench, Comparison, Contest, Contestant

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SMALL = 20_000_000
LARGE = 2_000_000_000
_QUICK_LARGE = 100_000_000
#: Bytes of a line, and lines of a call: what is measured is memory, and it should not take long.
WIDTH = 500
_BATCH = 1_000


@contextmanager
def _open(bench: Bench) -> Iterator[Contest]:
    sizes = {
        "haul": LARGE if bench.scale.records > SMALL // WIDTH else _QUICK_LARGE,
        "haul, 20 MB": SMALL,
    }
    with records.made_up(bench, WIDTH) as environ, records.scene(bench, environ) as scene:

        def process(size: int) -> list[str]:
            options = ("--rate-limit-calls", "0", "--records-per-call", str(_BATCH), "--body", "array")
            return scene.process(f"s3://made-up/{size}.csv", *options)

        def verify(_trial: str, _output: Path, _first: bool) -> None:  # noqa: FBT001 -- the shape of Contest.verify
            calls = scene.arrivals().calls
            if not any(calls * _BATCH >= size // WIDTH - _BATCH for size in sizes.values()):
                records.require(calls, SMALL // WIDTH // _BATCH, "calls at least")

        yield Contest(
            [
                Contestant(name, lambda _, size=size: process(size), warmed=False)  # type: ignore[misc]
                for name, size in sizes.items()
            ],
            scene.environ,
            verify,
            scene.forget,
            observe=scene.with_disk,
        )


ROW = Comparison(
    name="process_memory",
    title="A CSV of 2 GB to an API, 1,000 records a call: the memory of it, beside one of 20 MB",
    bars=(Bar("rss", 1.1, "haul, 20 MB"), Bar("rss", 200 * MIB)),
    open=_open,
    most_rounds=3,
)
