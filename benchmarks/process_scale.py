"""What 200 million records take, told from the recorded comparisons: a table for the documentation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks import report
from benchmarks.comparison import Scale

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: How many the document that this command comes from speaks of.
RECORDS = 200_000_000
DOCS = Path(__file__).parent.parent / "docs"
TABLE = "process_200m.md"
BEGIN = "<!-- begin of what `make bench` says of 200 million records -->"
END = "<!-- end of what `make bench` says of 200 million records -->"
_FLIGHTS = 336_776
_HOUR = 3_600.0


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
    results = {result["name"]: result for result in report.load(way.comparison for way in _WAYS)}
    memory = report.load(["process_memory"])
    table = "\n".join(lines(results, _peak(memory))) + "\n"
    if len(results) < len(_WAYS):
        return
    (report.RESULTS / TABLE).write_text(table, encoding="utf-8")
    for page in sorted(DOCS.rglob("*.md")):
        text = page.read_text(encoding="utf-8")
        if BEGIN in text and END in text:
            written = f"{text[: text.index(BEGIN)]}{BEGIN}\n\n{table}\n{text[text.index(END) :]}"
            page.write_text(written, encoding="utf-8")


def lines(results: Mapping[str, Mapping[str, Any]], peak: float) -> list[str]:
    """Return the table; ``peak`` is the memory that a large input took.

    Time and disk grow with the records, and are counted up from those that were sent. Memory does not: it is
    the most that any of the comparisons took.
    """
    rows = ["| | time | memory | disk for the journal |", "|---|--:|--:|--:|"]
    for way in _WAYS:
        if (median := _median(results.get(way.comparison, {}))) is None:
            continue
        times = RECORDS / way.records
        hours = median["wall"] * times / _HOUR
        most = max(peak, median["rss"])
        memory, disk = report.amount("rss", most), report.amount("disk", median["disk"] * times)
        rows.append(f"| {way.title} | {_duration(hours)} | {memory} | {disk} |")
    return rows


def _duration(hours: float) -> str:
    return f"{hours:.1f} h" if hours >= 1 else f"{hours * 60:.0f} min"


def _peak(results: Iterable[Mapping[str, Any]]) -> float:
    return max((median["rss"] for result in results if (median := _median(result))), default=0.0)


def _median(result: Mapping[str, Any]) -> Mapping[str, float] | None:
    """Return the medians of haul in a comparison; None if there are none."""
    medians = (each.get("median") for each in result.get("contestants", ()) if each["name"] == "haul")
    return next(medians, None)
