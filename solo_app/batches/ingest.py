"""The way of points to disk: buffers the producers fill, and the group commit that empties them.

Whatever has gathered while one commit was under way goes into the next. All methods belong on
the event loop; only the commit itself runs on the store's writer thread.
"""

from __future__ import annotations

import asyncio
import logging
from array import array
from collections.abc import Callable
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from solo_app.batches.errors import StoreUnavailableError
from solo_app.batches.model import Block, Clock, MinuteAggregate
from solo_app.batches.rollup import Minutes, fold, merge, whole_minute
from solo_app.batches.storage import Storage

logger = logging.getLogger(__name__)

LINGER = 0.03
"""Seconds a commit waits for company: it bounds the number of disk syncs per second.

Nobody feels so short a wait. Whoever waits for a commit, or for room in a buffer, ends it."""

BUFFER_POINTS = 32_768
"""Points of one batch that may wait for the disk; where no more fit its producer waits too. A
point is on disk within two commits, so this bounds how long it takes: more points in a commit make
it longer, and hardly more of them a second."""

MOMENT_POINTS = BUFFER_POINTS // 2
"""Points of one batch that may be produced in one moment."""

ROWS_PER_FOLD = 5_000_000
"""Committed points after which open minutes are written too; it bounds the next start's work."""

RETRY_AFTER = 0.5
"""Seconds between two tries of a commit that the disk refused."""

CHECK_STORE_EVERY = 2.0
"""Seconds without points after which an empty commit checks that the store can be written."""

Committed = Callable[[Block, list[MinuteAggregate]], None]


class PointBuffer:
    """Points of one run on their way to disk."""

    def __init__(
        self, batch_no: int, next_seq: int, wake: Callable[[], None], hurry: Callable[[], None]
    ) -> None:
        self.batch_no = batch_no
        self.next_seq = next_seq
        self._wake = wake
        self._hurry = hurry
        self._ts = array("q")
        self._key = array("d")
        self._oldest: int | None = None
        self._oldest_in_flight: int | None = None
        self._in_flight = 0
        self._room = asyncio.Event()
        self._room.set()

    def append(self, ts: int, keys: NDArray[np.float64]) -> None:
        """Take points produced at ``ts`` microseconds since 1970, one at least and at most
        ``MOMENT_POINTS``; never waits."""
        self._key.frombytes(keys.tobytes())
        self._ts.frombytes(np.full(len(keys), ts, np.int64).tobytes())
        self.next_seq += len(keys)
        self._oldest = ts if self._oldest is None else min(self._oldest, ts)
        if len(self._ts) > BUFFER_POINTS - MOMENT_POINTS:
            self._room.clear()
            self._hurry()
        self._wake()

    async def room(self) -> None:
        """Wait until the buffer may take the points of a moment."""
        await self._room.wait()

    @property
    def gathered(self) -> int:
        """How many points wait to be taken."""
        return len(self._ts)

    @property
    def uncommitted(self) -> int:
        """How many points are not on disk, as far as is known."""
        return self.gathered + self._in_flight

    def holds_older_than(self, ts: int) -> bool:
        """Whether a point produced before ``ts`` is not committed yet."""
        oldest = [t for t in (self._oldest, self._oldest_in_flight) if t is not None]
        return bool(oldest) and min(oldest) < ts

    def take(self) -> Block | None:
        """Everything gathered so far; it counts as in flight until ``landed``."""
        if not self._ts:
            return None
        ts, key = np.frombuffer(self._ts, np.int64), np.frombuffer(self._key, np.float64)
        block = Block(self.batch_no, self.next_seq - len(ts), ts, key)
        self._ts, self._key = array("q"), array("d")
        self._oldest, self._oldest_in_flight = None, self._oldest
        self._in_flight = len(ts)
        self._room.set()
        return block

    def landed(self) -> None:
        """What was taken last is committed."""
        self._oldest_in_flight = None
        self._in_flight = 0


