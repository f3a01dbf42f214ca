"""The overview: totals, slots and the table of batches, as the first page shows them."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from urllib.parse import parse_qs, urlencode

from solo_app.batches.live import RunningBatch, Snapshot
from solo_app.batches.model import Batch, to_microseconds
from solo_app.batches.runner import BATCH_LIMIT
from solo_app.batches.service import BatchService
from solo_app.ui import strings
from solo_app.ui.states.newest import short
from solo_app.ui.states.showing import View
from solo_app.ui.states.trend import Trend, trend_news

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


@dataclass(frozen=True, slots=True)
class Told:
    """What a tab knows of what changes all the time; on that alone depends what it is told next.

    ``second`` is the latest whose points it knows, ``trends`` are in the order of the slots.
    """

    row_count: int = -1
    rate: float = 0.0
    second: int | None = None
    trends: tuple[Trend, ...] = field(default=(), hash=False)  # As the others go, so do these.


class Overview:
    """Makes the views for one tab. Searches anew only when the registry or the choice changed."""

    def __init__(self, service: BatchService) -> None:
        self._service = service
        self._told = Told()
        self._searched: tuple[int, str] | None = None
        self._ended: list[Batch] = []

    def start_over(self) -> None:
        """Tell all lines whole again: the tab has missed something."""
        self._told = Told()

    async def view(self, snapshot: Snapshot) -> View:
        """Totals and slots; no ``tick`` when that would tell nothing new."""
        running = snapshot.totals.running
        return {
            "loaded": True,
            "running": running,
            "slots": _slots(snapshot),
            "free_name": self._service.free_name(),
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
        """What changes all the time, in one list; worked out once for all who know the same."""
        asked = ("overview", self._told)
        view, self._told = await snapshot.once(asked, partial(self._news, snapshot, self._told))
        return view

    async def _news(self, snapshot: Snapshot, told: Told) -> tuple[View, Told]:
        """The tick, none when there is nothing to tell, and what a tab knows then.

        For its order see ``HomeState``.
        """
        totals = snapshot.totals
        rate = short(round(totals.rows_per_second, 1))
        second, counts = self._counts(told.second)
        news = [
            await trend_news(self._service, snapshot, batch, trend)
            for batch, trend in _told_of_each(snapshot, told)
        ]
        trends = [trend for trend, _ in news]
        knows = Told(totals.row_count, rate, second, tuple(known for _, known in news))
        lacks: View = {"lacks": next((t.lacks for t in knows.trends if t.lacks), "")}
        same = knows.row_count == told.row_count and knows.rate == told.rate
        stayed = [t.batch_no for t in knows.trends] == [t.batch_no for t in told.trends]
        if same and stayed and not counts and not any(any(trend[1:]) for trend in trends):
            return lacks, knows
        at = to_microseconds(snapshot.at) // 1000
        return {"tick": [at, totals.row_count, rate, second, counts, trends]} | lacks, knows

    def _counts(self, after: int | None) -> tuple[int, list[int]]:
        """The second under way, and the points committed in each since ``after``, or in all."""
        second, counts = self._service.throughput
        if after is not None:
            counts = counts[max(0, len(counts) - (second - after)) :]
        return second, counts

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


def _told_of_each(snapshot: Snapshot, told: Told) -> list[tuple[Batch, Trend]]:
    """The running batches in the order of the slots, each with what the tab knows of it."""
    known = {trend.batch_no: trend for trend in told.trends}
    by_slot = sorted(snapshot.running, key=lambda running: running.slot)
    batches = [running.batch for running in by_slot]
    return [(batch, known.get(batch.no) or Trend(batch.no)) for batch in batches]


def _slots(snapshot: Snapshot) -> list[Slot]:
    slots: list[Slot] | None = snapshot.shared.get("slots")
    if slots is None:
        slots = snapshot.shared["slots"] = [Slot()] * BATCH_LIMIT
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
