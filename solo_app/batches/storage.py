"""The protocol that a store implements: the only way from the domain to stored data."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from solo_app.batches.model import (
    Batch,
    Block,
    Download,
    FileFormat,
    MinuteAggregate,
    Point,
    Run,
    Selection,
    Span,
    Step,
    StoredMinutes,
    Window,
)


class Storage(Protocol):
    """Durable storage of batches, runs, points and per-minute aggregates.

    All methods belong on the event loop and never block it. What a write has committed survives
    the end of the process, ``kill -9`` included. Every coroutine raises StoreUnavailableError
    when the store cannot be read or written; nothing has changed then.
    """

    async def open(self) -> bool:
        """Open the store, creating it when missing; returns whether it existed before."""

    async def close(self) -> bool:
        """Finish pending writes, then close the store.

        Returns False if a query ignored its interruption, so that its thread keeps running.
        """

    async def batches(self) -> list[Batch]:
        """Every batch with its latest run."""

    async def runs(self, batch_no: int, offset: int, limit: int) -> list[Run]:
        """Runs of a batch, the latest first; ``offset`` and ``limit`` page."""

    async def open_run(self, batch_id: str, run: Run) -> Batch:
        """Record the start of a run, and its batch when it is new."""

    async def end_run(self, batch: Batch) -> None:
        """Record the outcome of the latest run of a batch."""

    async def write(
        self, blocks: Sequence[Block], minutes: dict[int, list[MinuteAggregate]]
    ) -> None:
        """Commit points, and add ``minutes`` (by batch number) to the aggregates, atomically.

        The minutes of a batch must include exactly its points from the last ones included up to
        these. Without points and minutes, only check that the store can be written.
        """

    async def points(self, batch_no: int, after: int, limit: int) -> list[Point]:
        """At most ``limit`` committed points with ``seq > after``, in order of ``seq``."""

    async def steps(self, batch_no: int, since: datetime, before_seq: int) -> list[Step]:
        """The steps of the points with ``ts > since`` and ``seq < before_seq``, oldest first."""

    async def minutes(self, batch_no: int, window: Window) -> list[MinuteAggregate]:
        """The stored aggregates of a window, oldest first."""

    async def stored_minutes(self, start: datetime) -> StoredMinutes:
        """All aggregates since a minute, and counters of the points included in all minutes.

        From one consistent read.
        """

    async def old_spans(self, before: datetime, oldest_before: datetime) -> list[Span]:
        """The points that may be archived: those before ``before``, of batches that have one
        before ``oldest_before``."""

    async def move_to_archive(self, span: Span) -> int:
        """Move committed points to the archive; returns their number."""

    async def recover_archive(self) -> None:
        """Finish or undo an archive operation that was interrupted."""

    async def download(self, file_format: FileFormat, selection: Selection) -> Download:
        """The selected points in order of ``seq``, as a file."""

    async def backup(self) -> Download:
        """A consistent snapshot of the database, as a file."""

    def stop_exports(self) -> None:
        """Abort downloads and backups in progress and refuse new ones."""
