"""A report as one page of HTML that needs nothing else: no network, no scripts, light and dark, any width.

The page forbids itself to load or run anything (its Content-Security-Policy), and every foreign name is
escaped besides: keys may be called ``<script>``. Behind each chart stands a table with the same numbers.
"""

from __future__ import annotations

import math
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING

from haulyard.journal.reporting import charts
from haulyard.journal.reporting.wording import duration, moment, number, size, visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from haulyard.journal.reporting.content import Breakdown, Content

PERCENTILES = (50, 95, 99)
#: So many runs are listed, the last ones.
_RUNS = 50
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def render(content: Content) -> str:
    """Return the page; where matplotlib is not installed it has tables and no charts, and says so."""
    drawn = charts.available()
    style = files(__package__).joinpath("style.css").read_text(encoding="utf-8")
    title = escape(visible(f"{content.name}: {content.title}"))
    body = [*_head(content), "<main>", *_steps(content)]
    if not drawn:
        body.append(
            '<p class="notice">Without charts, which need matplotlib: '
            "<code>pip install &#39;haulyard[report]&#39;</code></p>"
        )
    body += _throughput(content, drawn=drawn)
    body += _latencies(content, drawn=drawn)
    for breakdown in content.breakdowns:
        body += _breakdown(breakdown, drawn=drawn)
    body += [*_failures(content), "</main>", f"<footer>{escape(content.footer)}</footer>"]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>\n{style}</style>\n</head>\n<body>\n"
        + "\n".join(body)
        + "\n</body>\n</html>\n"
    )


def _head(content: Content) -> Iterator[str]:
    yield f"<header><h1>{_text(content.title)}</h1>"
    yield f'<p class="quiet">Job {_text(content.name)}</p>'
    facts = "".join(f"<dt>{escape(name)}</dt><dd>{_text(value)}</dd>" for name, value in content.facts)
    yield f'<dl class="facts">{facts}</dl></header>'
    for notice in content.notices:
        yield f'<p class="notice" role="alert">{_text(notice)}</p>'
    yield '<dl class="figures">'
    for figure in content.figures:
        note = f'<dd class="note">{_text(figure.note)}</dd>' if figure.note else ""
        tone = f' class="{figure.tone}"' if figure.tone else ""
        yield f"<div><dt>{escape(figure.name)}</dt><dd{tone}>{escape(figure.value)}</dd>{note}</div>"
    yield "</dl>"


def _steps(content: Content) -> Iterator[str]:
    if content.steps:
        yield '<section class="wide"><h2>What to do next</h2><ol class="steps">'
        for step in content.steps:
            yield f"<li>{_text(step.why[:1].upper() + step.why[1:])} <code>{_text(step.command)}</code></li>"
        yield "</ol></section>"


def _throughput(content: Content, *, drawn: bool) -> Iterator[str]:
    bins, width, runs = content.throughput.bins(), content.throughput.width, content.runs.all()
    if not bins:
        return
    note = f"Each step is {duration(width)}." + (
        f" Dashed lines: {len(runs)} runs begin; pauses are cut out." if len(runs) > 1 else ""
    )
    table = _table(
        ("from (UTC)", content.unit, "bytes", f"{content.unit}/s", "bytes/s"),
        (
            (
                _start(each.start, width),
                number(each.objects),
                size(each.size),
                number(each.objects / width),
                size(each.size / width),
            )
            for each in bins
        ),
        numbers=(1, 2, 3, 4),
    )
    yield f"<section><h2>{escape(content.unit.capitalize())} a second</h2><figure>"
    if drawn:
        yield charts.throughput(bins, width, runs, by_size=False)
    yield f"<figcaption>{note}</figcaption></figure>{_behind(table)}</section>"
    if any(each.size for each in bins):
        yield "<section><h2>Bytes a second</h2><figure>"
        if drawn:
            yield charts.throughput(bins, width, runs, by_size=True)
        yield f"<figcaption>{note}</figcaption></figure></section>"
    if len(runs) > 1:
        rows = (
            (
                run.command,
                moment(run.start)[:19],
                moment(run.end)[:19],
                duration(run.seconds),
                f"{run.host}, {run.pid}",
            )
            for run in runs[-_RUNS:]
        )
        table = _table(("command", "from (UTC)", "to", "took", "host, process"), rows, numbers=())
        yield f'<section><h2>Runs</h2>{_of(len(runs))}<div class="scroll">{table}</div></section>'


