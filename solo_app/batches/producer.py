"""The producer of an active run: its asyncio task, its latest committed points, and its rate."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import aclosing
from itertools import takewhile

from solo_app.batches.errors import SoloError
from solo_app.batches.ingest import MAX_POINTS_PER_APPEND, PointBuffer
from solo_app.batches.models import (
    Batch,
    BatchStatus,
    Block,
    Bucket,
    Clock,
    Point,
    to_microseconds,
)
from solo_app.batches.series import Series
from solo_app.batches.source import Source, to_array, to_finite_doubles

logger = logging.getLogger(__name__)

CACHED_POINTS = 1_024
"""Minimum of latest points kept in memory for readers: four minutes at the default interval."""

RECENT_POINTS = 40
"""Latest points of a batch in a snapshot."""

_RATE_SECONDS = 5
# A source that never waits is paused for _PAUSE seconds after at least _VALUES_PER_SLICE values
# and _TIME_SLICE seconds.
_VALUES_PER_SLICE = 16
_TIME_SLICE = 0.002
_PAUSE = 0.001
_MAX_REASON_LENGTH = 500


class RecentPoints:
    """The latest committed points of a run, at least ``CACHED_POINTS`` if they exist, and those of
    earlier runs, once added.
    """

    def __init__(self) -> None:
        self._blocks: deque[Block] = deque()
        self._length = 0
        self._earlier: list[Point] = []
        self._last_read: tuple[int, list[Point]] | None = None

    def add(self, block: Block) -> None:
        """Add the next committed block."""
        surplus = max(0, len(block.ts) - CACHED_POINTS)
        if surplus:
            # Copy, because a view would keep the whole block in memory.
            block = Block(
                block.batch_no,
                block.first_seq + surplus,
                block.ts[surplus:].copy(),
                block.key[surplus:].copy(),
            )
        self._last_read = None
        self._blocks.append(block)
        self._length += len(block.ts)
        while self._length - len(self._blocks[0].ts) >= CACHED_POINTS:
            self._length -= len(self._blocks.popleft().ts)

    def add_earlier_points(self, points: Sequence[Point]) -> None:
        """Add the latest points of earlier runs, in order of ``seq``. Call this once."""
        self._earlier = [*points]

    @property
    def latest(self) -> Point | None:
        """The latest point of the run."""
        if not self._blocks:
            return None
        block = self._blocks[-1]
        return next(block.points(after=block.last_seq - 1))

    def since(self, after: int) -> list[Point] | None:
        """Return the points with ``seq > after``, in order; None if some are not in memory.

        The list is shared; callers must not change it.
        """
        # After a commit, all up-to-date readers request the same points.
        if self._last_read is not None and self._last_read[0] == after:
            return self._last_read[1]
        if not self._blocks or self._blocks[0].first_seq > after + 1:
            return None
        points = self._points(after)
        self._last_read = after, points
        return points

    def recent(self) -> list[Point]:
        """Return up to ``RECENT_POINTS`` latest points, including those of earlier runs."""
        own = self._points(self._blocks[-1].last_seq - RECENT_POINTS) if self._blocks else []
        return [*self._earlier, *own][-RECENT_POINTS:]

    def _points(self, after: int) -> list[Point]:
        # Search from the end: most readers need few points.
        blocks = list(takewhile(lambda block: block.last_seq > after, reversed(self._blocks)))
        return [point for block in reversed(blocks) for point in block.points(after)]


class RateMeter:
    """The rate over the last few whole seconds of the monotonic clock, and its history.

    ``history_seconds`` is the length of ``history``.
    """

    def __init__(
        self, now: Callable[[], float] = time.monotonic, history_seconds: int = _RATE_SECONDS
    ) -> None:
        self._now = now
        self._started = now()
        self._history_seconds = history_seconds
        self._counts: deque[tuple[int, int]] = deque(maxlen=history_seconds + 1)

    def add(self, count: int) -> None:
        """Add a number of points committed now."""
        second = int(self._now())
        if self._counts and self._counts[-1][0] == second:
            count += self._counts.pop()[1]
        self._counts.append((second, count))

    @property
    def per_second(self) -> float:
        """The mean over up to five whole seconds, without the current second."""
        now = self._now()
        end = int(now)
        start = max(end - _RATE_SECONDS, int(self._started) + 1)
        if end <= start:
            elapsed = now - self._started
            return sum(n for _, n in self._counts) / elapsed if elapsed > 0.2 else 0.0
        return sum(n for second, n in self._counts if start <= second < end) / (end - start)

    @property
    def history(self) -> list[int]:
        """The number of points in each of the last whole seconds, latest last."""
        counts = dict(self._counts)
        end = int(self._now())
        return [counts.get(second, 0) for second in range(end - self._history_seconds, end)]


class Producer:
    """The task that executes a run, and the current data of the run.

    ``slot`` is the slot of the batch, counted from 0. ``ending`` is the task that ends the run,
    None until the run is being stopped. ``batch`` contains the outcome if ``has_ended``.
    ``has_earlier_runs`` is whether ``points`` and ``series`` contain the points of earlier runs;
    ``loading`` is held while those are read.
    """

    def __init__(
        self, batch: Batch, slot: int, buffer: PointBuffer, source: Source, clock: Clock
    ) -> None:
        self.batch = batch
        self.slot = slot
        self.buffer = buffer
        self.points = RecentPoints()
        self.series = Series(batch.run.number)
        self.rate = RateMeter()
        self.has_earlier_runs = batch.run.first_seq == 1
        self.loading_lock = asyncio.Lock()
        self.ending: asyncio.Task[None] | None = None
        self.has_ended = False
        self._source = source
        self._clock = clock
        self._wakeup = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self.task: asyncio.Task[None] = asyncio.create_task(
            self._produce(), name=f"producer:{batch.batch_id}"
        )

    @property
    def committed_seq(self) -> int:
        """The last committed ``seq`` of the batch."""
        return self.buffer.committed_seq

    def add(self, block: Block) -> None:
        """Add a committed block of this run and notify waiting readers."""
        self.points.add(block)
        self.series.add(block)
        self.rate.add(len(block.ts))
        self.wake()

    def add_earlier_runs(self, points: Sequence[Point], buckets: Sequence[Bucket]) -> None:
        """Add the points of earlier runs to ``points`` and ``series``. Call this once."""
        self.points.add_earlier_points(points)
        self.series.add_buckets(buckets)
        self.has_earlier_runs = True

    def end(self, batch: Batch) -> None:
        """Set the outcome and notify waiting readers."""
        self.batch = batch
        self.has_ended = True
        self.wake()
        if self._timer:
            self._timer.cancel()

    def wake(self) -> None:
        """Wake all readers waiting in ``wait_for_points``."""
        self._wakeup.set()
        self._wakeup = asyncio.Event()

    async def wait_for_points(self, after: int, within: float) -> bool:
        """Wait for a point with ``seq > after``, the end, or ``wake``; at most ``within`` seconds.

        Returns whether there is a point or the run has ended. All readers share the timer of the
        first one, so it can fire early: a timer per reader and point is too expensive with a
        thousand readers.
        """
        if self.has_ended or self.committed_seq > after:
            return True
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(within, self._on_timer)
        await self._wakeup.wait()
        return self.has_ended or self.committed_seq > after

    def _on_timer(self) -> None:
        self._timer = None
        self.wake()

    def outcome(self) -> tuple[BatchStatus, str | None]:
        """Return the status of a task that ended by itself, and the reason if it failed.

        Logs the traceback of a source that raised.
        """
        if self.task.cancelled():
            return BatchStatus.FAILED, "The source cancelled its own task."
        error = self.task.exception()
        if error is None:
            return BatchStatus.FINISHED, None
        text = str(error) if isinstance(error, SoloError) else f"{type(error).__name__}: {error}"
        logger.error('Batch "%s" failed', self.batch.batch_id, exc_info=error)
        return BatchStatus.FAILED, text[:_MAX_REASON_LENGTH]

    async def _produce(self) -> None:
        turns, slice_end = 0, time.monotonic() + _TIME_SLICE
        async with aclosing(self._source()) as numbers:  # type: ignore[type-var]
            async for values in numbers:
                rest = to_array(values)
                while len(rest):
                    if self.buffer.is_closed:  # The source ignored its cancellation.
                        return
                    part = to_finite_doubles(rest[:MAX_POINTS_PER_APPEND])
                    # No await between reading the clock and appending: a query for a window must
                    # find every point with a time in that window in the buffer.
                    self.buffer.append(to_microseconds(self._clock()), part)
                    rest = rest[len(part) :]
                    await self.buffer.wait_for_capacity()
                turns += 1
                if turns >= _VALUES_PER_SLICE and time.monotonic() > slice_end:
                    # Unlike sleep(0), a short pause also releases the GIL to the store's threads.
                    await asyncio.sleep(_PAUSE)
                    turns, slice_end = 0, time.monotonic() + _TIME_SLICE
