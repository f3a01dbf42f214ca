"""The minutes of the last hour, kept in memory whatever the clock does.

Set back to before what is in memory, it would bring minutes that may be in the store in part,
and that no memory could count wholly. So the hour before it is loaded again, beside the commits
that go on: what the store counts at one moment, and then every block that comes after.
"""

from __future__ import annotations

import asyncio
import logging

from solo_app.batches.errors import StoreUnavailableError
from solo_app.batches.ingest import Ingest
from solo_app.batches.model import MINUTE, BatchCounter, Block, Clock, MinuteAggregate
from solo_app.batches.rollup import KEPT, Rollup, whole_minute
from solo_app.batches.storage import Storage

logger = logging.getLogger(__name__)


class RecentMinutes:
    """Fills a rollup. All methods belong on the event loop."""

    def __init__(self, store: Storage, ingest: Ingest, clock: Clock) -> None:
        self.rollup = Rollup(whole_minute(clock()) - KEPT)
        self._store = store
        self._ingest = ingest
        self._clock = clock
        self._loaded: dict[int, BatchCounter] = {}
        self._meanwhile: list[tuple[int, int, list[MinuteAggregate]]] = []
        self._loading: asyncio.Task[None] | None = None

    async def load(self) -> dict[int, BatchCounter]:
        """Load the stored minutes; returns the counters of their points, by batch number.

        Raises StoreUnavailableError.
        """
        since = whole_minute(self._clock()) - KEPT
        stored = await self._store.stored_minutes(since)
        self._loaded = stored.counters
        self.rollup.begin_again(since, stored.minutes)
        for batch_no, first_seq, parts in self._meanwhile:
            self._add(batch_no, first_seq, parts)
        return self._loaded

    def committed(self, block: Block, parts: list[MinuteAggregate]) -> None:
        """Count points that were committed, and forget those of an hour before."""
        counted = block.batch_no, block.first_seq, parts  # Not the points: they may be many.
        self._add(*counted)
        now = whole_minute(self._clock())
        self.rollup.forget(now - KEPT)
        if self._loading:
            self._meanwhile.append(counted)
        elif now - MINUTE < self.rollup.complete_since:
            self._loading = asyncio.create_task(self._load_again(), name="load-minutes")

    def close(self) -> None:
        """Load nothing any more."""
        if self._loading:
            self._loading.cancel()

    def _add(self, batch_no: int, first_seq: int, parts: list[MinuteAggregate]) -> None:
        # The store counts whole blocks, and may do so before their commit is told here.
        counter = self._loaded.get(batch_no)
        if counter is None or first_seq > counter.last_seq:
            self.rollup.add(batch_no, parts)

    async def _load_again(self) -> None:
        try:
            # What was committed before any block is kept here is counted then.
            await self._ingest.flush_minutes()
            await self.load()
        except StoreUnavailableError as error:  # The next commit sets it off again.
            logger.warning("The minutes of the last hour are not loaded yet: %s", error)
        finally:
            self._meanwhile = []
            self._loading = None
