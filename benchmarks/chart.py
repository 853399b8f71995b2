"""The chart of the README: a panel for each comparison, a bar for each contestant, in plain SVG.

It brings its own background and follows the reader's colour scheme, so it reads on light and dark pages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Sequence

# Pixels.
_WIDTH = 840
_COLUMNS = 2
_GAP = 28
_MARGIN = 20
_HEAD = 26
_LINE = 19
_BAR = 12
_NAME = 82
_VALUE = 58

_STYLE = """
  svg { font: 12px system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif }
  .page { fill: #ffffff; stroke: #d0d7de } .title { fill: #1f2328; font-weight: 600 } .name { fill: #59636e }
  .ours { fill: #1f2328; font-weight: 600 } .bar { fill: #afb8c1 } .haul { fill: #0969da }
  .left { text-anchor: end }
  @media (prefers-color-scheme: dark) {
    .page { fill: #0d1117; stroke: #3d444d } .title { fill: #f0f6fc } .name { fill: #9198a1 }
    .ours { fill: #f0f6fc } .bar { fill: #57606a } .haul { fill: #4493f8 }
  }
"""


def draw(results: Sequence[dict[str, Any]], names: Sequence[str]) -> str:
    """Return the chart of the median wall times of the contestants called ``names``, in their order."""
    width = (_WIDTH - 2 * _MARGIN - _GAP * (_COLUMNS - 1)) / _COLUMNS
    shapes: list[str] = []
    top = float(_MARGIN)
    for start in range(0, len(results), _COLUMNS):
        panels = [(result, _walls(result, names)) for result in results[start : start + _COLUMNS]]
        for column, (result, walls) in enumerate(panels):
            shapes += _panel(_MARGIN + column * (width + _GAP), top, width, result["title"], walls)
        top += _HEAD + _LINE * max(len(walls) for _, walls in panels) + _GAP / 2
    height = top + _MARGIN / 2
    size = f'viewBox="0 0 {_WIDTH} {height:.0f}" width="{_WIDTH}" height="{height:.0f}"'
    label = "Median wall time in seconds of haul and its peers; shorter is better"
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{label}">',
            f"<title>{label}</title>",
            f"<style>{_STYLE}</style>",
            f'<rect class="page" x="0.5" y="0.5" width="{_WIDTH - 1}" height="{height - 1:.0f}" rx="6"/>',
            *shapes,
            "</svg>\n",
        )
    )


def _walls(result: dict[str, Any], names: Sequence[str]) -> dict[str, float]:
    measured = {each["name"]: each["median"]["wall"] for each in result["contestants"] if "median" in each}
    return {name: measured[name] for name in names if name in measured}


def _panel(left: float, top: float, width: float, title: str, walls: dict[str, float]) -> list[str]:
    longest = max(walls.values())
    room = width - _NAME - _VALUE
    shapes = [f'<text class="title" x="{left:.1f}" y="{top + 14:.1f}">{escape(title)}</text>']
    for line, (name, wall) in enumerate(walls.items()):
        y = top + _HEAD + line * _LINE
        bar = max(1.0, room * wall / longest)
        start = left + _NAME
        text, fill = ("ours", "haul") if name == "haul" else ("name", "bar")
        shapes += [
            f'<text class="{text} left" x="{start - 8:.1f}" y="{y + 10:.1f}">{escape(name)}</text>',
            f'<rect class="{fill}" x="{start:.1f}" y="{y:.1f}" width="{bar:.1f}" height="{_BAR}" rx="2"/>',
            f'<text class="{text}" x="{start + bar + 6:.1f}" y="{y + 10:.1f}">{wall:.2f} s</text>',
        ]
    return shapes
