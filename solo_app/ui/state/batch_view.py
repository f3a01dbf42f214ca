"""The values of the batch page, from a snapshot and the store.

All times are in microseconds since 1970.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypedDict, TypeVar

from solo_app.batches.catalog import check_batch_id
from solo_app.batches.errors import (
    BatchNotFoundError,
    InvalidBatchIdError,
    StoreUnavailableError,
)
from solo_app.batches.minutes import last_whole_minute, start_of_minute
from solo_app.batches.models import (
    MINUTE,
    Batch,
    MinuteAggregate,
    Point,
    Run,
    Window,
    to_microseconds,
)
from solo_app.batches.recent import RecentData
from solo_app.batches.series import Chart
from solo_app.batches.service import BatchService
from solo_app.batches.snapshots import RunningBatch, Snapshot
from solo_app.ui import text
from solo_app.ui.state.live_updates import app_status
from solo_app.ui.state.values import Values

T = TypeVar("T")

LATEST_POINTS = 10
TABLE_MINUTES = 60
FIRST_RUNS = 10
MORE_RUNS = 100

_MINUTE_US = 60_000_000
_LABEL_SHARE = 0.1
"""Minimum width of a gap with a label, as a share of the chart."""


class PointRow(TypedDict):
    """A row of the table of latest points."""

    seq: int
    t: int
    key: float


@dataclass(frozen=True, slots=True)
class Minute:
    """The last whole minute; without points, average, minimum and maximum are None."""

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
    """A row of the table of minutes."""

    t: int
    average: float
    min: float
    max: float
    count: int


class Gap(TypedDict):
    """A period without points that is wide enough for a label in the chart."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run in the list of runs; ``ended`` is None while it is active."""

    number: int
    status: str
    started: int
    ended: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class BatchValues:
    """The values of ``BatchState`` and of ``MinutesState``."""

    batch: Values
    minutes: Values = field(default_factory=dict)


class BatchView:
    """Computes the values of one page. Queries the store only if a result may have changed."""

    def __init__(self, service: BatchService, batch_id: str) -> None:
        self._service = service
        self._batch_id = batch_id
        self._results: dict[str, tuple[object, Any]] = {}

    async def values(
        self, snapshot: Snapshot, chart_range: timedelta, shown_runs: int
    ) -> BatchValues:
        """Return the values of the page at the time of a snapshot.

        ``chart_range`` is that of the minute chart, ``shown_runs`` the maximum number of runs.
        Raises StoreUnavailableError.
        """
        running = snapshot.find(self._batch_id)
        try:
            batch = running.batch if running else self._service.batch(self._batch_id)
        except BatchNotFoundError as error:
            return BatchValues({**app_status(snapshot), **self._not_found(error)})
        values = {
            **app_status(snapshot),
            **await self._live_values(batch, running, snapshot),
            "minute": await self._last_minute(batch, snapshot),
            "runs": await self._run_rows(batch, shown_runs),
            "earlier_runs": max(0, batch.run.number - shown_runs),
        }
        return BatchValues(values, await self._minutes(batch, snapshot, chart_range))

    def _not_found(self, error: BatchNotFoundError) -> Values:
        kind, title, invalid_reason = "unknown", text.BATCH_NOT_FOUND, str(error)
        try:
            check_batch_id(self._batch_id)
        except InvalidBatchIdError as invalid:
            kind, title, invalid_reason = "invalid", text.INVALID_NAME, str(invalid)
        return {
            "batch_id": self._batch_id,
            "kind": kind,
            "invalid_reason": invalid_reason,
            "title": f"{title} · {text.PRODUCT}",
            "status": "",
            "read_error": "",
        }

    async def _live_values(
        self, batch: Batch, running: RunningBatch | None, snapshot: Snapshot
    ) -> Values:
        """Return the values of the last minute; ``read_error`` is why older points are missing."""
        recent, read_error = _no_data(batch), ""
        try:
            if running:
                await self._service.load_earlier_runs(batch)
            else:
                query = partial(self._service.read_recent, batch)
                recent = await self._once("recent", batch, query)
        except StoreUnavailableError as error:
            read_error = str(error)
        if running:
            return {**_running_values(snapshot, running), "read_error": read_error}
        row_count = self._service.row_count(batch)
        return {**_batch_values(batch, row_count, 0.0, recent), "read_error": read_error}

    async def _last_minute(self, batch: Batch, snapshot: Snapshot) -> Minute:
        window = last_whole_minute(snapshot.at)

        async def query() -> Minute:
            found = await self._query_minutes(batch, window, snapshot)
            return _minute(window, found[0] if found else None)

        return await self._once("minute", _version(batch, window, snapshot), query)

    async def _minutes(self, batch: Batch, snapshot: Snapshot, chart_range: timedelta) -> Values:
        window = _chart_window(chart_range, batch.run, snapshot.at)
        version = _version(batch, window, snapshot)

        async def query() -> Values:
            if version not in snapshot.derived:
                found = await self._query_minutes(batch, window, snapshot)
                snapshot.derived[version] = minute_values(window, found)
            values: Values = snapshot.derived[version]
            return values

        return await self._once("minutes", version, query)

    async def _query_minutes(
        self, batch: Batch, window: Window, snapshot: Snapshot
    ) -> list[MinuteAggregate]:
        """Return the minutes of all points; while writes fail, of committed points only."""
        if snapshot.totals.write_error is None:
            return await self._service.minutes(self._batch_id, window)
        return await self._service.committed_minutes(batch, window)

    async def _run_rows(self, batch: Batch, count: int) -> list[RunRow]:
        async def query() -> list[RunRow]:
            return [_run_row(run) for run in await self._service.runs(self._batch_id, limit=count)]

        return await self._once("runs", (batch, count), query)

    async def _once(self, name: str, version: object, query: Callable[[], Awaitable[T]]) -> T:
        """Return the result of a query, from the cache if it has the same version."""
        if name not in self._results or self._results[name][0] != version:
            self._results[name] = version, await query()
        result: T = self._results[name][1]
        return result


