"""Results as Markdown tables, and the document that contains them."""

from __future__ import annotations

import math
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median

import psutil

from tests.helpers.running_app import PROJECT

DOCUMENT = PROJECT / "docs" / "performance.md"

_PACKAGES = ("reflex", "duckdb", "granian", "fastapi", "numpy")


class Table:
    """Figures of several cases in several rounds. A figure is the median of its rounds."""

    def __init__(self, title: str, *columns: str) -> None:
        self.title = title
        self._columns = columns
        self._cases: dict[str, dict[str, list[float]]] = {}
        self._targets: dict[tuple[str, str], tuple[float, float]] = {}

    def add(self, case: str, figures: Mapping[str, float]) -> None:
        """Add one round of a case. Cases are shown in the order in which they were added."""
        assert figures.keys() <= set(self._columns), figures
        rounds = self._cases.setdefault(case, {})
        for column, value in figures.items():
            rounds.setdefault(column, []).append(value)

    def target(
        self, case: str, column: str, below: float | None = None, at_least: float = 0
    ) -> None:
        """Show a target, for the median, next to a figure."""
        self._targets[case, column] = (at_least, math.inf) if below is None else (-math.inf, below)

    def median(self, case: str, column: str) -> float:
        return median(self._cases[case][column])

    def __str__(self) -> str:
        lines = [f"### {self.title}", ""]
        lines += [_line(["", *self._columns]), _line(["---"] * (len(self._columns) + 1))]
        lines += [
            _line([case, *(self._cell(case, c) for c in self._columns)]) for case in self._cases
        ]
        return "\n".join(lines) + "\n"

    def _cell(self, case: str, column: str) -> str:
        rounds = self._cases[case].get(column)
        if rounds is None:
            return ""
        if (case, column) not in self._targets:
            return format_rounds(rounds)
        low, high = self._targets[case, column]
        limit = f"≥ {format_number(low)}" if high == math.inf else f"< {format_number(high)}"
        state = "target" if low <= median(rounds) < high else "**missed** target"
        return f"{format_rounds(rounds)}, {state} {limit}"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def format_rounds(rounds: Sequence[float]) -> str:
    """Format the median and, if the rounds differ, the lowest and the highest."""
    middle, low, high = (format_number(v) for v in (median(rounds), min(rounds), max(rounds)))
    return middle if low == high else f"{middle} ({low} to {high})"


def format_number(value: float) -> str:
    """Format with three significant digits, or as an integer from 100 on."""
    if value == int(value) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3g}"


def write_document(document: Path, part: str, tables: Sequence[Table], heading: str) -> None:
    """Replace the text between the markers of a part of the document.

    Raises ValueError if the document lacks these markers.
    """
    begin, end = f"<!-- {part}: begin -->", f"<!-- {part}: end -->"
    before, has_begin, rest = document.read_text().partition(begin)
    _, has_end, after = rest.partition(end)
    if not (has_begin and has_end):
        raise ValueError(f"{document} has no part {part}. Add the lines {begin} and {end}.")
    text = "\n".join([heading, "", *map(str, tables)])
    document.write_text(f"{before}{begin}\n{text}{end}{after}")


def describe_run(seconds: float) -> str:
    """Return a sentence with the date, the duration, the machine and the versions."""
    memory = psutil.virtual_memory().total / 2**30
    packages = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    return (
        f"Measured on {datetime.now(UTC):%Y-%m-%d} in {seconds / 60:.0f} minutes at commit "
        f"{_commit()}: {_processor()}, {os.cpu_count()} cores, {memory:.0f} GiB, "
        f"{platform.system()} {platform.release().partition('-')[0]}, "
        f"Python {platform.python_version()}, {packages}."
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty"]
    result = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)  # noqa: S603
    return result.stdout.strip() or "unknown"
