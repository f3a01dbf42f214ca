"""The storage protocol: the methods that a store implements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from solo_app.batches.models import (
    NO_LABELS,
    Batch,
    Block,
    Bucket,
    Download,
    FileFormat,
    Labels,
    LogLine,
    MinuteAggregate,
    Point,
    Receipt,
    Run,
    Selection,
    Span,
    StoredMinutes,
    Window,
)


class Storage(Protocol):
    """Durable storage of batches, runs, points and per-minute aggregates.

    Call all methods on the event loop; none of them blocks it. Committed writes survive
    ``kill -9``. Every coroutine raises StoreUnavailableError, without having changed anything, if
    the store cannot be read or written.
    """

    async def open(self) -> None:
        """Open the store or create it."""

    async def close(self) -> bool:
        """Finish pending writes, then close the store.

        Returns False if a query ignored its interruption and its thread is still running.
        """

    async def batches(self) -> list[Batch]:
        """Return all batches with their latest runs."""

    async def runs(self, batch_no: int, offset: int, limit: int) -> list[Run]:
        """Return at most ``limit`` runs of a batch, newest first, starting at ``offset``."""

    async def open_run(self, batch_id: str, run: Run, labels: Labels = NO_LABELS) -> Batch:
        """Record the start of a run with the labels of its batch, and the batch if it is new."""

    async def end_run(self, batch: Batch) -> None:
        """Record the outcome of the latest run of a batch."""

    async def set_labels(self, batch_no: int, labels: Labels) -> None:
        """Replace the labels of a batch."""

    async def write(
        self, blocks: Sequence[Block], minutes: dict[int, list[MinuteAggregate]]
    ) -> None:
        """Commit points with their receipts, and merge ``minutes`` into the aggregates, atomically.

        ``minutes`` are by batch number. Those of a batch, if any, must include exactly the points
        of ``blocks`` and of earlier writes that no minutes include yet. Without points and
        minutes, only check that the store is writable.
        """

    async def receipt(self, batch_no: int, key: str, since: datetime) -> Receipt | None:
        """Return the latest receipt for an idempotency key, created after ``since``.

        Receipts may be deleted 24 hours after their creation.
        """

    async def append_log(self, lines: Mapping[int, Sequence[LogLine]]) -> None:
        """Commit lines by batch number, at least one per batch, and delete all but the latest
        ``LOG_LINES`` lines of these batches.

        Stored lines with the same or higher numbers are replaced.
        """

    async def log(self, batch_no: int) -> list[LogLine]:
        """Return the latest ``LOG_LINES`` lines of the log of a batch, in order."""

    async def points(self, batch_no: int, after: int, limit: int) -> list[Point]:
        """Return at most ``limit`` committed points with ``seq > after``, in order of ``seq``."""

    async def buckets(self, batch_no: int, since: datetime, before_seq: int) -> list[Bucket]:
        """Return the buckets of points with ``ts >= since`` and ``seq < before_seq``.

        They are in order of time, then run. Points of runs that ended before ``since`` are
        excluded; they can have later times if the clock was set back.
        """

    async def minutes(self, batch_no: int, window: Window) -> list[MinuteAggregate]:
        """Return the stored aggregates of a window, oldest first."""

    async def stored_minutes(self, start: datetime) -> StoredMinutes:
        """Return all aggregates since a minute, and the counters of all batches, from one
        consistent read."""

    async def archivable_spans(self, before: datetime, oldest_before: datetime) -> list[Span]:
        """Return the spans of points older than ``before``, one for each batch with a point older
        than ``oldest_before``.

        A span ends before the first newer point of its batch. Completes or undoes an interrupted
        move first.
        """

    async def move_to_archive(self, span: Span) -> int:
        """Move committed points to the archive. Returns their number."""

    async def delete(self, batch_no: int) -> None:
        """Delete an ended batch with all its data, atomically. No effect if it does not exist.

        Its points and minutes occupy space until ``remove_deleted_points``.
        """

    async def remove_deleted_points(self) -> None:
        """Remove the points and minutes of all deleted batches from the store.

        This is done in parts, so that other writes do not wait for long.
        """

    async def download(
        self, file_format: FileFormat, selection: Selection, unit: str = ""
    ) -> Download:
        """Return the selected points in order of ``seq``, as a file.

        Each point of the file includes the ``unit`` of its value, unless it is empty.
        """

    async def backup(self) -> Download:
        """Return a consistent snapshot of the database, as a file."""

    def stop_exports(self) -> None:
        """Abort downloads and backups in progress and reject new ones."""
