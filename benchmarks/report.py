"""What is made of the numbers: lines on the terminal, a JSON file a row, table and chart of the README."""

from __future__ import annotations

import json
import os
import platform
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import chart, harness, tools
from benchmarks.comparison import MIB, judge

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from benchmarks.comparison import Bar, Comparison, Metric, Record, Scale, Verdict

RESULTS = Path(__file__).parent / "results"
README = Path(__file__).parent.parent / "README.md"
CHART = RESULTS / "speed.svg"
BEGIN = "<!-- begin of what `make bench` writes -->"
END = "<!-- end of what `make bench` writes -->"
#: The columns of the README's table, as far as any row has them.
_COLUMNS = ("haul", "s5cmd", "rclone", "obstore", "boto3", "aiobotocore", "raw sockets")
_BASE = "s5cmd"
_METRICS: tuple[Metric, ...] = ("wall", "cpu", "rss")
#: What only a store or an API that throttles shows.
_THROTTLED: tuple[Metric, ...] = ("unused", "refused", "lost")
#: What is known of jobs that push records through an API.
_OF_RECORDS: tuple[Metric, ...] = ("jitter", "disk")
#: What programs tell of reading tables.
_OF_TABLES: tuple[Metric, ...] = ("warm", "fetched")
_SPECIAL: tuple[Metric, ...] = (*_THROTTLED, *_OF_RECORDS, *_OF_TABLES)
_LABELS = {
    "wall": "wall time",
    "cpu": "CPU time",
    "rss": "peak memory",
    "unused": "share of the limit not used",
    "refused": "share of requests refused",
    "lost": "share of objects given up",
    "jitter": "99th percentile of jitter",
    "disk": "left on disk",
    "warm": "time when warm",
    "fetched": "bytes fetched for each that is wanted",
}


def verdicts(comparison: Comparison, records: Mapping[str, Record]) -> list[Verdict]:
    """Hold the medians against the bars of a comparison."""
    return [judge(bar, records) for bar in comparison.bars]


def amount(metric: str, value: float) -> str:
    """Return a measured value with its unit."""
    if metric == "disk" and value < MIB:
        return f"{value / 1024:.0f} KiB"
    if metric in {"rss", "disk"}:
        return f"{value / MIB:.0f} MiB"
    if metric == "jitter":
        return f"{1000 * value:.2f} ms"
    if metric in _THROTTLED:
        return f"{100 * value:.1f} %"
    if metric in _OF_TABLES:
        return f"{value:.3f} s" if metric == "warm" else f"{value:.2f}"
    return f"{value:.2f} s" if value < 100 else f"{value:.0f} s"  # noqa: PLR2004 -- four digits are enough


def lines(records: Mapping[str, Record], judged: Sequence[Verdict]) -> list[str]:
    """Return what the terminal shows of a comparison: a line a contestant, a line a bar."""
    width = max(map(len, records)) + 2
    shown = [f"  {'':<{width}}{'wall':>9}{'CPU':>9}{'memory':>10}   wall, CPU of {_BASE}"]
    base, floor = records.get(_BASE), harness.own_peak()
    for name, record in records.items():
        medians = {metric: record.median(metric) for metric in _METRICS}
        if record.failure or medians["wall"] is None:
            shown.append(f"  {name:<{width}}failed: {record.failure or 'not measured'}")
            continue
        cells = [amount(metric, value or 0.0) for metric, value in medians.items()]
        if (medians["rss"] or 0) <= floor:
            cells[2] = f"< {cells[2]}"
        line = f"  {name:<{width}}{cells[0]:>9}{cells[1]:>9}{cells[2]:>10}"
        ratios = [
            _ratio(medians[metric], base.median(metric) if base else None) for metric in ("wall", "cpu")
        ]
        shown.append(f"{line}   {ratios[0]} {ratios[1]}".rstrip() + _throttling(record))
    return shown + [f"  bar: {bar_line(verdict)}" for verdict in judged]


def _throttling(record: Record) -> str:
    shares = [(metric, record.median(metric)) for metric in _SPECIAL]
    return "".join(f", {amount(metric, share)} {metric}" for metric, share in shares if share is not None)


def bar_line(verdict: Verdict) -> str:
    """Return a bar, what was measured for it, and whether it is met."""
    bar, value = verdict
    limit, found = _asked(bar), "not measured"
    if value is not None:
        found = f"{value:.2f}" if bar.against else amount(bar.metric, value)
    state = {True: "met", False: "MISSED", None: "open"}[verdict.met]
    return f"{bar.subject}: {_LABELS[bar.metric]} at most {limit}: {found}, {state}"


def _asked(bar: Bar) -> str:
    if bar.against:
        return f"{bar.limit:.2f} of {bar.against}"
    return amount(bar.metric, bar.limit)


def _ratio(value: float | None, base: float | None) -> str:
    return f"{value / base:.2f}" if value and base else ""


