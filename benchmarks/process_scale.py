"""What 200 million records take, told from the recorded comparisons: a table for the documentation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks import report
from benchmarks.comparison import Scale
from benchmarks.process_memory import LARGE, SMALL, WIDTH

if TYPE_CHECKING:
    from collections.abc import Mapping

#: How many the document that this command comes from speaks of.
RECORDS = 200_000_000
DOCS = Path(__file__).parent.parent / "docs"
TABLE = "process_200m.md"
BEGIN = "<!-- begin of what `make bench` says of 200 million records -->"
END = "<!-- end of what `make bench` says of 200 million records -->"
_FLIGHTS = 336_776
_HOUR = 3_600.0
_MEMORY, _LARGE, _SMALL = "process_memory", "haul", "haul, 20 MB"


class Way(NamedTuple):
    """A way to send them: the comparison that tells what it takes, and how many records that sent."""

    title: str
    comparison: str
    records: int


_WAYS = (
    Way("5,000 calls a second, one record a call", "process_5000", Scale().records),
    Way("no limit, one record a call", "process_unlimited", Scale().records),
    Way("no limit, 1,000 records a call", "process_batches", _FLIGHTS),
)


def publish() -> None:
    """Write the table into benchmarks/results, and into every page of docs/ that has a place for it."""
    names = [*(way.comparison for way in _WAYS), _MEMORY]
    results = {result["name"]: result for result in report.load(names)}
    if not all(_median(results.get(name, {})) for name in names):
        return
    table = "\n".join(lines(results)) + "\n"
    (report.RESULTS / TABLE).write_text(table, encoding="utf-8")
    for page in sorted(DOCS.rglob("*.md")):
        text = page.read_text(encoding="utf-8")
        if BEGIN in text and END in text:
            written = f"{text[: text.index(BEGIN)]}{BEGIN}\n\n{table}\n{text[text.index(END) :]}"
            page.write_text(written, encoding="utf-8")


def lines(results: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return the table.

    Time grows with the records, and is counted up from those that were sent. Of the disk, which is that of a
    finished job, only what a large input took more than a small one does so. Memory does not: it is the most
    there was.
    """
    large, small = (_median(results[_MEMORY], name) for name in (_LARGE, _SMALL))
    assert large is not None
    assert small is not None
    growth = (large["disk"] - small["disk"]) / ((LARGE - SMALL) // WIDTH)
    rows = ["| | time | memory | disk for the journal |", "|---|--:|--:|--:|"]
    for way in _WAYS:
        if (median := _median(results.get(way.comparison, {}))) is None:
            continue
        hours = median["wall"] * RECORDS / way.records / _HOUR
        memory = report.amount("rss", max(large["rss"], median["rss"]))
        disk = report.amount("disk", median["disk"] + max(0.0, growth) * (RECORDS - way.records))
        rows.append(f"| {way.title} | {_duration(hours)} | {memory} | {disk} |")
    return rows


def _duration(hours: float) -> str:
    return f"{hours:.1f} h" if hours >= 1 else f"{hours * 60:.0f} min"


def _median(result: Mapping[str, Any], name: str = "haul") -> Mapping[str, float] | None:
    """Return the medians of a contestant; None if there are none."""
    medians = (each.get("median") for each in result.get("contestants", ()) if each["name"] == name)
    return next(medians, None)