class Ingest:
    """The group commit. ``on_commit`` is told each committed block with its points by minute."""

    def __init__(self, store: Storage, clock: Clock, on_commit: Committed) -> None:
        self.trouble: str | None = None
        """Why points wait for the disk longer than they should; None when they do not."""
        self._store = store
        self._clock = clock
        self._on_commit = on_commit
        self._buffers: dict[int, PointBuffer] = {}
        self._unwritten: dict[int, Minutes] = {}
        self._rows_unwritten = 0
        self._written_up_to = whole_minute(clock())
        self._minutes_wanted = False
        self._work = asyncio.Event()
        self._hurried = asyncio.Event()
        self._commit = 0
        self._committing = False
        self._barriers: list[tuple[int, asyncio.Future[None]]] = []

    def open_buffer(self, batch_no: int, next_seq: int) -> PointBuffer:
        """A buffer whose points will be committed, the first with ``next_seq``."""
        buffer = PointBuffer(batch_no, next_seq, self._work.set, self._hurried.set)
        self._buffers[batch_no] = buffer
        return buffer

    def close_buffer(self, batch_no: int) -> None:
        """Forget a buffer that has been flushed."""
        self._buffers.pop(batch_no, None)

    async def run(self) -> None:
        """Commit for ever; cancel it only after a flush."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(CHECK_STORE_EVERY):
                    await self._work.wait()
                    await self._linger()
            await self._commit_all()

    async def _linger(self) -> None:
        timer = asyncio.get_running_loop().call_later(LINGER, self._hurried.set)
        await self._hurried.wait()
        timer.cancel()
        self._hurried.clear()

    async def flush(self) -> None:
        """Wait until every point appended before this call is committed."""
        if any(buffer.gathered for buffer in self._buffers.values()):
            self._hurried.set()
            await self._after_commit(self._commit + 1)
        elif self._committing:
            await self._after_commit(self._commit)

    async def flush_minutes(self) -> None:
        """Wait until the store's minutes count every point appended before this call."""
        self._minutes_wanted = True
        self._work.set()
        self._hurried.set()
        await self._after_commit(self._commit + 1)

    async def _after_commit(self, number: int) -> None:
        barrier = asyncio.get_running_loop().create_future()
        self._barriers.append((number, barrier))
        await barrier

    async def _commit_all(self) -> None:
        self._work.clear()
        self._commit += 1
        self._committing = True
        blocks = [block for buffer in self._buffers.values() if (block := buffer.take())]
        folded = [(block, fold(block.ts, block.key)) for block in blocks]
        for block, parts in folded:
            merge(self._unwritten.setdefault(block.batch_no, {}), parts)
            self._rows_unwritten += len(block.ts)
        minutes = self._minutes_due()
        await self._write(blocks, minutes)
        for block, parts in folded:
            self._buffers[block.batch_no].landed()
            self._on_commit(block, parts)
        self._committing = False
        self._release_barriers()

    def _minutes_due(self) -> dict[int, list[MinuteAggregate]]:
        minute = whole_minute(self._clock())
        due = (
            self._minutes_wanted
            or minute != self._written_up_to
            or self._rows_unwritten >= ROWS_PER_FOLD
        )
        if not due:
            return {}
        minutes = {no: list(parts.values()) for no, parts in self._unwritten.items()}
        self._unwritten = {}
        self._rows_unwritten = 0
        self._written_up_to = minute
        self._minutes_wanted = False
        return minutes

    async def _write(self, blocks: list[Block], minutes: dict[int, list[MinuteAggregate]]) -> None:
        """Commit, however often it takes: points that were taken are never let go."""
        while True:
            try:
                await self._store.write(blocks, minutes)
            except Exception as error:
                if self.trouble is None:
                    unexpected = not isinstance(error, StoreUnavailableError)
                    logger.error("Points wait: %s", error, exc_info=unexpected)
                self.trouble = str(error)
                await asyncio.sleep(RETRY_AFTER)
            else:
                self.trouble = None
                return

    def _release_barriers(self) -> None:
        waiting = []
        for number, barrier in self._barriers:
            if number > self._commit:
                waiting.append((number, barrier))
            elif not barrier.done():
                barrier.set_result(None)
        self._barriers = waiting
