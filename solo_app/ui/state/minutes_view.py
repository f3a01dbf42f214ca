"""The minutes of a batch: the last minute, the chart and the table.

All times are in microseconds since 1970.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypedDict

from solo_app.batches.minutes import last_full_minute, start_of_minute
from solo_app.batches.models import (
    MINUTE,
    MINUTE_US,
    MinuteAggregate,
    Point,
    Run,
    Window,
    to_microseconds,
)
from solo_app.ui.state.values import Values

TABLE_MINUTES = 60

_LABEL_SHARE = 0.1
"""Minimum width of a gap with a label, as a share of the chart."""


@dataclass(frozen=True, slots=True)
class Minute:
    """One minute; without points, average, minimum and maximum are None."""

    start: int
    end: int
    average: float | None = None
    sum: float = 0.0
    count: int = 0
    min: float | None = None
    max: float | None = None


class ChartMinute(TypedDict):
    """A vertex of the minute chart. None breaks the line and the band."""

    t: int
    average: float | None
    range: list[float] | None


class MinuteRow(TypedDict):
    t: int
    average: float
    min: float
    max: float
    count: int


class Gap(TypedDict):
    """A period without points that is wide enough for a label in the chart."""

    start: int
    end: int


def minute_values(window: Window, minutes: list[MinuteAggregate]) -> Values:
    """Return the values of ``MinutesState`` for the minutes of a window that have points."""
    start, end = to_microseconds(window.start), to_microseconds(window.end)
    return {
        "start": start,
        "end": end,
        "minutes": list(_chart_minutes(minutes)),
        "table": [_minute_row(minute) for minute in reversed(minutes[-TABLE_MINUTES:])],
        "minute_count": len(minutes),
        "gaps": _wide_gaps(start, end, minutes),
    }


def to_minute(window: Window, minute: MinuteAggregate | None) -> Minute:
    start, end = to_microseconds(window.start), to_microseconds(window.end)
    if minute is None:
        return Minute(start, end)
    return Minute(start, end, minute.average, minute.sum, minute.count, minute.min, minute.max)


def last_minute_window(run: Run, last_point: Point | None, at: datetime) -> Window:
    """Return the last full minute or, for an ended batch, the minute of its last point.

    Without a readable point, that is the minute in which the batch ended.
    """
    if run.ended_at is None:
        return last_full_minute(at)
    start = start_of_minute(last_point.ts if last_point else run.ended_at)
    return Window(start, start + MINUTE)


def chart_window(chart_range: timedelta, run: Run, at: datetime) -> Window:
    """Return the last full minutes; for an ended batch, those up to the minute of its end."""
    end = start_of_minute(at)
    if run.ended_at is not None:
        end = min(end, start_of_minute(run.ended_at) + MINUTE)
    return Window(end - chart_range, end)


def _chart_minutes(minutes: list[MinuteAggregate]) -> Iterator[ChartMinute]:
    """Yield a vertex at the start of each minute, and a break before each gap and at the end."""
    for i, minute in enumerate(minutes):
        vertex = _vertex(minute)
        yield vertex
        if i + 1 == len(minutes) or minutes[i + 1].minute != minute.minute + MINUTE:
            end = vertex["t"] + MINUTE_US
            yield {**vertex, "t": end - 1}  # Makes the last minute as wide as the others.
            yield {"t": end, "average": None, "range": None}


def _vertex(minute: MinuteAggregate) -> ChartMinute:
    return {
        "t": to_microseconds(minute.minute),
        "average": minute.average,
        "range": [minute.min, minute.max],
    }


def _minute_row(minute: MinuteAggregate) -> MinuteRow:
    return {
        "t": to_microseconds(minute.minute),
        "average": minute.average,
        "min": minute.min,
        "max": minute.max,
        "count": minute.count,
    }


def _wide_gaps(start: int, end: int, minutes: list[MinuteAggregate]) -> list[Gap]:
    starts = [to_microseconds(minute.minute) for minute in minutes]
    edges = zip([start, *(t + MINUTE_US for t in starts)], [*starts, end], strict=True)
    min_width = (end - start) * _LABEL_SHARE
    return [{"start": first, "end": last} for first, last in edges if last - first >= min_width]
