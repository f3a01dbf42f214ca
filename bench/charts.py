"""A benchmark's figures as one SVG, legible on a light and on a dark page.

Drawn here rather than by a plotting library: only an SVG with styles of its own follows the
reader's choice of light or dark, and bars are few lines.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape
from itertools import groupby

from bench.figures import Figure, told

_LABELS, _ROOM, _VALUES, _BAR, _ROW, _HEAD = 370, 400, 90, 9, 30, 34
_LETTER = 7
"""The width of a letter of a label, with some to spare."""

_STYLE = """
text { font: 13px system-ui, sans-serif; fill: #24292f }
.unit { font-weight: 600 }
.app { fill: #1f6feb }
.template { fill: #b3541e }
.line { stroke: #8c959f; stroke-width: 1 }
@media (prefers-color-scheme: dark) {
  text { fill: #d6dde4 }
  .app { fill: #58a6ff }
  .template { fill: #e8935c }
}
"""


def chart(title: str, figures: Sequence[Figure]) -> str:
    """Bars of the medians, in a logarithmic panel for each unit, the template's below its own."""
    parts: list[str] = []
    left = max(_LABELS, 16 + _LETTER * max(len(figure.what) for figure in figures))
    width, top = left + _ROOM + _VALUES, 30
    for unit, group in groupby(sorted(figures, key=lambda f: f.unit), lambda f: f.unit):
        panel = list(group)
        parts += _panel(unit, panel, left, top)
        top += _HEAD + _ROW * len(panel)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {top + 10}" '
            f'width="{width}" height="{top + 10}" role="img" aria-label="{escape(title)}">',
            f"<style>{_STYLE}</style>",
            _legend(),
            *parts,
            "</svg>\n",
        ]
    )


def _legend() -> str:
    return (
        '<rect class="app" x="10" y="10" width="10" height="10"/>'
        '<text x="26" y="20">this app</text>'
        '<rect class="template" x="110" y="10" width="10" height="10"/>'
        '<text x="126" y="20">the template\'s way</text>'
    )


def _panel(unit: str, figures: list[Figure], left: int, top: int) -> Iterator[str]:
    # What shrank, as memory may, has no place on the scale: its bar is the shortest.
    medians = [v for f in figures for v in (f.median, f.template_median) if v and v > 0]
    # Logarithmic, from the power of ten below the smallest: the ways lie far apart.
    low = math.floor(math.log10(min(medians, default=1)))
    high = max(math.log10(max(medians, default=10)), low + 1)
    yield f'<text class="unit" x="10" y="{top + 20}">{escape(unit)} (logarithmic)</text>'
    bottom = top + _HEAD + _ROW * len(figures) - 8
    yield f'<line class="line" x1="{left}" x2="{left}" y1="{top + 26}" y2="{bottom}"/>'
    for number, figure in enumerate(figures):
        y = top + _HEAD + _ROW * number
        yield f'<text x="{left - 8}" y="{y + 13}" text-anchor="end">{escape(figure.what)}</text>'
        for name, value, down in (
            ("app", figure.median, 0),
            ("template", figure.template_median, _BAR + 1),
        ):
            if value is None:
                continue
            share = (math.log10(value) - low) / (high - low) if value > 0 else 0
            length = max(2, round(_ROOM * share))
            yield (
                f'<rect class="{name}" x="{left}" y="{y + down}" width="{length}" '
                f'height="{_BAR}"/><text x="{left + length + 6}" y="{y + down + 9}">'
                f"{told(value)}</text>"
            )
