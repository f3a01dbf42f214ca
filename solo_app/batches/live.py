"""The ticker: snapshots of how everything stands, shared by those who look.

Those who look are spread evenly over time, so that nobody waits long for the others: each
gets its tick at one of many moments, and all who get it at the same moment see one snapshot.
When so many look that telling them all would cost more than ``SHARE`` of a core, the ticks
come more slowly, and ``Snapshot.interval`` says so.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from solo_app.batches.model import Batch, MinuteAggregate, Totals
from solo_app.batches.service import BatchService

T = TypeVar("T")

TICK = 0.25
"""Seconds between two ticks while few look; while many do, a whole multiple of it."""

SHARE = 0.25
"""The share of a core that telling everyone may cost."""

COST = 0.00025
"""Seconds of a core that telling one of them costs (0.16 to 0.3 ms were measured)."""

STEP = 0.05
"""Seconds between two moments at which somebody may get a tick, and for which a snapshot is new.

Waking each alone would cost a quarter more; waking all at once would hold up everything else.
"""

_GOLDEN = (math.sqrt(5) - 1) / 2
"""Its multiples, cut to their fractions, are spread evenly however many there are."""


@dataclass(frozen=True, slots=True)
class RunningBatch:
    """A running batch at one moment. ``minute`` is its last whole minute, None without points."""

    batch: Batch
    slot: int
    row_count: int
    rows_per_second: float
    minute: MinuteAggregate | None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What all see who look at one moment. ``interval`` in seconds; ``at`` naive UTC.

    ``shared`` keeps what was worked out from it for one of them and serves the next as well.
    """

    at: datetime
    interval: float
    totals: Totals
    running: tuple[RunningBatch, ...]
    shared: dict[Hashable, Any] = field(default_factory=dict, compare=False)

    async def once(self, asked: Hashable, work: Callable[[], Awaitable[T]]) -> T:
        """What ``work`` gives, done for the first who asks so; the others get the very same.

        When that one fails or goes away meanwhile, the next does it.
        """
        while (doing := self.shared.get(asked)) is not None:
            if not doing.done():
                await asyncio.wait({doing})
            if not doing.cancelled():
                given: T = doing.result()
                return given
        doing = self.shared[asked] = asyncio.get_running_loop().create_future()
        try:
            done = await work()
        except BaseException:
            del self.shared[asked]
            doing.cancel()
            raise
        doing.set_result(done)
        return done

    @property
    def slowed(self) -> bool:
        """Whether so many look that the ticks come more slowly than they should."""
        return self.interval > TICK

    def rate_of(self, batch: Batch) -> float:
        """Points per second of a batch; 0 unless it runs."""
        return next((r.rows_per_second for r in self.running if r.batch == batch), 0.0)


class Ticker:
    """Gives everyone who looks their ticks. ``viewers`` counts them."""

    def __init__(self, service: BatchService) -> None:
        self.viewers = 0
        self._service = service
        self._came = 0
        self._latest: Snapshot | None = None
        self._stale_at = 0.0

    @property
    def interval(self) -> float:
        """Seconds between two ticks of one who looks."""
        return interval_for(self.viewers)

    async def ticks(self) -> AsyncGenerator[Snapshot]:
        """A snapshot now and at every tick from now on, until it is closed.

        Whoever is late for a tick gets the next one.
        """
        self._came += 1
        phase = phase_of(self._came)
        self.viewers += 1
        try:
            while not self._service.closing:
                yield self.snapshot()
                now = asyncio.get_running_loop().time()
                await asyncio.sleep(next_moment(now, phase, self.interval) - now)
        finally:
            self.viewers -= 1

    def snapshot(self) -> Snapshot:
        """How everything stands now, or stood less than ``STEP`` seconds ago."""
        now = asyncio.get_running_loop().time()
        if self._latest is None or now >= self._stale_at:
            self._latest = self._made_now()
            self._stale_at = now + STEP / 2
        return self._latest

    def _made_now(self) -> Snapshot:
        """How everything stands at this very moment."""
        service = self._service
        return Snapshot(
            at=service.clock(),
            interval=self.interval,
            totals=service.totals(),
            running=tuple(
                RunningBatch(
                    batch=batch,
                    slot=service.slot(batch),
                    row_count=service.row_count(batch),
                    rows_per_second=service.rows_per_second(batch),
                    minute=service.last_minute(batch),
                )
                for batch in service.running()
            ),
        )


def interval_for(viewers: int) -> float:
    """Seconds between two ticks of each when so many look."""
    return TICK * max(1, math.ceil(viewers * COST / SHARE / TICK))


def phase_of(number: int) -> float:
    """The part of an interval by which the ticks of the n-th who looks are put off."""
    return number * _GOLDEN % 1


def next_moment(now: float, phase: float, interval: float) -> float:
    """The next moment that lies ``phase`` of an interval after a whole number of them."""
    steps = round(interval / STEP)
    step = round(now / STEP)
    behind = (step - math.floor(phase * steps)) % steps
    return (step - behind + steps) * STEP