def _version(batch: Batch, window: Window, snapshot: Snapshot) -> tuple[Batch, Window, bool]:
    return batch, window, snapshot.totals.write_error is None


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


def _running_values(snapshot: Snapshot, running: RunningBatch) -> Values:
    """Return the values of a running batch that all viewers of its page share."""
    batch, derived = running.batch, snapshot.derived
    if batch.no not in derived:
        rate = round(running.rows_per_second, 1)
        derived[batch.no] = _batch_values(batch, running.row_count, rate, running.recent)
    values: Values = derived[batch.no]
    return values


def _no_data(batch: Batch) -> RecentData:
    end = to_microseconds(batch.run.ended_at or batch.run.started_at)
    return RecentData([], Chart(end, [], []), 0)


def _batch_values(batch: Batch, row_count: int, rate: float, recent: RecentData) -> Values:
    run, points = batch.run, recent.points[-LATEST_POINTS:]
    return {
        "batch_id": batch.batch_id,
        "kind": "batch",
        "title": text.batch_title(batch.batch_id, batch.status),
        "status": str(batch.status),
        "source": run.source,
        "run_number": run.number,
        "started": to_microseconds(run.started_at),
        "ended": to_microseconds(run.ended_at) if run.ended_at else None,
        "reason": run.reason or "",
        "row_count": row_count,
        "rows_per_second": rate,
        "latest": points[-1].key if points else None,
        "points": [_point_row(point) for point in reversed(points)],
        "chart_end": recent.chart.end,
        "chart_offsets": recent.chart.offsets,
        "chart_keys": recent.chart.keys,
        "points_in_minute": recent.count,
    }


def _point_row(point: Point) -> PointRow:
    return {"seq": point.seq, "t": to_microseconds(point.ts), "key": point.key}


def _minute(window: Window, minute: MinuteAggregate | None) -> Minute:
    start, end = to_microseconds(window.start), to_microseconds(window.end)
    if minute is None:
        return Minute(start, end)
    return Minute(start, end, minute.average, minute.sum, minute.count, minute.min, minute.max)


def _chart_window(chart_range: timedelta, run: Run, at: datetime) -> Window:
    """Return the last whole minutes, of an ended batch up to the minute of its end."""
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
            end = vertex["t"] + _MINUTE_US
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
    edges = zip([start, *(t + _MINUTE_US for t in starts)], [*starts, end], strict=True)
    min_width = (end - start) * _LABEL_SHARE
    return [{"start": first, "end": last} for first, last in edges if last - first >= min_width]


def _run_row(run: Run) -> RunRow:
    started = to_microseconds(run.started_at)
    ended = to_microseconds(run.ended_at) if run.ended_at else None
    return RunRow(run.number, run.status, started, ended, run.reason or "")
