"""The charts of a report, as SVG that stands inside a page; only here is matplotlib imported.

Chosen by looking (and by what an operator does with the page: open it from disk, attach it to a ticket):

- plotly draws in the browser and brings 4.5 MB of JavaScript into every page; bokeh brings 1 MB and numpy,
  pillow and tornado besides; altair with vl-convert brings a JavaScript engine of 30 MB for the same SVG.
- matplotlib, twenty years old and kept by many, draws SVG here and now: a page of about 150 KB without any
  script. So the page can forbid all scripts (it shows keys that strangers named), it opens where scripts are
  not run (a mail, the artifacts of a CI server), and it prints. Hovering is what is given up: the exact
  numbers stand in a table below every chart. It costs 0.5 s to import, and 170 MB on disk with numpy and all.

The colours are variables of the page's style sheet, so that one drawing serves light and dark.
"""

from __future__ import annotations

import io
import math
import re
import warnings
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from haulyard.journal.reporting import wording
from haulyard.journal.reporting.series import Bin, Stretch, stretches

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from haulyard.journal.reporting.content import Breakdown
    from haulyard.journal.reporting.durations import Durations
    from haulyard.journal.reporting.series import Run

# Colours that stand for the page's variables until the drawing is done.
_COLOURS: Final = {
    "#010203": "var(--ink)",
    "#010204": "var(--quiet)",
    "#010205": "var(--line)",
    "#010206": "var(--first)",
    "#010207": "var(--second)",
    "#010208": "var(--mark)",
}
_INK, _QUIET, _LINE, _FIRST, _SECOND, _MARK = _COLOURS
_DASHES: Final = (0, (3, 3))
_VARIABLE: Final = re.compile("|".join(_COLOURS)).sub
# Inches of 72 points: as wide as a column of the page; on a phone a chart shrinks by a third, still legible.
_WIDTH, _HEIGHT, _BAR = 5.8, 2.5, 0.36
_LONGEST_NAME = 30
_MINUTE, _DAY = 60, 86400
# Seconds between two ticks of a time axis.
_STEPS: Final = (
    0.5,
    1,
    2,
    5,
    10,
    15,
    30,
    60,
    120,
    300,
    600,
    900,
    1800,
    3600,
    7200,
    10800,
    21600,
    43200,
    _DAY,
)
# Points that a time, or the length of a pause, needs.
_LABEL = 75
# Decades of a logarithmic axis beyond which only powers of ten have room.
_FEW_DECADES = 3
_MOST_TICKS = 5
# Marks that are close together: one before its line, one lifted above the others, one after its line.
_SIDES = ("right", "center", "left")


def available() -> bool:
    """Return whether charts can be drawn: whether matplotlib is installed."""
    try:
        import matplotlib as _  # noqa: F401, ICN001 -- only whether it is there
    except ImportError:
        return False
    return True


def throughput(bins: Sequence[Bin], width: float, runs: Sequence[Run], *, by_size: bool) -> str:
    """Draw objects a second over time, or bytes a second; pauses between runs are cut out and named.

    ``bins`` are ``width`` seconds wide, see `haulyard.journal.reporting.series.Throughput`.
    """
    pieces = stretches(runs) or _all_of(bins, width)
    figure = _figure(_WIDTH, _HEIGHT)
    # No piece may vanish beside a long one.
    longest = max(piece.end - piece.start for piece in pieces) or 1.0
    ratios = [max(piece.end - piece.start, longest / 8) for piece in pieces]
    axes = figure.subplots(1, len(pieces), sharey=True, squeeze=False, width_ratios=ratios)[0]
    figure.subplots_adjust(left=0.12, right=0.985, top=0.89, bottom=0.14, wspace=0.08)
    points = [(each.start, (each.size if by_size else each.objects) / width) for each in bins]
    rooms = [ratio / sum(ratios) * _WIDTH * 72 for ratio in ratios]
    for one, piece, room in zip(axes, pieces, rooms, strict=True):
        _draw_stretch(one, piece, points, width, _SECOND if by_size else _FIRST)
        _style(one, words=wording.size if by_size else wording.number)
        _time_axis(one, piece, room)
        for run in runs if len(runs) > 1 else ():
            if piece.start <= run.start <= piece.end:
                one.axvline(run.start, color=_MARK, linewidth=0.8, linestyle=_DASHES)
    for one, (before, after), room in zip(axes[1:], pairwise(pieces), rooms[1:], strict=True):
        one.tick_params(axis="y", length=0, labelleft=False)
        if room >= _LABEL:
            _above(one, 0, f"paused {wording.duration(after.start - before.end)}", _QUIET, "left")
    axes[0].set_ylim(bottom=0)
    return _svg(figure, "bytes" if by_size else "objects")


