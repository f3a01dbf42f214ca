"""The overview: totals, slots and the table of batches, as the first page shows them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from solo_app.batches.live import RunningBatch, Snapshot
from solo_app.batches.model import MINUTE, Batch, Window, to_microseconds
from solo_app.batches.rollup import whole_minute
from solo_app.batches.service import BatchService
from solo_app.ui import strings
from solo_app.ui.states.showing import View

ROWS_PER_PAGE = 20
SPARK_POINTS = 40
_LINE = timedelta(hours=1)


@dataclass(frozen=True)
class Slot:
    """A running batch in its slot; ``line`` are its newest numbers, the latest last."""

    batch_id: str
    latest: float | None
    line: list[float]


@dataclass(frozen=True)
class Row:
    """A batch in the table; ``started`` in microseconds."""

    batch_id: str
    status: str
    latest: float | None
    average: float | None
    row_count: int
    started: int


@dataclass(frozen=True)
class Choice:
    """What of the table somebody wants to see; pages count from 0."""

    search: str = ""
    which: str = "all"
    page: int = 0


class Overview:
    """Makes the views. Searches anew only when the registry or the choice changed."""

    def __init__(self, service: BatchService) -> None:
        self._service = service
        self._searched: tuple[int, str] | None = None
        self._ended: list[Batch] = []
        self._named_at = -1
        self._name = ""

    async def view(self, snapshot: Snapshot) -> View:
        """Totals and slots."""
        totals = snapshot.totals
        return {
            "loaded": True,
            "row_count": totals.row_count,
            "rows_per_second": round(totals.rows_per_second, 1),
            "running": totals.running,
            "slots": [await self._slot(running) for running in snapshot.running],
            "throughput": self._service.throughput,
            "lines": {r.batch.batch_id: self._line(r.batch, snapshot.at) for r in snapshot.running},
            "free_name": self._free_name(),
            "title": strings.home_title(totals.running),
        }

    def table(self, snapshot: Snapshot, choice: Choice) -> View:
        """One page of the table: running batches first, then those that ended, newest first."""
        wanted = choice.search.casefold()
        running = [r for r in snapshot.running if wanted in r.batch.batch_id.casefold()]
        ended = self._search(choice.search)
        if choice.which == "running":
            ended = []
        elif choice.which == "ended":
            running = []
        count = len(running) + len(ended)
        pages = max(1, -(-count // ROWS_PER_PAGE))
        page = min(choice.page, pages - 1)
        first, end = page * ROWS_PER_PAGE, (page + 1) * ROWS_PER_PAGE
        ended = ended[max(0, first - len(running)) : max(0, end - len(running))]
        return {
            "running_rows": [_running_row(r) for r in running[first:end]],
            "ended_rows": [self._ended_row(batch) for batch in ended],
            "match_count": count,
            "page_count": pages,
            "page_no": page,
        }

    def _line(self, batch: Batch, at: datetime) -> list[float | None]:
        """The averages of the last whole hour by minute; none where there are no points."""
        end = whole_minute(at)
        minutes = self._service.recent_minutes(batch, Window(end - _LINE, end))
        averages = {minute.minute: round(minute.average, 2) for minute in minutes}
        return [averages.get(end - _LINE + n * MINUTE) for n in range(_LINE // MINUTE)]

    def _free_name(self) -> str:
        if self._named_at != self._service.revision:
            self._named_at = self._service.revision
            self._name = self._service.free_name()
        return self._name

    async def _slot(self, running: RunningBatch) -> Slot:
        batch_id = running.batch.batch_id
        points = await self._service.newest_points(batch_id, SPARK_POINTS)
        latest = running.latest.key if running.latest else None
        return Slot(batch_id, latest, [point.key for point in points])

    def _search(self, text: str) -> list[Batch]:
        asked = (self._service.revision, text)
        if asked != self._searched:
            self._ended = [b for b in self._service.batches(search=text) if not b.is_running]
            self._searched = asked
        return self._ended

    def _ended_row(self, batch: Batch) -> Row:
        rows = self._service.row_count(batch)
        started = to_microseconds(batch.run.started_at)
        return Row(batch.batch_id, batch.status, None, None, rows, started)


def _running_row(running: RunningBatch) -> Row:
    return Row(
        running.batch.batch_id,
        running.batch.status,
        running.latest.key if running.latest else None,
        running.minute.average if running.minute else None,
        running.row_count,
        to_microseconds(running.batch.run.started_at),
    )
