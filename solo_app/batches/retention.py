"""Retention: moves old points from the database to the archive.

Minutes stay in the database. Queries and downloads include archived points.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta

from solo_app.batches.errors import ServiceClosedError, StoreUnavailableError
from solo_app.batches.minutes import start_of_minute
from solo_app.batches.models import Clock, Span
from solo_app.batches.storage import Storage

logger = logging.getLogger(__name__)

ARCHIVE_INTERVAL = 600.0
"""Seconds between two checks for old points."""

ARCHIVE_PERIOD = timedelta(days=1)
"""Additional time in the database, so that each batch gets one file per day."""

POINTS_PER_FILE = 1_000_000
"""Maximum number of points per move. Deleting a million points blocks the writer for 40 ms."""


class Retention:
    """Moves points older than ``keep`` to the archive.

    A batch is archived once its oldest point exceeds ``keep`` by a day (by ``keep``, if shorter).
    """

    def __init__(
        self,
        store: Storage,
        keep: timedelta,
        clock: Clock,
        points_per_file: int = POINTS_PER_FILE,
        interval: float = ARCHIVE_INTERVAL,
    ) -> None:
        self.archive_error: str | None = None
        """Why old points cannot be archived; None if there is no error."""
        self._store = store
        self._keep = keep
        self._clock = clock
        self._points_per_file = points_per_file
        self._interval = interval

    async def run(self) -> None:
        """Archive old points periodically until cancelled."""
        while True:
            try:
                await self.archive_old_points()
            except ServiceClosedError:
                return
            except StoreUnavailableError as error:
                self.archive_error = str(error)
                logger.error("Archiving failed, retrying later: %s", error)
            except Exception as error:  # The task must not end: the process runs for months.
                self.archive_error = f"{type(error).__name__}: {error}"
                logger.exception("Archiving failed, retrying later")
            else:
                self.archive_error = None
            await asyncio.sleep(self._interval)

    async def archive_old_points(self) -> int:
        """Archive all points that are old enough. Returns their number.

        Points of the current minute are never archived. Raises StoreUnavailableError; points
        archived before the error remain in the archive.
        """
        before = start_of_minute(self._clock() - self._keep)
        archived = 0
        for span in await self._store.archivable_spans(
            before, before - min(ARCHIVE_PERIOD, self._keep)
        ):
            for first in range(span.first_seq, span.last_seq + 1, self._points_per_file):
                last = min(first + self._points_per_file - 1, span.last_seq)
                archived += await self._store.move_to_archive(Span(span.batch_no, first, last))
        return archived
