"""The values of the batch page, from a snapshot and the store.

All times are in microseconds since 1970.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
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
from solo_app.batches.models import (
    Batch,
    MinuteAggregate,
    Point,
    Retry,
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
from solo_app.ui.state.log_view import FIRST_LINES, log_values
from solo_app.ui.state.minutes_view import (
    Minute,
    chart_window,
    last_minute_window,
    minute_values,
    to_minute,
)
from solo_app.ui.state.source_view import ParameterRow, parameter_rows
from solo_app.ui.state.values import Values

T = TypeVar("T")

LATEST_POINTS = 10
FIRST_RUNS = 10
MORE_RUNS = 100


class PointRow(TypedDict):
    seq: int
    t: int
    key: float


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run in the list of runs; ``ended`` is None while it is active."""

    number: int
    status: str
    started: int
    ended: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class ViewOptions:
    """What the viewer has chosen to see.

    ``chart_range`` is the duration of the minute chart; ``runs`` and ``lines`` are the maximum
    numbers of runs and of log lines, None for all lines.
    """

    chart_range: timedelta
    runs: int = FIRST_RUNS
    lines: int | None = FIRST_LINES
    only_errors: bool = False


@dataclass(frozen=True, slots=True)
class BatchValues:
    """The values of ``BatchState``, ``MinutesState`` and ``LogState``."""

    batch: Values
    minutes: Values = field(default_factory=dict)
    log: Values = field(default_factory=dict)


class BatchView:
    """Computes the values of one page. Queries the store only if a result may have changed."""

    def __init__(self, service: BatchService, batch_id: str) -> None:
        self._service = service
        self._batch_id = batch_id
        self._results: dict[str, tuple[object, Any]] = {}

    async def values(self, snapshot: Snapshot, options: ViewOptions) -> BatchValues:
        """Return the values of the page at the time of a snapshot.

        The value ``read_error`` is why points of the last minute are missing.
        Raises StoreUnavailableError.
        """
        running = snapshot.find(self._batch_id)
        try:
            batch = running.batch if running else self._service.batch(self._batch_id)
            return await self._values(batch, running, snapshot, options)
        except BatchNotFoundError:
            return BatchValues({**app_status(snapshot), **self._not_found()})

    async def _values(
        self,
        batch: Batch,
        running: RunningBatch | None,
        snapshot: Snapshot,
        options: ViewOptions,
    ) -> BatchValues:
        recent, read_error = await self._recent(batch, running)
        values = {
            **app_status(snapshot),
            **self._batch_values(batch, running, recent, snapshot),
            **_retry_values(running.retry if running else None, snapshot.at),
            "read_error": read_error,
            "minute": await self._last_minute(batch, recent, snapshot),
            "parameters": await self._parameters(batch),
            "runs": await self._run_rows(batch, options.runs),
            "earlier_runs": max(0, batch.run.number - options.runs),
        }
        minutes = await self._minutes(batch, snapshot, options.chart_range)
        return BatchValues(values, minutes, await self._log(batch, running, options))

    def _not_found(self) -> Values:
        kind, title, invalid_reason = "unknown", text.BATCH_NOT_FOUND, ""
        try:
            check_batch_id(self._batch_id)
        except InvalidBatchIdError as error:
            kind, title, invalid_reason = "invalid", text.INVALID_NAME, str(error)
        return {
            "batch_id": self._batch_id,
            "kind": kind,
            "invalid_reason": invalid_reason,
            "title": f"{title} · {text.PRODUCT}",
            "status": "",
            "read_error": "",
        }

    async def _recent(self, batch: Batch, running: RunningBatch | None) -> tuple[RecentData, str]:
        """Return the data of the last minute, and why points are missing from it."""
        try:
            if running:
                await self._service.load_earlier_runs(batch)
                return running.recent, ""
            query = partial(self._service.read_recent, batch)
            return await self._cached("recent", batch, query), ""
        except StoreUnavailableError as error:
            return running.recent if running else _no_data(batch), str(error)

    def _batch_values(
        self, batch: Batch, running: RunningBatch | None, recent: RecentData, snapshot: Snapshot
    ) -> Values:
        if running is None:
            return _batch_values(batch, self._service.row_count(batch), 0.0, recent)
        if batch.no not in snapshot.derived:
            rate = round(running.rows_per_second, 1)
            snapshot.derived[batch.no] = _batch_values(batch, running.row_count, rate, recent)
        values: Values = snapshot.derived[batch.no]
        return values

    async def _last_minute(self, batch: Batch, recent: RecentData, snapshot: Snapshot) -> Minute:
        last_point = recent.points[-1] if recent.points else None
        window = last_minute_window(batch.run, last_point, snapshot.at)

        async def query() -> Minute:
            found = await self._query_minutes(batch, window, snapshot)
            return to_minute(window, found[0] if found else None)

        return await self._cached("minute", _version(batch, window, snapshot), query)

    async def _minutes(self, batch: Batch, snapshot: Snapshot, chart_range: timedelta) -> Values:
        window = chart_window(chart_range, batch.run, snapshot.at)
        version = _version(batch, window, snapshot)

        async def query() -> Values:
            if version not in snapshot.derived:
                found = await self._query_minutes(batch, window, snapshot)
                snapshot.derived[version] = minute_values(window, found)
            values: Values = snapshot.derived[version]
            return values

        return await self._cached("minutes", version, query)

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

        return await self._cached("runs", (batch, count), query)

    async def _parameters(self, batch: Batch) -> list[ParameterRow]:
        async def query() -> list[ParameterRow]:
            return parameter_rows(self._service.sources.get(batch.run.source), batch.run)

        return await self._cached("parameters", batch.run, query)

    async def _log(
        self, batch: Batch, running: RunningBatch | None, options: ViewOptions
    ) -> Values:
        async def query() -> Values:
            lines = await self._service.log(self._batch_id)
            return log_values(lines, options.lines, options.only_errors)

        content = running.last_log_number if running else batch
        return await self._cached("log", (content, options.lines, options.only_errors), query)

    async def _cached(self, name: str, version: object, query: Callable[[], Awaitable[T]]) -> T:
        """Return the result of a query, from the cache if it has the same version."""
        if name not in self._results or self._results[name][0] != version:
            self._results[name] = version, await query()
        result: T = self._results[name][1]
        return result


def _version(batch: Batch, window: Window, snapshot: Snapshot) -> tuple[Batch, Window, bool]:
    return batch, window, snapshot.totals.write_error is None


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
        "unit": batch.labels.unit,
        "description": batch.labels.description,
        "source": run.source,
        "restart": str(run.restart),
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


def _retry_values(retry: Retry | None, at: datetime) -> Values:
    seconds = (retry.next_at - at).total_seconds() if retry else 0.0
    return {
        "retry_attempt": retry.attempt if retry else 0,
        "retry_seconds": max(0, math.ceil(seconds)),
        "retry_error": retry.error if retry else "",
    }


def _point_row(point: Point) -> PointRow:
    return {"seq": point.seq, "t": to_microseconds(point.ts), "key": point.key}


def _run_row(run: Run) -> RunRow:
    started = to_microseconds(run.started_at)
    ended = to_microseconds(run.ended_at) if run.ended_at else None
    return RunRow(run.number, run.status, started, ended, run.reason or "")
