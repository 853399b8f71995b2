"""``python -m benchmarks [ROW…] [--rounds N] [--quick] [--scratch DIR]``: what `make bench` runs."""

from __future__ import annotations

import argparse
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import (
    apply_5000,
    big_down,
    big_up,
    copy_5000,
    fs_batch,
    fs_find,
    fs_ranges,
    fs_small,
    harness,
    ingest_duckdb_2gb,
    ingest_reading,
    list_100k,
    match_20,
    nginx_small,
    plan_1m,
    process_5000,
    process_batches,
    process_memory,
    process_resume,
    process_scale,
    process_unlimited,
    remove_5000,
    report,
    resume_1m,
    ship_backlog,
    ship_watch,
    small_down,
    small_up,
    spool_events,
    startup,
    sync_1m,
    throttled,
    tools,
)
from benchmarks.comparison import QUICK, Bench, Scale
from haulyard.errors import HaulError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.comparison import Comparison, Verdict

ROWS: dict[str, Comparison] = {
    module.ROW.name: module.ROW
    for module in (
        small_up,
        small_down,
        nginx_small,
        big_down,
        big_up,
        list_100k,
        remove_5000,
        copy_5000,
        sync_1m,
        plan_1m,
        match_20,
        apply_5000,
        resume_1m,
        process_5000,
        process_unlimited,
        process_batches,
        process_memory,
        process_resume,
        spool_events,
        ship_backlog,
        ship_watch,
        ingest_duckdb_2gb,
        fs_small,
        fs_find,
        startup,
    )
} | {row.name: row for row in (*ingest_reading.ROWS, *throttled.ROWS, *fs_ranges.ROWS, *fs_batch.ROWS)}
#: Fewer rounds than this, or less work, are shown but not recorded.
ROUNDS = 5
_MEMORY_DISK = Path("/dev/shm")  # noqa: S108 -- an own directory with an unguessable name is made there
# The large object at its source, in the store and at its destination, and as much again for the rest.
_SPACE = 6


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the comparisons; 0 also where a bar is missed, which is said."""
    options = _options(arguments)
    scale = QUICK if options.quick else Scale()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    base = options.scratch or _scratch_base(scale)
    kind = "tmpfs" if base == _MEMORY_DISK else "disk"
    recorded = options.rounds >= ROUNDS and not options.quick
    judged: dict[str, list[Verdict]] = {}
    for row in [ROWS[name] for name in options.rows or ROWS]:
        if absent := [program for program in row.needs if tools.find(program) is None]:
            print(f"{row.name}: skipped, {', '.join(absent)} is not installed\n")
            continue
        judged[row.name] = _run(row, scale, options.rounds, base, kind if recorded else "")
    if recorded:
        report.publish(ROWS)
        process_scale.publish()
    if not options.quick:
        _conclude(judged)
    where = report.RESULTS.relative_to(report.README.parent)
    print(
        f"Recorded in {where} and README.md"
        if recorded
        else "Not recorded: too few rounds or too little work"
    )
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Haulyard and its peers, side by side."
    )
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"one of {', '.join(ROWS)}; all by default")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"{ROUNDS} by default")
    parser.add_argument("--quick", action="store_true", help="little work: does everything run?")
    parser.add_argument("--scratch", type=Path, help="directory for the files; on tmpfs by default")
    options = parser.parse_args(arguments)
    if unknown := set(options.rows) - set(ROWS):
        parser.error(f"no such row: {', '.join(sorted(unknown))}")
    return options


def _scratch_base(scale: Scale) -> Path:
    """Return where the files go: to memory if there is room, so that no disk is measured."""
    if _MEMORY_DISK.is_dir() and shutil.disk_usage(_MEMORY_DISK).free > _SPACE * scale.large:
        return _MEMORY_DISK
    return Path(tempfile.gettempdir())


def _run(row: Comparison, scale: Scale, rounds: int, base: Path, recorded_kind: str) -> list[Verdict]:
    """Run, show and, where ``recorded_kind`` is not empty, save one comparison."""
    print(f"{row.heading(scale)}  [{row.name}]", flush=True)
    started = time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="haul-bench-", dir=base) as scratch:
            records = harness.compare(row, Bench(Path(scratch), scale), rounds, _tell)
    except (HaulError, OSError, RuntimeError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stderr", "") or ""
        print(f"  could not be measured: {error} {said}".rstrip() + "\n")
        return report.verdicts(row, {})
    _tell("")
    # The bars are for the whole work: with less of it start-up is most of what is measured.
    judged = [] if scale is QUICK else report.verdicts(row, records)
    print("\n".join(report.lines(records, judged)))
    print(f"  ({time.monotonic() - started:.0f} s)\n", flush=True)
    if recorded_kind:
        report.save(row, scale, records, rounds, recorded_kind)
    return judged


def _tell(what: str) -> None:
    """Show what is going on, on a terminal."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{what}")
        sys.stderr.flush()


def _conclude(judged: Mapping[str, Sequence[Verdict]]) -> None:
    """Say how many bars are met, and which are not."""
    bars = [(name, verdict) for name, verdicts in judged.items() for verdict in verdicts]
    print(f"{sum(verdict.met is True for _, verdict in bars)} of {len(bars)} bars met")
    for name, verdict in bars:
        if not verdict.met:
            print(f"  {name}: {report.bar_line(verdict)}")


if __name__ == "__main__":
    sys.exit(main())
