"""The producer: the asyncio task that executes a run, with the current data of the run."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from solo_app.batches.errors import SoloError, SourceError
from solo_app.batches.ingest import MAX_POINTS_PER_APPEND, PointBuffer
from solo_app.batches.models import (
    Batch,
    BatchStatus,
    Block,
    Clock,
    LogLevel,
    Receipt,
    RestartPolicy,
    Retry,
    to_microseconds,
)
from solo_app.batches.rate import RateMeter
from solo_app.batches.recent import RecentData, RecentPoints, StoredData
from solo_app.batches.series import Series
from solo_app.batches.source import Numbers, RunContext, to_array, to_finite_doubles
from solo_app.batches.timing import Timing

logger = logging.getLogger(__name__)

# A source that never waits is paused for _PAUSE seconds after at least _VALUES_PER_SLICE values
# and _TIME_SLICE seconds.
_VALUES_PER_SLICE = 16
_TIME_SLICE = 0.002
_PAUSE = 0.001
_MAX_REASON_LENGTH = 500


class Producer:
    """The task that executes a run, and the current data of the run.

    ``slot`` is the slot of the batch, counted from 0. ``ending`` is the task that ends the run,
    None until the run is being stopped. ``batch`` contains the outcome if ``has_ended``.
    ``has_earlier_runs`` is whether ``points`` and ``series`` contain the points of earlier runs.
    """

    def __init__(
        self,
        batch: Batch,
        slot: int,
        buffer: PointBuffer,
        read: Callable[[RunContext], AsyncIterator[Numbers]],
        log: Callable[[LogLevel, str], None],
        clock: Clock,
        timing: Timing,
    ) -> None:
        self.batch = batch
        self.slot = slot
        self.buffer = buffer
        self.points = RecentPoints()
        self.series = Series(batch.run.number)
        self.rate = RateMeter()
        self.has_earlier_runs = batch.run.first_seq == 1
        self.ending: asyncio.Task[None] | None = None
        self.has_ended = False
        self._read = read
        self._log = log
        self.retry: Retry | None = None
        """The restart of a source that raised, until it returns a number again."""
        self._first_number_at = math.inf
        self._last_append = time.monotonic()
        self._clock = clock
        self._timing = timing
        self._wakeup = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self.task: asyncio.Task[None] = asyncio.create_task(
            self._run(), name=f"producer:{batch.batch_id}:{batch.run.source}"
        )

    @property
    def committed_seq(self) -> int:
        """The last committed ``seq`` of the batch."""
        return self.buffer.committed_seq

    @property
    def idle_seconds(self) -> float:
        """See ``RunContext``."""
        return time.monotonic() - self._last_append

    def log(self, text: str) -> None:
        """See ``RunContext``."""
        if not self.buffer.is_closed:  # The source ignored its cancellation.
            self._log(LogLevel.OUTPUT, text)

    def append(self, keys: NDArray[np.float64], receipt: Receipt | None = None) -> None:
        """Append finite numbers with the current time to the buffer. See ``PointBuffer.append``."""
        # No await between reading the clock and appending: a query for a window must find every
        # point with a time in that window in the buffer.
        self.buffer.append(to_microseconds(self._clock()), keys, receipt)
        self._last_append = time.monotonic()

    def add(self, block: Block) -> None:
        """Add a committed block of this run and notify waiting readers."""
        self.points.add(block)
        self.series.add(block)
        self.rate.add(len(block.ts))
        self.wake()

    def add_earlier_runs(self, stored: StoredData) -> None:
        """Add the points of earlier runs, unless they have been added."""
        if not self.has_earlier_runs:
            self.points.add_earlier_points(stored.points)
            self.series.add_buckets(stored.buckets)
            self.has_earlier_runs = True

    def recent(self, until: datetime) -> RecentData:
        """Return the latest points and the data of the minute before ``until``."""
        until_us = to_microseconds(until)
        chart, count = self.series.chart(until_us), self.series.count(until_us)
        return RecentData(self.points.recent(), chart, count)

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

    async def wait_for_points(self, after: int, timeout: float) -> bool:
        """Wait for a point with ``seq > after``, the end, or ``wake``; at most ``timeout`` seconds.

        Returns whether there is a point or the run has ended. All readers share the timer of the
        first one, so it can fire early: a timer per reader and point is too expensive with a
        thousand readers.
        """
        if self.has_ended or self.committed_seq > after:
            return True
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(timeout, self._on_timer)
        await self._wakeup.wait()
        return self.has_ended or self.committed_seq > after

    def _on_timer(self) -> None:
        self._timer = None
        self.wake()

    def outcome(self) -> tuple[BatchStatus, str | None]:
        """Return the status of a task that ended on its own, and the reason if it failed.

        Logs the error of a source that raised, with its traceback if the error is unexpected.
        """
        if self.task.cancelled():
            return BatchStatus.FAILED, "The source cancelled its own task."
        error = self.task.exception()
        if error is None:
            return BatchStatus.FINISHED, None
        reason = _reason(error)
        traceback = None if isinstance(error, SoloError) else error
        logger.error('Batch "%s" failed: %s', self.batch.batch_id, reason, exc_info=traceback)
        return BatchStatus.FAILED, reason

    async def _run(self) -> None:
        """Read the source until it ends. Restart it if it raises and the policy allows restarts."""
        attempt, delay = 0, self._timing.restart_delay
        while True:
            self._first_number_at = math.inf
            try:
                return await self._read_source()
            except (Exception, asyncio.CancelledError) as error:
                is_cancelled = self.task.cancelling() > 0
                if is_cancelled or self.batch.run.restart is RestartPolicy.NEVER:
                    raise
                if time.monotonic() - self._first_number_at >= self._timing.restart_reset:
                    attempt, delay = 0, self._timing.restart_delay
                attempt += 1
                self._announce_restart(attempt, delay, _reason(error))
            await asyncio.sleep(delay)
            delay = min(2 * delay, self._timing.max_restart_delay)

    def _announce_restart(self, attempt: int, delay: float, error: str) -> None:
        self.retry = Retry(attempt, self._clock() + timedelta(seconds=delay), error)
        self._log(LogLevel.RETRY, f"Restarting in {delay:g} s (attempt {attempt}): {error}")
        batch_id, line = self.batch.batch_id, " ".join(error.split())
        logger.warning('Source of "%s" failed, restarting in %g s: %s', batch_id, delay, line)

    async def _read_source(self) -> None:
        try:
            await self._append_numbers()
        except SystemExit as error:  # In a task it would end the app.
            raise SourceError(_reason(error)) from error

    async def _append_numbers(self) -> None:
        count, slice_end = 0, time.monotonic() + _TIME_SLICE
        async with aclosing(self._read(self)) as numbers:  # type: ignore[type-var]
            async for values in numbers:
                rest = to_array(values)
                while len(rest):
                    if self.buffer.is_closed:  # The source ignored its cancellation.
                        return
                    keys = to_finite_doubles(rest[:MAX_POINTS_PER_APPEND])
                    self.append(keys)
                    self._first_number_at = min(self._first_number_at, self._last_append)
                    if self.retry:
                        self._log(LogLevel.INFO, "Reading again.")
                        self.retry = None
                    rest = rest[len(keys) :]
                    await self.buffer.wait_for_capacity()
                count += 1
                if count >= _VALUES_PER_SLICE and time.monotonic() > slice_end:
                    # Unlike sleep(0), a short pause also releases the GIL to the store's threads.
                    await asyncio.sleep(_PAUSE)
                    count, slice_end = 0, time.monotonic() + _TIME_SLICE


def _reason(error: BaseException) -> str:
    """Return the text of an error of a source for users."""
    text = str(error) if isinstance(error, SoloError) else f"{type(error).__name__}: {error}"
    text = text.encode(errors="replace").decode()  # Surrogates can be neither stored nor sent.
    return text.removesuffix(": ")[:_MAX_REASON_LENGTH]
