"""A store in memory whose reads and writes a test can delay or fail."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import count, islice

from solo_app.batches.errors import StoreUnavailableError
from solo_app.batches.minutes import Minutes, merge, start_of_minute
from solo_app.batches.models import (
    BUCKET_US,
    LOG_LINES,
    NO_LABELS,
    Batch,
    BatchCounter,
    Block,
    Bucket,
    Download,
    Extreme,
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
    to_microseconds,
)


class Gate:
    """Passes, fails or delays calls. ``calls`` counts all of them, ``waiting`` the delayed ones."""

    def __init__(self) -> None:
        self.calls = 0
        self.waiting = 0
        self._error: Exception | None = None
        self._open = asyncio.Event()
        self.open()

    def open(self) -> None:
        """Pass calls, including waiting ones."""
        self._error = None
        self._open.set()

    def fail(self, error: str | Exception = "No room left.") -> None:
        """Fail calls, including waiting ones. A string becomes a StoreUnavailableError."""
        self._error = StoreUnavailableError(error) if isinstance(error, str) else error
        self._open.set()

    def hold(self) -> None:
        """Delay calls until ``open`` or ``fail``."""
        self._open.clear()

    async def pass_through(self) -> None:
        self.calls += 1
        self.waiting += 1
        try:
            await self._open.wait()
        finally:
            self.waiting -= 1
        if self._error:
            raise self._error


class MemoryStorage:
    """A store in memory that keeps its data when it is closed and opened again.

    Gates: ``writes`` for points and minutes, ``log_writes`` for log lines, ``starts`` and ``ends``
    for the records of runs, ``changes`` for labels and deletions, ``reads`` for points,
    ``run_reads`` for the list of runs. It has no archive, and downloads and backups raise
    StoreUnavailableError.
    """

    def __init__(self) -> None:
        self.writes, self.starts, self.ends, self.changes = Gate(), Gate(), Gate(), Gate()
        self.reads, self.run_reads, self.log_writes = Gate(), Gate(), Gate()
        self.written: list[Block] = []
        """All committed blocks, in the order of their commits."""
        self._batches: dict[str, int] = {}
        self._numbers = count(1)
        self._labels: dict[int, Labels] = {}
        self._runs: dict[int, list[Run]] = {}
        self._blocks: dict[int, list[Block]] = {}
        self._minutes: dict[int, Minutes] = {}
        self._log_lines: dict[int, list[LogLine]] = {}
        self._receipts: dict[tuple[int, str], Receipt] = {}

    async def open(self) -> None:
        for no in self._batches.values():
            counted = sum(minute.count for minute in self._minutes.get(no, {}).values())
            rest = [_to_minute(point) for point in self._points_after(no, counted)]
            merge(self._minutes.setdefault(no, {}), rest)

    async def close(self) -> bool:
        return True

    async def batches(self) -> list[Batch]:
        return [
            Batch(no, batch_id, self._runs[no][-1], self._labels[no])
            for batch_id, no in self._batches.items()
        ]

    async def runs(self, batch_no: int, offset: int, limit: int) -> list[Run]:
        await self.run_reads.pass_through()
        return self._runs.get(batch_no, [])[::-1][offset : offset + limit]

    async def open_run(self, batch_id: str, run: Run, labels: Labels = NO_LABELS) -> Batch:
        await self.starts.pass_through()
        if batch_id not in self._batches:
            self._batches[batch_id] = next(self._numbers)
        no = self._batches[batch_id]
        self._runs.setdefault(no, []).append(run)
        self._labels[no] = labels
        return Batch(no, batch_id, run, labels)

    async def end_run(self, batch: Batch) -> None:
        await self.ends.pass_through()
        self._runs[batch.no][batch.run.number - 1] = batch.run

    async def set_labels(self, batch_no: int, labels: Labels) -> None:
        await self.changes.pass_through()
        self._labels[batch_no] = labels

    async def write(
        self, blocks: Sequence[Block], minutes: dict[int, list[MinuteAggregate]]
    ) -> None:
        await self.writes.pass_through()
        for block in blocks:
            self.written.append(block)
            self._blocks.setdefault(block.batch_no, []).append(block)
            for receipt in block.receipts:
                self._receipts[block.batch_no, receipt.key.key] = receipt
        for batch_no, parts in minutes.items():
            merge(self._minutes.setdefault(batch_no, {}), parts)

    async def append_log(self, lines: Mapping[int, Sequence[LogLine]]) -> None:
        await self.log_writes.pass_through()
        for batch_no, new in lines.items():
            stored = [x for x in self._log_lines.get(batch_no, ()) if x.number < new[0].number]
            self._log_lines[batch_no] = [*stored, *new][-LOG_LINES:]

    async def log(self, batch_no: int) -> list[LogLine]:
        return [*self._log_lines.get(batch_no, ())]

    async def receipt(self, batch_no: int, key: str, since: datetime) -> Receipt | None:
        receipt = self._receipts.get((batch_no, key))
        return receipt if receipt and receipt.created_at > since else None

    async def points(self, batch_no: int, after: int, limit: int) -> list[Point]:
        await self.reads.pass_through()
        return [*islice(self._points_after(batch_no, after), limit)]

    def _points_after(self, batch_no: int, seq: int) -> Iterator[Point]:
        for block in self._blocks.get(batch_no, ()):
            yield from block.points(seq)

    async def buckets(self, batch_no: int, since: datetime, before_seq: int) -> list[Bucket]:
        await self.reads.pass_through()
        found: dict[tuple[int, int], Bucket] = {}
        for point in self._points_after(batch_no, 0):
            run = self._find_run(batch_no, point.seq)
            if point.ts >= since and point.seq < before_seq and (run.ended_at or since) >= since:
                bucket = _bucket(point, run.number)
                known = found.get((bucket.number, run.number))
                bucket = known.merged_with(bucket) if known else bucket
                found[bucket.number, run.number] = bucket
        return [bucket for _, bucket in sorted(found.items())]

    def _find_run(self, batch_no: int, seq: int) -> Run:
        runs = [run for run in self._runs[batch_no] if run.first_seq <= seq]
        return next(run for run in runs if run.last_seq is None or seq <= run.last_seq)

    async def minutes(self, batch_no: int, window: Window) -> list[MinuteAggregate]:
        minutes = self._minutes.get(batch_no, {})
        return [minutes[m] for m in sorted(minutes) if window.start <= m < window.end]

    async def stored_minutes(self, start: datetime) -> StoredMinutes:
        counters, young = {}, {}
        for no, minutes in self._minutes.items():
            count = sum(minute.count for minute in minutes.values())
            counters[no] = BatchCounter(count, count)
            young[no] = [minute for minute in minutes.values() if minute.minute >= start]
        return StoredMinutes(counters, young)

    async def archivable_spans(self, before: datetime, oldest_before: datetime) -> list[Span]:
        return []

    async def move_to_archive(self, span: Span) -> int:
        raise StoreUnavailableError("Points in memory cannot be archived.")

    async def delete(self, batch_no: int) -> None:
        await self.changes.pass_through()
        self._batches = {name: no for name, no in self._batches.items() if no != batch_no}
        for table in (self._labels, self._runs, self._blocks, self._minutes, self._log_lines):
            table.pop(batch_no, None)
        self._receipts = {key: r for key, r in self._receipts.items() if key[0] != batch_no}

    async def remove_deleted_points(self) -> None:
        pass

    async def download(
        self, file_format: FileFormat, selection: Selection, unit: str = ""
    ) -> Download:
        raise StoreUnavailableError("Points in memory cannot be downloaded.")

    async def backup(self) -> Download:
        raise StoreUnavailableError("Points in memory have no backup.")

    def stop_exports(self) -> None:
        pass


def _to_minute(point: Point) -> MinuteAggregate:
    return MinuteAggregate(start_of_minute(point.ts), 1, point.key, point.key, point.key)


def _bucket(point: Point, run_number: int) -> Bucket:
    extreme = Extreme(point.key, point.seq, to_microseconds(point.ts))
    return Bucket(extreme.ts // BUCKET_US, run_number, 1, extreme, extreme)
