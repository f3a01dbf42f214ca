"""Snapshots of all live data for pages, one per tick, shared by all viewers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Hashable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from solo_app.batches.minutes import last_full_minute, start_of_minute
from solo_app.batches.models import MINUTE, Batch, MinuteAggregate, Retry, Totals, Window
from solo_app.batches.producer import Producer
from solo_app.batches.recent import RecentData
from solo_app.batches.service import BatchService

TICK = 0.25
"""Seconds between two snapshots for up to ``MANY_VIEWERS``."""

SLOW_TICK = 1.0
"""Seconds between two snapshots for more viewers."""

MANY_VIEWERS = 100

_HOUR = 60
_TOLERANCE = 0.001
"""Fraction of a tick by which a timer can fire early, due to rounding."""


@dataclass(frozen=True, slots=True)
class RunningBatch:
    """A running batch at the time of a snapshot.

    ``minute`` is its last full minute, None without points. ``hour`` has the averages of the last
    60 full minutes, newest last, rounded to 2 digits; None for a minute without points.
    ``last_log_number`` is the number of the last line of its log, see ``BatchService.log``.
    """

    batch: Batch
    slot: int
    row_count: int
    rows_per_second: float
    minute: MinuteAggregate | None
    recent: RecentData
    hour: list[float | None]
    retry: Retry | None
    last_log_number: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All live data at one time.

    ``at`` is naive UTC; ``interval`` is the time between two snapshots in seconds; ``throughput``
    has the number of points committed in each of the last 60 s, newest last; ``running`` is in
    start order. ``derived`` caches values that are computed from the snapshot. All viewers share a
    snapshot and must not change its lists.
    """

    at: datetime
    interval: float
    totals: Totals
    throughput: list[int]
    running: tuple[RunningBatch, ...]
    revision: int
    suggested_name: str
    derived: dict[Hashable, Any] = field(default_factory=dict, compare=False)

    def find(self, batch_id: str) -> RunningBatch | None:
        """Return the running batch with this id, None if there is none."""
        return next((r for r in self.running if r.batch.batch_id == batch_id), None)


class Ticker:
    """Creates one snapshot per tick. Ticks are at multiples of the interval on the loop's clock.

    ``viewers`` is the number of subscribers. Times are in seconds.
    """

    def __init__(
        self,
        service: BatchService,
        tick: float = TICK,
        slow_tick: float = SLOW_TICK,
        many_viewers: int = MANY_VIEWERS,
    ) -> None:
        self.viewers = 0
        self._service = service
        self._tick = tick
        self._slow_tick = slow_tick
        self._many_viewers = many_viewers
        self._latest: Snapshot | None = None
        self._latest_tick = 0

    @property
    def interval(self) -> float:
        return self._tick if self.viewers <= self._many_viewers else self._slow_tick

    async def subscribe(self) -> AsyncGenerator[Snapshot]:
        """Yield a snapshot immediately and then at each tick, until the service is closing.

        Slow subscribers skip ticks.
        """
        loop = asyncio.get_running_loop()
        self.viewers += 1
        try:
            while not self._service.is_closing:
                yield self.snapshot()
                next_tick = (self._current_tick() + 1) * self.interval
                await asyncio.sleep(next_tick - loop.time())
        finally:
            self.viewers -= 1

    def snapshot(self) -> Snapshot:
        """Return the snapshot of the current tick, or a new one if the revision has changed."""
        tick, revision = self._current_tick(), self._service.revision
        if self._latest is None or self._latest_tick != tick or self._latest.revision != revision:
            self._latest = _create_snapshot(self._service, self.interval)
            self._latest_tick = tick
        return self._latest

    def _current_tick(self) -> int:
        return int(asyncio.get_running_loop().time() / self.interval + _TOLERANCE)


def _create_snapshot(service: BatchService, interval: float) -> Snapshot:
    at = service.clock()
    return Snapshot(
        at=at,
        interval=interval,
        totals=service.totals(),
        throughput=service.throughput,
        running=tuple(_running_batch(service, producer, at) for producer in service.producers()),
        revision=service.revision,
        suggested_name=service.suggest_name(),
    )


def _running_batch(service: BatchService, producer: Producer, at: datetime) -> RunningBatch:
    batch = producer.batch
    minutes = service.recent_minutes(batch, last_full_minute(at))
    return RunningBatch(
        batch=batch,
        slot=producer.slot,
        row_count=service.row_count(batch),
        rows_per_second=producer.rate.per_second,
        minute=minutes[0] if minutes else None,
        recent=producer.recent(at),
        hour=_hour(service, batch, at),
        retry=producer.retry,
        last_log_number=service.last_log_number(batch),
    )


def _hour(service: BatchService, batch: Batch, at: datetime) -> list[float | None]:
    end = start_of_minute(at)
    start = end - _HOUR * MINUTE
    averages: list[float | None] = [None] * _HOUR
    for minute in service.recent_minutes(batch, Window(start, end)):
        averages[(minute.minute - start) // MINUTE] = round(minute.average, 2)
    return averages
