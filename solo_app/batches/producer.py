"""A run under way: its one asyncio task, its newest committed points, and how fast they come."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from contextlib import aclosing
from itertools import takewhile

from solo_app.batches.errors import SoloError
from solo_app.batches.ingest import MAX_POINTS_PER_APPEND, PointBuffer
from solo_app.batches.model import Batch, BatchStatus, Block, Clock, Point, to_microseconds
from solo_app.batches.sources import Source, as_array, checked

TAIL_POINTS = 1_024
"""Newest points kept in memory for those who watch: at the default pace four minutes of them."""

_RATE_SECONDS = 5
# A source that never waits by itself is made to pause once in a while.
_TURNS = 16
_TIME_SLICE = 0.002
_PAUSE = 0.001
_LONGEST_REASON = 500


class Tail:
    """The newest committed points of a batch, at least ``TAIL_POINTS`` once so many came."""

    def __init__(self) -> None:
        self._blocks: deque[Block] = deque()
        self._length = 0
        self._asked: tuple[int, list[Point]] | None = None

    def add(self, block: Block) -> None:
        """Take the next committed block."""
        surplus = max(0, len(block.ts) - TAIL_POINTS)
        if surplus:
            # Copied, so that the rest of a large block is not kept alive by its end.
            block = Block(
                block.batch_no,
                block.first_seq + surplus,
                block.ts[surplus:].copy(),
                block.key[surplus:].copy(),
            )
        self._asked = None
        self._blocks.append(block)
        self._length += len(block.ts)
        while self._length - len(self._blocks[0].ts) >= TAIL_POINTS:
            self._length -= len(self._blocks.popleft().ts)

    @property
    def latest(self) -> Point | None:
        """The newest point."""
        if not self._blocks:
            return None
        block = self._blocks[-1]
        return next(block.points(after=block.last_seq - 1))

    def since(self, after: int) -> list[Point] | None:
        """The points with ``seq > after``, in order; None when the tail begins later.

        The list is shared: nobody may change it.
        """
        # Those who are up to date all ask for the same, right after a commit.
        if self._asked is not None and self._asked[0] == after:
            return self._asked[1]
        if not self._blocks or self._blocks[0].first_seq > after + 1:
            return None
        # From the end: those who follow ask for few.
        blocks = list(takewhile(lambda block: block.last_seq > after, reversed(self._blocks)))
        points = [point for block in reversed(blocks) for point in block.points(after)]
        self._asked = after, points
        return points


class RateMeter:
    """Points per second over the last few whole seconds of the monotonic clock.

    ``kept`` is how many seconds ``history`` can tell of.
    """

    def __init__(
        self, now: Callable[[], float] = time.monotonic, kept: int = _RATE_SECONDS
    ) -> None:
        self._now = now
        self._began = now()
        self._kept = kept
        self._counts: deque[tuple[int, int]] = deque(maxlen=kept + 1)

    def add(self, count: int) -> None:
        """Note so many points as committed now."""
        second = int(self._now())
        if self._counts and self._counts[-1][0] == second:
            count += self._counts.pop()[1]
        self._counts.append((second, count))

    @property
    def per_second(self) -> float:
        """The mean over up to five whole seconds; the second under way does not count."""
        now = self._now()
        end = int(now)
        start = max(end - _RATE_SECONDS, int(self._began) + 1)
        if end <= start:
            elapsed = now - self._began
            return sum(n for _, n in self._counts) / elapsed if elapsed > 0.2 else 0.0
        return sum(n for second, n in self._counts if start <= second < end) / (end - start)

    @property
    def history(self) -> tuple[int, list[int]]:
        """The second under way, and the points of each of the ``kept`` before it, in order."""
        counts = dict(self._counts)
        end = int(self._now())
        return end, [counts.get(second, 0) for second in range(end - self._kept, end)]


class Producer:
    """The one task that carries out a run, and what those who look at the run may know.

    ``slot`` is which of the places for running batches it holds, counted from 0.
    ``ending`` is the task that ends the run, once somebody decided to; ``batch`` tells the
    outcome when it is done.
    """

    def __init__(
        self, batch: Batch, slot: int, buffer: PointBuffer, source: Source, clock: Clock
    ) -> None:
        self.batch = batch
        self.slot = slot
        self.buffer = buffer
        self.tail = Tail()
        self.rate = RateMeter()
        self.ending: asyncio.Task[None] | None = None
        self.over = False
        self._source = source
        self._clock = clock
        self._news = asyncio.Event()
        self._alarm: asyncio.TimerHandle | None = None
        self.task: asyncio.Task[None] = asyncio.create_task(
            self._produce(), name=f"producer:{batch.batch_id}"
        )

    @property
    def committed_seq(self) -> int:
        """The last committed ``seq`` of the batch."""
        return self.buffer.committed_seq

    def commit(self, block: Block) -> None:
        """Note a block of this run as committed, and tell those who wait."""
        self.tail.add(block)
        self.rate.add(len(block.ts))
        self.wake()

    def end(self, batch: Batch) -> None:
        """Note the outcome, and tell those who wait."""
        self.batch = batch
        self.over = True
        self.wake()
        if self._alarm:
            self._alarm.cancel()

    def wake(self) -> None:
        """Let everyone go who waits for news."""
        self._news.set()
        self._news = asyncio.Event()

    async def news(self, after: int, within: float) -> bool:
        """Wait for a point with ``seq > after``, the end, or a wake, ``within`` seconds at most.

        False when nothing of it came. All who wait share the alarm of the first, so it may come
        early: a timer for each of a thousand readers, at each point, would cost more than the
        rest of the wait.
        """
        if self.over or self.committed_seq > after:
            return True
        if self._alarm is None:
            self._alarm = asyncio.get_running_loop().call_later(within, self._ring)
        await self._news.wait()
        return self.over or self.committed_seq > after

    def _ring(self) -> None:
        self._alarm = None
        self.wake()

    def outcome(self) -> tuple[BatchStatus, str | None]:
        """How a task that ended by itself ended, and why when it failed."""
        if self.task.cancelled():
            return BatchStatus.FAILED, "The source cancelled its own task."
        error = self.task.exception()
        if error is None:
            return BatchStatus.FINISHED, None
        text = str(error) if isinstance(error, SoloError) else f"{type(error).__name__}: {error}"
        return BatchStatus.FAILED, text[:_LONGEST_REASON]

    async def _produce(self) -> None:
        turns, slice_end = 0, time.monotonic() + _TIME_SLICE
        async with aclosing(self._source()) as numbers:  # type: ignore[type-var]
            async for given in numbers:
                rest = as_array(given)
                while len(rest):
                    if self.buffer.is_closed:  # The source ignored its cancellation.
                        return
                    part = checked(rest[:MAX_POINTS_PER_APPEND])
                    # No await between the clock and the buffer: a point is in the buffer before
                    # anybody can ask for the window its time lies in.
                    self.buffer.append(to_microseconds(self._clock()), part)
                    rest = rest[len(part) :]
                    await self.buffer.wait_for_capacity()
                turns += 1
                if turns >= _TURNS and time.monotonic() > slice_end:
                    # A real pause, however short, also lets the store's threads have the
                    # interpreter; going round the loop would not.
                    await asyncio.sleep(_PAUSE)
                    turns, slice_end = 0, time.monotonic() + _TIME_SLICE
