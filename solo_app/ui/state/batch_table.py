"""The table of all batches: search, filter and pagination."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TypedDict
from urllib.parse import parse_qs, urlencode

from solo_app.batches.minutes import start_of_minute
from solo_app.batches.models import Batch, MinuteAggregate, to_microseconds
from solo_app.batches.service import BatchService
from solo_app.batches.snapshots import RunningBatch, Snapshot
from solo_app.ui import text
from solo_app.ui.state.values import Values

ROWS_PER_PAGE = 20
MAX_SEARCH_LENGTH = 64
_PAGE_DIGITS = 9
_CACHED_PAGES = 100


class Row(TypedDict):
    """A batch in the table; ``started`` is in microseconds since 1970.

    For a running batch, the slot contains the latest value and the row count, and ``hour`` the
    averages of the last 60 minutes. ``slot`` is -1 for an ended batch.
    """

    batch_id: str
    status: str
    slot: int
    unit: str
    average: float | None
    hour: list[float | None]
    row_count: int
    started: int
    reason: str


@dataclass(frozen=True)
class TableQuery:
    """The query of the table. Pages are numbered from 0."""

    search: str = ""
    status_filter: str = "all"
    page: int = 0

    @classmethod
    def parse(cls, query: str) -> TableQuery:
        """Parse the text that ``str`` returns. Invalid parts are replaced by their defaults."""
        values = {name: values[0] for name, values in parse_qs(query).items()}
        status_filter, page = values.get("status", ""), values.get("page", "")
        return cls(
            values.get("search", "")[:MAX_SEARCH_LENGTH],
            status_filter if status_filter in text.FILTERS else "all",
            int(page) if page.isdecimal() and len(page) < _PAGE_DIGITS else 0,
        )

    def __str__(self) -> str:
        values = {"search": self.search, "status": self.status_filter, "page": self.page}
        return urlencode(values)


class BatchTable:
    """The table of batches: running ones first, then ended ones, both newest first.

    Results are cached for all viewers until a batch starts or ends or a minute is complete.
    """

    def __init__(self, service: BatchService) -> None:
        self._service = service
        self._version: object = None
        self._pages: dict[TableQuery, Values] = {}

    def values(self, snapshot: Snapshot, query: TableQuery) -> Values:
        """Return the values of the requested page, or of the last one if there are fewer."""
        version = _version(snapshot)
        if version != self._version or len(self._pages) >= _CACHED_PAGES:
            self._version = version
            self._pages.clear()
        values = self._pages.get(query)
        if values is None:
            values = self._pages[query] = self._query(snapshot, query)
        return values

    def _query(self, snapshot: Snapshot, query: TableQuery) -> Values:
        search = query.search.casefold()
        running = [r for r in snapshot.running if search in r.batch.batch_id.casefold()]
        ended = self._search_ended(snapshot, query.search)
        if query.status_filter == "running":
            ended = []
        elif query.status_filter != "all":
            running = []
        if query.status_filter not in ("all", "running", "ended"):
            ended = [batch for batch in ended if batch.status == query.status_filter]
        count = len(running) + len(ended)
        page_count = max(1, -(-count // ROWS_PER_PAGE))
        page_no = min(query.page, page_count - 1)
        first, end = page_no * ROWS_PER_PAGE, (page_no + 1) * ROWS_PER_PAGE
        ended = ended[max(0, first - len(running)) : max(0, end - len(running))]
        rows = [_running_row(batch) for batch in running[first:end]]
        rows += [self._ended_row(batch) for batch in ended]
        return {"rows": rows, "match_count": count, "page_count": page_count, "page_no": page_no}

    def _search_ended(self, snapshot: Snapshot, search: str) -> list[Batch]:
        # A batch can have started or ended since the snapshot.
        running = {running.batch.no for running in snapshot.running}
        found = self._service.batches(search=search)
        return [batch for batch in found if not batch.is_running and batch.no not in running]

    def _ended_row(self, batch: Batch) -> Row:
        run = batch.run
        return {
            "batch_id": batch.batch_id,
            "status": str(run.status),
            "slot": -1,
            "unit": batch.labels.unit,
            "average": None,
            "hour": [],
            "row_count": self._service.row_count(batch),
            "started": to_microseconds(run.started_at),
            "reason": run.reason or "",
        }


def _version(snapshot: Snapshot) -> tuple[int, datetime, tuple[MinuteAggregate | None, ...]]:
    # A point may be committed shortly after the end of its minute.
    minutes = tuple(running.minute for running in snapshot.running)
    return snapshot.revision, start_of_minute(snapshot.at), minutes


def _running_row(running: RunningBatch) -> Row:
    return {
        "batch_id": running.batch.batch_id,
        "status": str(running.batch.status),
        "slot": running.slot,
        "unit": running.batch.labels.unit,
        "average": running.minute.average if running.minute else None,
        "hour": running.hour,
        "row_count": running.row_count,
        "started": to_microseconds(running.batch.run.started_at),
        "reason": "",
    }