def latencies(durations: Durations, marks: Sequence[int] = (50, 95, 99)) -> str:
    """Draw the distribution of durations, on a logarithmic axis, with the percentiles ``marks``."""
    figure = _figure(_WIDTH, _HEIGHT)
    axes = figure.subplots()
    figure.subplots_adjust(left=0.12, right=0.985, top=0.84, bottom=0.14)
    buckets = durations.buckets()
    axes.bar(
        [each.low for each in buckets],
        [each.count for each in buckets],
        width=[(each.high - each.low) * 0.94 for each in buckets],
        align="edge",
        color=_FIRST,
    )
    axes.set_xscale("log")
    _style(axes, words=wording.number)
    low, high = buckets[0].low, buckets[-1].high
    ticks = _decimal_steps(low, high)
    axes.set_xticks(ticks, [wording.duration(each) for each in ticks])
    axes.set_xticks([], minor=True)
    # The last mark is written beside its line, and may lie near the end.
    axes.margins(x=0.02)
    axes.set_xlim(right=max(axes.get_xlim()[1], durations.percentile(max(marks)) * (high / low) ** 0.2))
    for level, percent in enumerate(marks):
        at = durations.percentile(percent)
        axes.axvline(at, color=_MARK, linewidth=1, linestyle=_DASHES)
        _above(axes, at, f"p{percent} {wording.duration(at)}", _INK, _SIDES[level % 3], lift=level, data=True)
    return _svg(figure, "latencies")


def bars(breakdown: Breakdown, most: int = 12) -> str:
    """Draw the first ``most`` shares as bars: their counts, and their bytes beside them if they have some."""
    shares = breakdown.shares[:most]
    sized = any(share.size for share in shares)
    figure = _figure(_WIDTH, 0.5 + _BAR * len(shares))
    axes = figure.subplots(1, 2 if sized else 1, sharey=True, squeeze=False)[0]
    height = figure.get_size_inches()[1]
    figure.subplots_adjust(left=0.3, right=0.93, top=1 - 0.34 / height, bottom=0.1 / height, wspace=0.36)
    counts = [float(share.count) for share in shares]
    _bar_chart(axes[0], counts, breakdown.counted, _FIRST, wording.number)
    if sized:
        _bar_chart(axes[1], [float(share.size or 0) for share in shares], "bytes", _SECOND, wording.size)
    axes[0].set_yticks(range(len(shares)), [_shortened(share.name) for share in shares])
    for label in axes[0].get_yticklabels():
        # A name with dollars is no formula.
        label.set_parse_math(False)
    axes[0].invert_yaxis()
    return _svg(figure, breakdown.title)


def _draw_stretch(
    axes: Axes, piece: Stretch, points: list[tuple[float, float]], width: float, colour: str
) -> None:
    """Draw steps from bin to bin, down to zero where nothing happened."""
    edges: list[tuple[float, float]] = [(piece.start, 0.0)]
    for start, value in points:
        if start + width < piece.start or start > piece.end:
            continue
        if start - edges[-1][0] < width / 2:
            # It follows the last bin without a gap.
            edges.pop()
        edges += [(start, value), (start + width, 0.0)]
    x, y = [at for at, _ in edges], [value for _, value in edges]
    axes.fill_between(x, y, step="post", color=colour, alpha=0.18, linewidth=0)
    axes.step(x, y, where="post", color=colour, linewidth=1.3)


def _above(
    axes: Axes, at: float, text: str, colour: str, align: str, *, lift: int = 0, data: bool = False
) -> None:
    """Write above the axes, at a value of the x axis (``data``) or a fraction of it."""
    across = axes.get_xaxis_transform() if data else axes.transAxes
    axes.annotate(
        text,
        (at, 1),
        (0, 4 + 11 * (lift % 2)),
        across,
        textcoords="offset points",
        ha=align,
        color=colour,
        fontsize=9.5,
    )


