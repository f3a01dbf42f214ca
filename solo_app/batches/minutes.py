"""Per-minute aggregates: computation, the last full minute, and a cache of the last hour."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from solo_app.batches.errors import WindowOutOfRangeError
from solo_app.batches.models import (
    MINUTE,
    MINUTE_US,
    BatchCounter,
    Clock,
    MinuteAggregate,
    Window,
    from_microseconds,
)
from solo_app.batches.storage import Storage

MAX_AGE = timedelta(minutes=61)
"""Maximum age of cached minutes: one hour of full minutes and the current one."""


def start_of_minute(time: datetime) -> datetime:
    return time.replace(second=0, microsecond=0)


def last_full_minute(now: datetime) -> Window:
    """Return the minute before the minute of ``now``.

    Raises WindowOutOfRangeError if its start is not a valid datetime.
    """
    end = start_of_minute(now)
    try:
        return Window(end - MINUTE, end)
    except OverflowError:
        raise WindowOutOfRangeError("The minute before that time is out of range.") from None


def aggregate_by_minute(ts: NDArray[np.int64], key: NDArray[np.float64]) -> list[MinuteAggregate]:
    """Aggregate points by minute. ``ts`` in microseconds since 1970, same length as ``key``.

    The result contains each minute once, even if the clock moved back and forth between minutes.
    """
    minutes = ts // MINUTE_US
    starts = np.concatenate(([0], np.flatnonzero(np.diff(minutes)) + 1))
    ends = np.append(starts[1:], len(ts))
    with np.errstate(over="ignore"):  # A sum beyond the range of a double is infinite.
        sums = np.add.reduceat(key, starts)
    lows = np.minimum.reduceat(key, starts)
    highs = np.maximum.reduceat(key, starts)
    slices = zip(minutes[starts], ends - starts, sums, lows, highs, strict=True)
    result: Minutes = {}
    for minute_no, count, *values in slices:
        minute = from_microseconds(int(minute_no) * MINUTE_US)
        merge(result, [MinuteAggregate(minute, int(count), *map(float, values))])
    return list(result.values())


Minutes = dict[datetime, MinuteAggregate]
"""The aggregates of one batch by minute."""


def merge(minutes: Minutes, added: Iterable[MinuteAggregate]) -> None:
    """Merge ``added`` into ``minutes`` in place."""
    for aggregate in added:
        existing = minutes.get(aggregate.minute)
        minutes[aggregate.minute] = existing.merged_with(aggregate) if existing else aggregate


class RecentMinutes:
    """A cache of the minutes of the last hour of all batches.

    Minutes since ``complete_since`` include every committed point; earlier ones are in the store.
    ``complete_since`` never decreases: if the clock is set back by more than an hour, the cache is
    unused until the clock has caught up.
    """

    def __init__(self, store: Storage, clock: Clock) -> None:
        self.complete_since = start_of_minute(clock()) - MAX_AGE
        self._store = store
        self._clock = clock
        self._minutes: defaultdict[int, Minutes] = defaultdict(dict)

    async def load(self) -> dict[int, BatchCounter]:
        """Load the stored minutes. Returns the counters of their points, by batch number.

        Raises StoreUnavailableError.
        """
        stored = await self._store.stored_minutes(self.complete_since)
        for batch_no, minutes in stored.minutes.items():
            merge(self._minutes[batch_no], minutes)
        return stored.counters

    def add(self, batch_no: int, minutes: list[MinuteAggregate]) -> None:
        """Add committed points of a batch, and evict minutes that exceed ``MAX_AGE``."""
        merge(self._minutes[batch_no], (m for m in minutes if m.minute >= self.complete_since))
        self.evict(start_of_minute(self._clock()) - MAX_AGE)

    def between(self, batch_no: int, window: Window) -> list[MinuteAggregate]:
        """Return the cached minutes of a window, oldest first."""
        minutes = self._minutes.get(batch_no, {})
        return [minutes[m] for m in sorted(minutes) if window.start <= m < window.end]

    def evict(self, before: datetime) -> None:
        """Remove minutes before ``before``. They must be in the store."""
        if before <= self.complete_since:
            return
        self.complete_since = before
        for batch_no, minutes in list(self._minutes.items()):
            kept = {m: a for m, a in minutes.items() if m >= before}
            if kept:
                self._minutes[batch_no] = kept
            else:
                del self._minutes[batch_no]
