"""A benchmark's figures as one SVG, legible on a light and on a dark page.

Drawn here rather than by a plotting library: only an SVG with styles of its own follows the
reader's choice of light or dark, and bars and lines take few words.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape
from itertools import groupby

from bench.figures import Figure, told

_LABELS, _ROOM, _VALUES, _BAR, _ROW, _HEAD = 370, 400, 90, 9, 30, 34
_COURSE = 48
"""How high a line is drawn that shows how a figure went as time went on."""

_LETTER = 7
"""The width of a letter of a label, with some to spare."""

_STYLE = """
text { font: 13px system-ui, sans-serif; fill: #24292f }
.unit { font-weight: 600 }
.app { fill: #1f6feb }
.template { fill: #b3541e }
.line { stroke: #8c959f; stroke-width: 1 }
.course { stroke: #1f6feb; stroke-width: 1.5; fill: none }
@media (prefers-color-scheme: dark) {
  text { fill: #d6dde4 }
  .app { fill: #58a6ff }
  .course { stroke: #58a6ff }
  .template { fill: #e8935c }
}
"""


def chart(title: str, figures: Sequence[Figure]) -> str:
    """Lines of what was noted as time went on, and bars of the medians of all else.

    Bars stand in a logarithmic panel for each unit, the template's below its own.
    """
    courses = [figure for figure in figures if figure.minutes]
    bars = sorted((figure for figure in figures if not figure.minutes), key=lambda f: f.unit)
    left = max(_LABELS, 16 + _LETTER * max(len(figure.what) for figure in figures))
    width, top, parts = left + _ROOM + _VALUES, 0, list[str]()
    if courses:
        parts += _courses(courses, left, top)
        top += _HEAD + (_COURSE + 12) * len(courses)
    if any(figure.template for figure in bars):
        parts += _legend(top)
        top += 30
    for unit, group in groupby(bars, lambda figure: figure.unit):
        panel = list(group)
        parts += _panel(unit, panel, left, top)
        top += _HEAD + _ROW * len(panel)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {top + 10}" '
            f'width="{width}" height="{top + 10}" role="img" aria-label="{escape(title)}">',
            f"<style>{_STYLE}</style>",
            *parts,
            "</svg>\n",
        ]
    )


def _courses(figures: list[Figure], left: int, top: int) -> Iterator[str]:
    first = min(figure.minutes[0] for figure in figures)
    span = max(figure.minutes[-1] for figure in figures) - first
    yield (
        f'<text class="unit" x="10" y="{top + 20}">as time goes on, {span:.0f} minutes '
        "from left to right; what has one unit has one scale</text>"
    )
    scale: dict[str, float] = {}
    for figure in figures:
        scale[figure.unit] = max(scale.get(figure.unit, 0), *figure.rounds)
    for number, figure in enumerate(figures):
        y = top + _HEAD + (_COURSE + 12) * number
        full, highest, bottom = scale[figure.unit] or 1, max(figure.rounds), y + _COURSE
        points = " ".join(
            f"{left + _ROOM * (at - first) / (span or 1):.1f},{bottom - _COURSE * value / full:.1f}"
            for at, value in zip(figure.minutes, figure.rounds, strict=True)
        )
        yield (
            f'<line class="line" x1="{left}" x2="{left + _ROOM}" y1="{bottom}" y2="{bottom}"/>'
            f'<polyline class="course" points="{points}"/>'
            f'<text x="{left - 8}" y="{y + 20}" text-anchor="end">{escape(figure.what)}</text>'
            f'<text x="{left - 8}" y="{y + 38}" text-anchor="end">{escape(figure.unit)}</text>'
            f'<text x="{left + _ROOM + 6}" y="{bottom + 4 - _COURSE * highest / full:.1f}">'
            f"{told(highest)}</text>"
        )


def _legend(top: int) -> Iterator[str]:
    yield f'<rect class="app" x="10" y="{top + 10}" width="10" height="10"/>'
    yield f'<text x="26" y="{top + 20}">this app</text>'
    yield f'<rect class="template" x="110" y="{top + 10}" width="10" height="10"/>'
    yield f'<text x="126" y="{top + 20}">the template\'s way</text>'


def _panel(unit: str, figures: list[Figure], left: int, top: int) -> Iterator[str]:
    # What shrank, as memory may, has no place on the scale: its bar is the shortest.
    medians = [v for f in figures for v in (f.median, f.template_median) if v and v > 0]
    # Logarithmic, from the power of ten below the smallest: the ways lie far apart.
    low = math.ceil(math.log10(min(medians, default=1))) - 1
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