def _bar_chart(
    axes: Axes, values: list[float], title: str, colour: str, words: Callable[[float], str]
) -> None:
    drawn = axes.barh(range(len(values)), values, height=0.62, color=colour)
    axes.bar_label(drawn, [words(value) for value in values], padding=4, color=_INK, fontsize=9.5)
    axes.set_xlim(0, max(values, default=1.0) * 1.4 or 1.0)
    axes.set_title(title, loc="left", fontsize=9.5, color=_QUIET)
    axes.set_xticks([])
    axes.tick_params(axis="y", length=0, colors=_INK, labelsize=10)
    for side in ("top", "right", "bottom"):
        axes.spines[side].set_visible(False)
    axes.spines["left"].set_color(_LINE)


def _time_axis(axes: Axes, piece: Stretch, room: float) -> None:
    """Put ticks at round times, one for every 75 points of ``room``; a piece too narrow has none."""
    span = max(piece.end - piece.start, 1e-3)
    axes.set_xlim(piece.start, piece.start + span)
    if room < _LABEL:
        axes.set_xticks([])
        return
    most = int(room / _LABEL)
    step = next((each for each in _STEPS if span / each <= most), _DAY * math.ceil(span / _DAY / most))
    first = math.ceil(piece.start / step) * step
    ticks = [first + at * step for at in range(int((piece.start + span - first) // step) + 1)]
    words = [f"{datetime.fromtimestamp(each, UTC):{_clock(step, span)}}" for each in ticks]
    if step < 1:
        words = [f"{word}.{each % 1 * 10:.0f}" for word, each in zip(words, ticks, strict=True)]
    axes.set_xticks(ticks, words)


def _clock(step: float, span: float) -> str:
    """Return the format of times that are ``step`` seconds apart."""
    if step >= _DAY:
        return "%b %d"
    if span > 2 * _DAY:
        return "%b %d %H:%M"
    return "%H:%M" if step >= _MINUTE else "%H:%M:%S"


def _style(axes: Axes, words: Callable[[float], str]) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator

    if words is wording.size:
        axes.yaxis.set_major_locator(FixedLocator(_binary_steps(axes.get_ylim()[1])))
    else:
        axes.yaxis.set_major_locator(MaxNLocator(_MOST_TICKS, steps=[1, 2, 5, 10], min_n_ticks=2))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: words(value)))
    axes.grid(axis="y", color=_LINE, linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(_LINE)
    axes.tick_params(axis="both", length=0, colors=_QUIET, labelsize=9.5)
    axes.tick_params(axis="x", length=3, color=_LINE)


def _binary_steps(most: float) -> list[float]:
    """Return round numbers of bytes up to ``most``, five steps at most."""
    unit = 1024.0 ** int(math.log(max(most, 1.0), 1024))
    step = next(
        each for each in (0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500) if most / unit / each <= _MOST_TICKS
    )
    return [at * step * unit for at in range(int(most / unit / step) + 1)]


def _decimal_steps(low: float, high: float) -> list[float]:
    """Return powers of ten between the ends, and their doubles and halves where there is room."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (1.0,) if math.log10(high / low) > _FEW_DECADES else (1.0, 2.0, 5.0)
    found = [step * 10.0**each for each in decades for step in steps if low <= step * 10.0**each <= high]
    return found or [math.sqrt(low * high)]


def _all_of(bins: Sequence[Bin], width: float) -> list[Stretch]:
    return [Stretch(bins[0].start, bins[-1].start + width)] if bins else [Stretch(0.0, 1.0)]


def _shortened(name: str) -> str:
    name = wording.visible(name)
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), facecolor="none")


def _svg(figure: Figure, salt: str) -> str:
    """Return the drawing as an element of a page, with the page's colours and fonts."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    for axes in figure.axes:
        axes.set_facecolor("none")
    out = io.StringIO()
    nothing: dict[str, Any] = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    # The page's fonts have the letters that matplotlib's own may lack; it measures with its own nevertheless.
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": salt}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        FigureCanvasSVG(figure).print_svg(out, metadata=nothing)  # type: ignore[no-untyped-call]  # matplotlib leaves it untyped
    text = out.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
    text = re.sub(r"<svg ", '<svg aria-hidden="true" focusable="false" ', text, count=1)
    return _VARIABLE(lambda match: _COLOURS[match.group()], text)
