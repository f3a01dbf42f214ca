"""Retention: points that are old enough go from the database into its archive.

Nothing is gone by that. The minutes stay in the database, the archived points are still read
and downloaded with the rest, and they count on.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta

from solo_app.batches.errors import ServiceClosedError, StoreUnavailableError
from solo_app.batches.minutes import whole_minute
from solo_app.batches.model import Clock, Span
from solo_app.batches.storage import Storage

logger = logging.getLogger(__name__)

ARCHIVE_EVERY = 600.0
"""Seconds between two looks for old points."""

TOGETHER = timedelta(days=1)
"""Points wait for as long as this, so that a batch fills one file a day and not one a look."""

POINTS_PER_FILE = 1_000_000
"""Archived at a time; removing so many holds up the writer for some 40 ms."""


class Retention:
    """Keeps points in the database for ``keep``, and at most a day (or ``keep``) longer."""

    def __init__(self, store: Storage, keep: timedelta, clock: Clock) -> None:
        self.archive_error: str | None = None
        """Why old points stay in the database; None when they do not."""
        self._store = store
        self._keep = keep
        self._clock = clock

    async def run(self) -> None:
        """Look for old points for ever; ends by being cancelled."""
        while True:
            try:
                await self.archive_old_points()
            except ServiceClosedError:
                return
            except StoreUnavailableError as error:
                self.archive_error = str(error)
                logger.error("Old points stay in the database for now: %s", error)
            except Exception as error:  # The next look may fare better, in a process of months.
                self.archive_error = f"{type(error).__name__}: {error}"
                logger.exception("Old points stay in the database for now.")
            else:
                self.archive_error = None
            await asyncio.sleep(ARCHIVE_EVERY)

    async def archive_old_points(self) -> int:
        """Archive what is old enough now; gives the number of points of it.

        A point of the open minute is never old enough. Raises StoreUnavailableError; what was
        archived before stays so, and nothing is lost.
        """
        await self._store.recover_archive()
        before = whole_minute(self._clock() - self._keep)
        archived = 0
        for span in await self._store.old_spans(before, before - min(TOGETHER, self._keep)):
            for first in range(span.first_seq, span.last_seq + 1, POINTS_PER_FILE):
                last = min(first + POINTS_PER_FILE - 1, span.last_seq)
                archived += await self._store.move_to_archive(Span(span.batch_no, first, last))
        return archived
