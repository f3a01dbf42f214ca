"""The overview: totals, slots and the table of batches, as the first page shows them."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qs, urlencode

from solo_app.batches.live import RunningBatch, Snapshot
from solo_app.batches.model import Batch, to_microseconds
from solo_app.batches.service import BATCH_LIMIT, BatchService
from solo_app.ui import strings
from solo_app.ui.states.newest import short
from solo_app.ui.states.showing import View
from solo_app.ui.states.trend import Trend

ROWS_PER_PAGE = 20
LONGEST_SEARCH = 64
_PAGE_DIGITS = 9


@dataclass(frozen=True)
class Slot:
    """A slot with the batch that runs in it; ``first_seq`` is that of the run under way.

    ``batch_id`` is empty when the slot is free.
    """

    batch_id: str = ""
    first_seq: int = 1


@dataclass(frozen=True)
class Row:
    """A batch in the table; ``started`` in microseconds.

    ``row_count`` is None while the batch runs: the tick tells it. ``reason`` says why it failed.
    """

    batch_id: str
    status: str
    average: float | None
    row_count: int | None
    started: int
    reason: str


@dataclass(frozen=True)
class Choice:
    """What of the table somebody wants to see; pages count from 0."""

    search: str = ""
    which: str = "all"
    page: int = 0

    @classmethod
    def parse(cls, text: str) -> Choice:
        """A choice as ``str`` writes it; the first choice where the text makes no sense."""
        told = {name: values[0] for name, values in parse_qs(text).items()}
        which, page = told.get("which", ""), told.get("page", "")
        return cls(
            told.get("search", "")[:LONGEST_SEARCH],
            which if which in strings.FILTERS else "all",
            int(page) if page.isdecimal() and len(page) < _PAGE_DIGITS else 0,
        )

    def __str__(self) -> str:
        return urlencode({"search": self.search, "which": self.which, "page": self.page})


class Overview:
    """Makes the views for one tab. Searches anew only when the registry or the choice changed."""

    def __init__(self, service: BatchService) -> None:
        self._service = service
        self._trends: dict[int, Trend] = {}
        self._told: tuple[int, float, list[int]] | None = None
        self._second: int | None = None
        self._searched: tuple[int, str] | None = None
        self._ended: list[Batch] = []
        self._named_at = -1
        self._name = ""

    def start_over(self) -> None:
        """Tell all lines whole again: the tab has missed something."""
        self._trends = {}
        self._second = None

    async def view(self, snapshot: Snapshot) -> View:
        """Totals and slots; no ``tick`` when that would tell nothing new."""
        running = snapshot.totals.running
        return {
            "loaded": True,
            "running": running,
            "slots": _slots(snapshot),
            "free_name": self._free_name(),
            "title": strings.home_title(running),
            **await self._tick(snapshot),
        }

    def table(self, snapshot: Snapshot, choice: Choice) -> View:
        """One page of the table: running batches first, then those that ended, newest first.

        Worked out once for all who chose the same.
        """
        view: View | None = snapshot.shared.get(choice)
        if view is None:
            view = snapshot.shared[choice] = self._page(snapshot, choice)
        return view

    def _page(self, snapshot: Snapshot, choice: Choice) -> View:
        wanted = choice.search.casefold()
        running = [r for r in snapshot.running if wanted in r.batch.batch_id.casefold()]
        ended = self._search(choice.search)
        if choice.which == "running":
            ended = []
        elif choice.which != "all":
            running = []
        if choice.which not in ("all", "running", "ended"):
            ended = [batch for batch in ended if batch.status == choice.which]
        count = len(running) + len(ended)
        pages = max(1, -(-count // ROWS_PER_PAGE))
        page = min(choice.page, pages - 1)
        first, end = page * ROWS_PER_PAGE, (page + 1) * ROWS_PER_PAGE
        ended = ended[max(0, first - len(running)) : max(0, end - len(running))]
        return {
            "rows": [
                *(_running_row(r) for r in running[first:end]),
                *(self._ended_row(batch) for batch in ended),
            ],
            "match_count": count,
            "page_count": pages,
            "page_no": page,
        }

    async def _tick(self, snapshot: Snapshot) -> View:
        """What changes all the time, in one list. For its order see ``HomeState``."""
        totals = snapshot.totals
        rate = short(round(totals.rows_per_second, 1))
        counts = self._counts()
        trends = await self._tell_trends(snapshot)
        told = totals.row_count, rate, list(self._trends)
        news = counts or any(any(trend[1:]) for trend in trends)
        if told == self._told and not news:
            return {}
        self._told = told
        at = to_microseconds(snapshot.at) // 1000
        return {"tick": [at, totals.row_count, rate, self._second, counts, trends]}

    def _counts(self) -> list[int]:
        """Points committed in each second since the last time, or in all that are to be shown."""
        second, counts = self._service.throughput
        if self._second is not None:
            counts = counts[max(0, len(counts) - (second - self._second)) :]
        self._second = second
        return counts

    async def _tell_trends(self, snapshot: Snapshot) -> list[list[object]]:
        """The news of each running batch, in the order of the slots."""
        by_slot = sorted(snapshot.running, key=lambda running: running.slot)
        batches = [running.batch for running in by_slot]
        self._trends = {b.no: self._trends.get(b.no) or Trend(self._service) for b in batches}
        return [await self._trends[batch.no].news(snapshot, batch) for batch in batches]

    def _free_name(self) -> str:
        if self._named_at != self._service.revision:
            self._named_at = self._service.revision
            self._name = self._service.free_name()
        return self._name

    def _search(self, text: str) -> list[Batch]:
        asked = (self._service.revision, text)
        if asked != self._searched:
            self._ended = [b for b in self._service.batches(search=text) if not b.is_running]
            self._searched = asked
        return self._ended

    def _ended_row(self, batch: Batch) -> Row:
        rows = self._service.row_count(batch)
        run = batch.run
        started = to_microseconds(run.started_at)
        return Row(batch.batch_id, run.status, None, rows, started, run.reason or "")


def _slots(snapshot: Snapshot) -> list[Slot]:
    slots = [Slot()] * BATCH_LIMIT
    for running in snapshot.running:
        slots[running.slot] = Slot(running.batch.batch_id, running.batch.run.first_seq)
    return slots


def _running_row(running: RunningBatch) -> Row:
    return Row(
        running.batch.batch_id,
        running.batch.status,
        running.minute.average if running.minute else None,
        None,
        to_microseconds(running.batch.run.started_at),
        "",
    )
