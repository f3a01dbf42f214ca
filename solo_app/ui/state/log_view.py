"""The log of a batch on its page. Times are in microseconds since 1970."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TypedDict

from solo_app.batches.models import LogLevel, LogLine, to_microseconds
from solo_app.ui.state.values import Values

FIRST_LINES = 100
"""Number of lines until the viewer requests the others. A change resends all shown lines."""

_ERRORS = (LogLevel.ERROR, LogLevel.RETRY)
"""The levels of lines with an error of the source."""


class LogRow(TypedDict):
    """A line of the log. ``starts_run`` marks the first line of each run."""

    number: int
    t: int
    run: int
    level: str
    text: str
    starts_run: bool


def log_values(lines: Sequence[LogLine], shown: int | None, only_errors: bool) -> Values:
    """Return the values of ``LogState`` for the kept lines, oldest first.

    ``shown`` is the maximum number of lines, None for all.
    """
    errors = [line for line in lines if line.level in _ERRORS]
    selected = errors if only_errors else lines
    first = 0 if shown is None else max(0, len(selected) - shown)
    return {
        "rows": _rows(selected[first:]),
        "line_count": len(lines),
        "error_count": len(errors),
        "earlier_lines": first,
        "is_cut": bool(lines) and lines[0].number > 1,
    }


def _rows(lines: Sequence[LogLine]) -> list[LogRow]:
    starts = [True, *(line.run != previous.run for previous, line in pairwise(lines))]
    return [_row(line, starts_run) for line, starts_run in zip(lines, starts, strict=False)]


def _row(line: LogLine, starts_run: bool) -> LogRow:
    return {
        "number": line.number,
        "t": to_microseconds(line.ts),
        "run": line.run,
        "level": str(line.level),
        "text": line.text,
        "starts_run": starts_run,
    }
