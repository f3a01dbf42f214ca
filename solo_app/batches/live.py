"""The ticker: one snapshot per tick, shared by all who look.

Everyone who looks awaits the next tick. When so many look that telling them all would cost
more than ``SHARE`` of a core, the ticks come more slowly, and ``Snapshot.interval`` says so.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime

from solo_app.batches.model import Batch, MinuteAggregate, Point, Totals
from solo_app.batches.service import BatchService

TICK = 0.25
"""Seconds between two ticks while few look."""

SHARE = 0.25
"""The share of a core that telling everyone may cost."""

COST = 0.0005
"""Seconds of a core that telling one of them costs (0.35 to 0.5 ms were measured)."""


@dataclass(frozen=True, slots=True)
class RunningBatch:
    """A running batch at one moment. ``minute`` is its last whole minute, None without points."""

    batch: Batch
    latest: Point | None
    row_count: int
    rows_per_second: float
    minute: MinuteAggregate | None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What all who look see at one tick. ``interval`` in seconds; ``at`` naive UTC."""

    at: datetime
    interval: float
    totals: Totals
    running: tuple[RunningBatch, ...]

    @property
    def slowed(self) -> bool:
        """Whether so many look that the ticks come more slowly than they should."""
        return self.interval > TICK


class Ticker:
    """Makes the snapshots. ``viewers`` counts those who wait for the next one."""

    def __init__(self, service: BatchService) -> None:
        self.viewers = 0
        self._service = service
        self._next: asyncio.Future[Snapshot] | None = None
        self._interval = TICK

    async def run(self) -> None:
        """Tick for ever; ends by being cancelled."""
        while True:
            await asyncio.sleep(self._interval)
            self._interval = max(TICK, self.viewers * COST / SHARE)
            if self._next is not None:
                waiting, self._next = self._next, None
                waiting.set_result(self.snapshot())

    async def next(self) -> Snapshot:
        """Wait for the next tick."""
        if self._next is None:
            self._next = asyncio.get_running_loop().create_future()
        self.viewers += 1
        try:
            return await asyncio.shield(self._next)
        finally:
            self.viewers -= 1

    def snapshot(self) -> Snapshot:
        """How everything stands now."""
        service = self._service
        return Snapshot(
            at=service.clock(),
            interval=self._interval,
            totals=service.totals(),
            running=tuple(
                RunningBatch(
                    batch=batch,
                    latest=service.latest_point(batch),
                    row_count=service.row_count(batch),
                    rows_per_second=service.rows_per_second(batch),
                    minute=service.last_minute(batch),
                )
                for batch in service.running()
            ),
        )
