"""All of flights.csv sent to an API, 1,000 records a call: what reading and turning into JSON costs."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from benchmarks import records, stored, tools
from benchmarks.comparison import Bar, Bench, Comparison, Contest, Contestant

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: Records in one call.
BATCH = 1_000


@contextmanager
def _open(bench: Bench) -> Iterator[Contest]:
    with records.flights(bench, None, (records.KEY, records.FLIGHTS)) as scene:
        target = f"{scene.api.url}/records"
        script = str(tools.PEERS / "process_csv_json.py")

        def verify(_trial: str, _output: Path, _first: bool) -> None:  # noqa: FBT001 -- the shape of Contest.verify
            fewest = -(-records.FLIGHTS // BATCH)
            records.require(min(scene.arrivals().calls, fewest), fewest, "calls at least")

        haul = scene.process(
            records.SOURCE, "--rate-limit-calls", "0", "--records-per-call", str(BATCH), "--body", "array"
        )
        peer = [tools.PYTHON, script, stored.BUCKET, records.KEY, target, str(BATCH)]
        yield Contest(
            (Contestant("haul", lambda _: haul), Contestant("csv, json", lambda _: peer)),
            scene.environ,
            verify,
            scene.forget,
            observe=scene.with_disk,
        )


ROW = Comparison(
    name="process_batches",
    title="336,776 records of flights.csv to an API, 1,000 a call",
    bars=(Bar("wall", 0.25, "csv, json"),),
    open=_open,
)
