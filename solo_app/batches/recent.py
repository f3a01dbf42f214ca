"""The minutes of the last hour, in memory; older ones are read from the store.

After the clock was set back by more than an hour, all are read from the store until it has caught
up: points of those minutes may have been committed and evicted before.
"""

from __future__ import annotations

from solo_app.batches.model import Block, Clock, MinuteAggregate
from solo_app.batches.rollup import KEPT, Rollup, whole_minute
from solo_app.batches.storage import Storage


class RecentMinutes:
    """Fills a rollup. All methods belong on the event loop."""

    def __init__(self, store: Storage, clock: Clock) -> None:
        self.rollup = Rollup(whole_minute(clock()) - KEPT)
        self._store = store
        self._clock = clock

    async def load(self) -> dict[int, int]:
        """Begin with what the store counts; gives up to which ``seq``, by batch number.

        Raises StoreUnavailableError.
        """
        since = whole_minute(self._clock()) - KEPT
        counted, minutes = await self._store.counted_since(since)
        self.rollup.begin_again(since, minutes)
        return counted

    def committed(self, block: Block, parts: list[MinuteAggregate]) -> None:
        """Add the minutes of a committed block, and evict those of more than an hour ago."""
        self.rollup.add(block.batch_no, parts)
        self.rollup.forget(whole_minute(self._clock()) - KEPT)
