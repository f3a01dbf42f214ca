"""The watch over one batch: how it stands, its newest points, its minutes, its runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from solo_app.batches.catalog import check_batch_id
from solo_app.batches.errors import BatchNotFoundError, InvalidBatchIdError
from solo_app.batches.live import Snapshot
from solo_app.batches.minutes import last_whole_minute, whole_minute
from solo_app.batches.model import (
    MINUTE,
    Batch,
    MinuteAggregate,
    Run,
    Window,
    to_microseconds,
)
from solo_app.batches.service import BatchService
from solo_app.ui import strings
from solo_app.ui.states.line import Line, line_news
from solo_app.ui.states.newest import newest, short
from solo_app.ui.states.showing import View, microseconds

NEWEST_POINTS = 10
"""How many of the newest points a page tells one by one."""

FIRST_RUNS = 10
MORE_RUNS = 100


@dataclass(frozen=True)
class Minute:
    """The last whole minute; None where there are no points. Times in microseconds."""

    start: int
    end: int
    average: float | None
    sum: float
    count: int
    lowest: float | None
    highest: float | None


@dataclass(frozen=True)
class RunRow:
    """One run in the list of runs; ``ended`` is None while it goes on."""

    number: int
    status: str
    started: int
    ended: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class Told:
    """What a tab knows of what changes all the time; on that alone depends what it is told next.

    ``second`` is that of the last tick (since 1970), ``last_seq`` the newest point it knows,
    ``lacks`` that of ``News``.
    """

    second: int = 0
    rate: float = 0.0
    last_seq: int | None = None
    lacks: str = ""
    line: Line | None = field(default=None, hash=False)  # As the points go, so does the line.


class Watch:
    """Makes the views of one batch. Asks for minutes and runs only when they changed."""

    def __init__(self, service: BatchService, batch_id: str) -> None:
        self.batch_id = batch_id
        self.span = timedelta(minutes=strings.FIRST_SPAN)
        """How long before now the minutes are shown from."""
        self.shown_runs = FIRST_RUNS
        self._service = service
        self._run_starts: list[int] = []
        self._told = Told()
        self._asked: tuple[Batch, datetime, bool, timedelta, int] | None = None
        self._standing_of: Batch | None = None
        self._minute_of: tuple[Batch, Window, bool] | None = None
        self._minutes_of: tuple[Batch, Window, bool] | None = None
        self._runs_of: tuple[Batch, int] | None = None
        self._kept: View = {}
        self._news: View = {}

    def start_over(self) -> None:
        """Tell points and line anew: the tab has missed some."""
        self._told = Told()

    async def view(self, snapshot: Snapshot) -> View:
        """All there is to show, or why there is nothing.

        There is no ``tick`` in it when that would tell nothing new.
        """
        try:
            batch = self._service.batch(self.batch_id)
        except BatchNotFoundError as error:
            return self._absent(error)
        full = snapshot.totals.write_error is not None
        asked = (batch, whole_minute(snapshot.at), full, self.span, self.shown_runs)
        if asked != self._asked:
            self._ask_how_it_stands(batch)
            await self._ask_for_minute(batch, snapshot)
            await self._ask_for_minutes(batch, snapshot)
            await self._ask_for_runs(batch)
            self._asked = asked
        return self._kept | await self._tick(snapshot, batch)

    def _absent(self, error: BatchNotFoundError) -> View:
        try:
            check_batch_id(self.batch_id)
        except InvalidBatchIdError as invalid:
            kind, title, why = "invalid", strings.NO_SUCH_ID, str(invalid)
        else:
            kind, title, why = "unknown", strings.NEVER_WAS, str(error)
        title = f"{title} · {strings.PRODUCT}"
        return {"shown": self.batch_id, "kind": kind, "why": why, "title": title}

    async def _tick(self, snapshot: Snapshot, batch: Batch) -> View:
        """What changes all the time, in one list; worked out once for all who know the same."""
        asked = ("watch", batch, self._told)
        work = partial(self._tick_after, snapshot, batch, self._told)
        view, self._told = await snapshot.once(asked, work)
        return view

    async def _tick_after(self, snapshot: Snapshot, batch: Batch, told: Told) -> tuple[View, Told]:
        """The tick, none when there is nothing to tell, and what a tab knows then.

        For its order see ``BatchState``.
        """
        until = batch.run.ended_at or snapshot.at
        news = await newest(self._service, batch, told.last_seq, NEWEST_POINTS, told.lacks)
        starts = self._run_starts
        line, line_known = await line_news(self._service, batch, until, news, starts, told.line)
        at = to_microseconds(until) // 1000
        rate = short(round(snapshot.rate_of(batch), 1))
        knows = Told(at // 1000, rate, news.last_seq, news.lacks, line_known)
        lacks: View = {"lacks": news.lacks or line.lacks}
        same = (knows.second, knows.rate) == (told.second, told.rate)
        if same and not (news.whole or news.keys or line.drawn):
            return lacks, knows
        points: list[object] = [news.last_seq, news.whole, _from(at, news.times), news.keys]
        tick = [at, rate, *points, line.count]
        if line.drawn:
            tick += [line.drawn.after, _from(at, line.drawn.times), line.drawn.keys]
        return {"tick": tick} | lacks, knows

    def _ask_how_it_stands(self, batch: Batch) -> None:
        if batch == self._standing_of:
            return
        run = batch.run
        self._kept |= {
            "shown": self.batch_id,
            "kind": "batch",
            "title": strings.title(self.batch_id, batch.status),
            "status": str(batch.status),
            "run_number": run.number,
            "started": to_microseconds(run.started_at),
            "ended": microseconds(run.ended_at),
            "reason": run.reason or "",
            "source": run.source,
        }
        self._standing_of = batch

    async def _ask_for_minute(self, batch: Batch, snapshot: Snapshot) -> None:
        window = last_whole_minute(snapshot.at)
        asked = (batch, window, snapshot.totals.write_error is not None)
        if asked != self._minute_of:
            work = partial(self._minute, batch, window, snapshot)
            self._kept["minute"] = await snapshot.once(("minute", batch), work)
            self._minute_of = asked

    async def _minute(self, batch: Batch, window: Window, snapshot: Snapshot) -> Minute:
        found = await self._found(batch, window, snapshot)
        return _minute(window, found[0] if found else None)

    async def _ask_for_minutes(self, batch: Batch, snapshot: Snapshot) -> None:
        window = _last_minutes(self.span, batch.run, snapshot.at)
        asked = (batch, window, snapshot.totals.write_error is not None)
        if asked != self._minutes_of:
            work = partial(self._minutes, batch, window, snapshot)
            self._news = await snapshot.once(("minutes", *asked), work)
            self._minutes_of = asked

    async def _minutes(self, batch: Batch, window: Window, snapshot: Snapshot) -> View:
        minutes = await self._found(batch, window, snapshot)
        return {
            "minutes": [
                [to_microseconds(m.minute), m.average, m.min, m.max, m.count] for m in minutes
            ],
            "start": to_microseconds(window.start),
            "end": to_microseconds(window.end),
        }

    async def _found(
        self, batch: Batch, window: Window, snapshot: Snapshot
    ) -> list[MinuteAggregate]:
        """Every point counted, or those that are committed while the disk takes no others."""
        if snapshot.totals.write_error is None:
            return await self._service.minutes(self.batch_id, window)
        return await self._service.minutes_so_far(batch, window)

    def news_of_minutes(self) -> View:
        """The minutes when there are others than the last time; else nothing."""
        news, self._news = self._news, {}
        return news

    async def _ask_for_runs(self, batch: Batch) -> None:
        asked = (batch, self.shown_runs)
        if asked != self._runs_of:
            runs = await self._service.runs(self.batch_id, limit=self.shown_runs)
            # Enough for the line: it has no break between earlier runs.
            self._run_starts = sorted(run.first_seq for run in runs)
            self._kept["runs"] = [_run_row(run) for run in runs]
            self._kept["earlier_runs"] = max(0, batch.run.number - self.shown_runs)
            self._runs_of = asked


def _from(at: int, times: list[int]) -> list[int]:
    """The times with the first one counted from ``at`` (milliseconds): seven digits less."""
    return [times[0] - at * 1000, *times[1:]] if times else times


def _last_minutes(span: timedelta, run: Run, at: datetime) -> Window:
    """The last whole minutes; of a batch that ended, the last in which it ran."""
    end = whole_minute(at)
    if run.ended_at is not None:
        end = min(end, whole_minute(run.ended_at) + MINUTE)
    return Window(end - span, end)


def _minute(window: Window, minute: MinuteAggregate | None) -> Minute:
    return Minute(
        to_microseconds(window.start),
        to_microseconds(window.end),
        minute.average if minute else None,
        minute.sum if minute else 0.0,
        minute.count if minute else 0,
        minute.min if minute else None,
        minute.max if minute else None,
    )


def _run_row(run: Run) -> RunRow:
    started = to_microseconds(run.started_at)
    return RunRow(run.number, run.status, started, microseconds(run.ended_at), run.reason or "")