def machine(scratch_kind: str) -> dict[str, Any]:
    """Return what the numbers depend on."""
    names = [line for line in _text("/proc/cpuinfo").splitlines() if line.startswith("model name")]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": names[0].partition(":")[2].strip() if names else platform.machine(),
        "cores": os.cpu_count(),
        "memory_gib": round(memory / 2**30),
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "files_on": scratch_kind,
    }


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def save(
    comparison: Comparison, scale: Scale, records: Mapping[str, Record], rounds: int, scratch_kind: str
) -> None:
    """Write the result of a comparison as benchmarks/results/NAME.json."""
    result = {
        "name": comparison.name,
        "title": comparison.heading(scale),
        "measured": time.strftime("%Y-%m-%d", time.gmtime()),
        "rounds": min(rounds, comparison.most_rounds),
        "machine": machine(scratch_kind),
        "releases": tools.releases(),
        "contestants": [_contestant(record) for record in records.values()],
        "bars": [
            {**verdict.bar._asdict(), "value": _rounded(verdict.value), "met": verdict.met}
            for verdict in verdicts(comparison, records)
        ],
    }
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{comparison.name}.json"
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def _contestant(record: Record) -> dict[str, Any]:
    result: dict[str, Any] = {"name": record.name, "command": record.command}
    if record.failure:
        return result | {"failure": record.failure}
    seen = [metric for metric in _SPECIAL if record.median(metric) is not None]
    metrics = (*_METRICS, *seen)
    for metric in metrics:
        result[metric] = [_rounded(getattr(usage, metric)) for usage in record.usages]
    return result | {"median": {metric: _rounded(record.median(metric)) for metric in metrics}}


def _rounded(value: float | None) -> float | None:
    return round(value, 4) if isinstance(value, float) else value


def load(names: Iterable[str]) -> list[dict[str, Any]]:
    """Return the saved results of the comparisons that have any, in the order of ``names``."""
    paths = (RESULTS / f"{name}.json" for name in names)
    return [json.loads(path.read_text(encoding="utf-8")) for path in paths if path.exists()]


def publish(names: Iterable[str]) -> None:
    """Write the chart, and table and chart into the README, from all saved results."""
    results = load(names)
    against = [result for result in results if _is_race(result)]
    CHART.write_text(chart.draw(against, _COLUMNS), encoding="utf-8")
    section = "\n".join((BEGIN, "", *_section(results, against), "", END))
    text = README.read_text(encoding="utf-8")
    if BEGIN in text and END in text:
        text = text[: text.index(BEGIN)] + section + text[text.index(END) + len(END) :]
    else:
        text = f"{text.rstrip()}\n\n## Speed\n\n{section}\n"
    README.write_text(text, encoding="utf-8")


def _is_race(result: dict[str, Any]) -> bool:
    """Return whether haul and s5cmd did the same work as fast as they could."""
    timed = all(_median(result, name, "wall") is not None for name in ("haul", _BASE))
    return timed and _median(result, "haul", "refused") is None


def _section(results: Sequence[dict[str, Any]], against: Sequence[dict[str, Any]]) -> list[str]:
    picture = CHART.relative_to(README.parent).as_posix()
    shown = [
        f"![Wall time of haul and its peers, a panel for each comparison]({picture})",
        "",
        *_table(against),
    ]
    shown += [f"\n{_sentence(result)}" for result in results if result not in against]
    if results:
        shown += ["", _provenance(results)]
    return shown


def _table(results: Sequence[dict[str, Any]]) -> list[str]:
    columns = [name for name in _COLUMNS if any(_median(result, name, "wall") for result in results)]
    header = ["seconds", *columns, f"wall of {_BASE}", f"CPU of {_BASE}", "memory"]
    rows = [header, ["---", *["--:"] * (len(header) - 1)]]
    for result in results:
        walls = {name: _median(result, name, "wall") for name in columns}
        cells = [f"{value:.2f}" if (value := walls[name]) is not None else "" for name in columns]
        ratios = [
            _ratio(_median(result, "haul", metric), _median(result, _BASE, metric))
            for metric in ("wall", "cpu")
        ]
        memory = amount("rss", _median(result, "haul", "rss") or 0.0)
        rows.append([result["title"], *cells, *ratios, memory])
    return [f"| {' | '.join(row)} |" for row in rows]


def _sentence(result: dict[str, Any]) -> str:
    asked = {bar["metric"] for bar in result["bars"]}
    # Of what is told warm, the whole process did it several times.
    metrics = sorted(asked) if "warm" in asked else ["wall", *sorted(asked - {"wall"})]
    measured = [
        " ".join((each["name"], ", ".join(_told(each["median"], metrics))))
        for each in result["contestants"]
        if "median" in each
    ]
    return f"{result['title']}: {'; '.join(measured)}."


def _told(median: Mapping[str, float | None], metrics: Sequence[str]) -> list[str]:
    return [_named(metric, value) for metric in metrics if (value := median.get(metric)) is not None]


def _named(metric: str, value: float) -> str:
    name = "CPU" if metric == "cpu" else metric if metric in _SPECIAL else ""
    return f"{amount(metric, value)} {name}".rstrip()


def _provenance(results: Sequence[dict[str, Any]]) -> str:
    results = sorted(results, key=lambda each: str(each["measured"]))
    first, last = results[0], results[-1]
    where = last["machine"]
    days = " to ".join(dict.fromkeys((first["measured"], last["measured"])))
    processors = " or ".join(dict.fromkeys(each["machine"]["processor"] for each in results))
    rounds = " or ".join(map(str, sorted({each["rounds"] for each in results})))
    found = dict(item for each in results for item in each["releases"].items())
    releases = ", ".join(f"{name} {release}" for name, release in found.items())
    return (
        f"Made by `make bench` on {days}, each row in one run: whole processes, alternating, medians of"
        f" {rounds}; {processors}, {where['cores']} cores, {where['memory_gib']} GiB,"
        f" {where['system']}, files on {where['files_on']}; server and client share the machine."
        f" Memory is haul's peak. Checksums, retries and limiter are on, as users get them. {releases}."
    )


def _median(result: dict[str, Any], name: str, metric: str) -> float | None:
    for each in result["contestants"]:
        if each["name"] == name and "median" in each:
            value: float | None = each["median"].get(metric)
            return value
    return None
