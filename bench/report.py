"""What a run found: a table for the terminal, and ``docs/performance.md`` with its charts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bench.charts import chart
from bench.figures import Figure, told

_HEAD = ("figure", "median", "spread", "to reach", "reached", "template's way", "ratio")


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one benchmark: figures, or why there are none."""

    name: str
    about: str
    figures: Sequence[Figure] = ()
    missing: str = ""


def table(results: Sequence[Result]) -> str:
    """All figures in columns, for a terminal."""
    rows: list[tuple[str, ...]] = [_HEAD]
    for result in results:
        rows += [_cells(figure) for figure in result.figures]
        if result.missing:
            rows.append((f"{result.name}: {result.missing}", *[""] * (len(_HEAD) - 1)))
    # A row that tells why something is missing may be as long as it likes.
    widths = [max(len(row[i]) for row in rows if row[1]) for i in range(len(_HEAD))]
    lines = [
        "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def write_page(
    page: Path,
    part: str,
    results: Sequence[Result],
    seconds: float,
    machine: Sequence[tuple[str, str]],
) -> None:
    """Write results into the named part of a page, and draw their charts beside it.

    ``machine`` is what ``described`` gave before anything was measured.

    What stands between ``<!-- part: begin -->`` and ``<!-- part: end -->`` is replaced, or put at
    the end of a page that has no such part; the rest was written by hand and is kept.
    """
    folder = page.with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    for result in results:
        if result.figures:
            (folder / f"{result.name}.svg").write_text(chart(result.about, result.figures))
    begin, end = f"<!-- {part}: begin -->", f"<!-- {part}: end -->"
    text = page.read_text() if page.exists() else "# Performance\n"
    if begin not in text:
        text += f"\n{begin}\n{end}\n"
    before, _, rest = text.partition(begin)
    after = rest.partition(end)[2]
    measured = _measured(results, folder.name, seconds, machine)
    page.write_text("\n".join([f"{before}{begin}", *measured, f"{end}{after}"]))


def _measured(
    results: Sequence[Result], charts: str, seconds: float, machine: Sequence[tuple[str, str]]
) -> list[str]:
    day = datetime.now(UTC).date().isoformat()
    what = ", ".join(f"{name} {value}" for name, value in machine)
    lines = [f"Measured {day} in {seconds / 60:.0f} minutes: {what}.", ""]
    for result in results:
        lines += [f"## {result.about.rstrip('.')}", ""]
        if result.missing:
            lines += [f"Not measured: {result.missing}", ""]
        if result.figures:
            lines += [*_markdown(result.figures), ""]
            lines += [f"![{result.about}]({charts}/{result.name}.svg)", ""]
    return lines


def _markdown(figures: Sequence[Figure]) -> list[str]:
    lines = ["| " + " | ".join(_HEAD) + " |", "|" + "---|" * len(_HEAD)]
    lines += ["| " + " | ".join(_cells(figure)) + " |" for figure in figures]
    notes = {figure.note: None for figure in figures if figure.note}
    return [*lines, *(line for note in notes for line in ("", note))]


_REACHED: Mapping[bool | None, str] = {True: "yes", False: "**no**", None: ""}


def _cells(figure: Figure) -> tuple[str, ...]:
    low, high = figure.spread
    other, ratio = figure.template_median, figure.ratio
    return (
        figure.what,
        f"{told(figure.median)} {figure.unit}",
        f"{told(low)} - {told(high)}",
        "; ".join(target.text for target in figure.targets),
        _REACHED[figure.reached],
        f"{told(other)} {figure.unit}" if other is not None else "",
        told(ratio) if ratio is not None else "",
    )