def _start(at: float, width: float) -> str:
    """Return when a bin begins: as exact as bins are wide, which are powers of two."""
    digits = max(0, round(-math.log2(width)))
    return moment(at)[:19] + (f"{at % 1:.{digits}f}"[1:] if digits else "")


def _of(runs: int) -> str:
    return f'<p class="quiet">The last {_RUNS} of {number(runs)}.</p>' if runs > _RUNS else ""


def _latencies(content: Content, *, drawn: bool) -> Iterator[str]:
    found = content.durations
    if not found.count:
        return
    marks = ", ".join(f"p{each} {duration(found.percentile(each))}" for each in PERCENTILES)
    timed = content.timed or content.unit
    yield "<section><h2>Time for each of the " + escape(timed) + "</h2><figure>"
    if drawn:
        yield charts.latencies(found, PERCENTILES)
    yield (
        f"<figcaption>{escape(marks)} (to 1 %); mean {duration(found.mean)}, "
        f"longest {duration(found.longest)}.</figcaption></figure>"
    )
    table = _table(
        ("from", "to below", timed),
        ((duration(each.low), duration(each.high), number(each.count)) for each in found.buckets()),
        numbers=(0, 1, 2),
    )
    yield f"{_behind(table)}</section>"


def _breakdown(breakdown: Breakdown, *, drawn: bool) -> Iterator[str]:
    if not breakdown.shares and not breakdown.empty:
        return
    yield f"<section><h2>{escape(breakdown.title)}</h2>"
    if not breakdown.shares:
        yield f'<p class="quiet">{escape(breakdown.empty)}</p></section>'
        return
    sized = any(share.size is not None for share in breakdown.shares)
    noted = any(share.note for share in breakdown.shares)
    heads = [breakdown.noun, breakdown.counted, *(["bytes"] if sized else []), *(["note"] if noted else [])]
    rows = (
        (
            visible(share.name),
            number(share.count),
            *([size(share.size) if share.size is not None else ""] if sized else []),
            *([share.note] if noted else []),
        )
        for share in breakdown.shares
    )
    table = _table(heads, rows, numbers=(1, 2) if sized else (1,))
    if drawn:
        yield f"<figure>{charts.bars(breakdown)}</figure>"
    yield f'<p class="quiet">{escape(breakdown.note)}</p>' if breakdown.note else ""
    yield f"{_behind(table)}</section>" if drawn else f'<div class="scroll">{table}</div></section>'


def _failures(content: Content) -> Iterator[str]:
    if not content.failed:
        return
    shown = len(content.failures)
    more = f"; all are in {content.completion}" if shown < content.failed else ""
    yield '<section class="wide"><h2>Failures</h2>'
    yield f'<p class="quiet">{number(shown)} of {number(content.failed)}{more}.</p>'
    rows = (
        (moment(each.at)[:19], each.kind, visible(each.name), visible(each.message))
        for each in content.failures
    )
    table = _table(("when (UTC)", "error", "key", "reason"), rows, numbers=(), keys=(2,))
    yield f'<div class="scroll">{table}</div></section>'


def _behind(table: str) -> str:
    return f'<details><summary>The numbers as a table</summary><div class="scroll">{table}</div></details>'


def _table(
    heads: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: Sequence[int], keys: Sequence[int] = ()
) -> str:
    kinds = ["number" if at in numbers else "key" if at in keys else "" for at in range(len(heads))]
    marks = [f' class="{kind}"' if kind else "" for kind in kinds]
    head = "".join(
        f'<th scope="col"{mark}>{escape(each)}</th>' for each, mark in zip(heads, marks, strict=True)
    )
    lines = [
        "<tr>"
        + "".join(f"<td{mark}>{_cell(each, mark)}</td>" for each, mark in zip(row, marks, strict=True))
        + "</tr>"
        for row in rows
    ]
    return f"<table><thead><tr>{head}</tr></thead><tbody>\n" + "\n".join(lines) + "\n</tbody></table>"


def _cell(text: str, mark: str) -> str:
    # A key from right to left must not turn its neighbours round.
    return f"<bdi>{escape(text)}</bdi>" if "key" in mark else escape(text)


def _text(text: str) -> str:
    return escape(visible(text))
