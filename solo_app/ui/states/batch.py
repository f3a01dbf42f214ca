"""The state of the page of one batch."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import reflex as rx
from reflex.event import EventSpec

from solo_app.batches.live import Snapshot
from solo_app.ui import strings
from solo_app.ui.console import console
from solo_app.ui.states import acting
from solo_app.ui.states.home import told_started, told_stopped
from solo_app.ui.states.showing import View, keep_showing, show, show_in
from solo_app.ui.states.watch import FIRST_RUNS, MORE_RUNS, Minute, RunRow, Watch

_SPANS = {str(minutes): timedelta(minutes=minutes) for minutes in strings.SPANS}
"""What the tab may keep as its choice, and the span that it means."""

_FIRST_SPAN = timedelta(minutes=strings.FIRST_SPAN)


class MinutesState(rx.State):
    """The minutes of the batch: seldom news, much to draw, and so a state of their own.

    ``minutes`` are lists of first instant, average, lowest, highest and count.
    """

    minutes: rx.Field[list[list[float]]] = rx.field(default_factory=list)
    start: int = 0
    end: int = 0


class BatchState(rx.State):
    """What a tab on ``/batch/{id}`` shows; all of it is about the batch that ``shown`` names.

    ``kind`` is ``batch``, ``unknown`` (never was one) or ``invalid`` (can be none). ``tick`` is
    what changes all the time, in one list because names take more room than numbers: the
    moment it tells of (milliseconds), points per second, the fields of ``News`` up to ``keys``, how
    many points the minute holds, and the fields of ``Drawn`` when there is one; both their first
    times are differences to that moment.
    """

    shown: str = ""
    kind: str = ""
    why: str = ""
    title: str = strings.PRODUCT
    error: str = ""
    status: str = ""
    run_number: int = 0
    started: int = 0
    ended: int | None = None
    reason: str = ""
    source: str = ""
    tick: rx.Field[list[Any]] = rx.field(default_factory=lambda: [0, 0, 0, 1, [], [], 0])
    minute: Minute = Minute(0, 0, None, 0.0, 0, None, None)
    span: str = rx.SessionStorage(str(strings.FIRST_SPAN), name="solo-minutes")
    paused: bool = False
    runs: rx.Field[list[RunRow]] = rx.field(default_factory=list)
    earlier_runs: int = 0
    slowed_to: float = 0.0
    trouble: str = ""
    unarchived: str = ""
    lacks: str = ""
    _missed: bool = False
    _shown_runs: int = FIRST_RUNS
    _refused_at: int = -1

    @rx.event(background=True, supersedes=True)
    async def live(self) -> None:
        """Keep the page up to date for as long as the tab shows it."""
        watch = Watch(console().service, self._batch_id())

        async def view(snapshot: Snapshot) -> View:
            watch.span = _SPANS.get(str(self.span), _FIRST_SPAN)
            watch.shown_runs = self._shown_runs
            if self._missed:
                watch.start_over()
                await show(self, {"_missed": False})
            seen = await watch.view(snapshot)
            await show_in(self, MinutesState, watch.news_of_minutes())
            if acting.is_passed(self._refused_at):
                await show(self, {"error": "", "_refused_at": -1})
            return seen

        await show(self, {"error": "", "paused": False, "_shown_runs": FIRST_RUNS})
        await keep_showing(self, view)

    @rx.event(background=True, temporal=True)
    async def stop(self) -> list[EventSpec] | None:
        """Stop the batch and go back to all batches; one that ended already is as good."""
        batch_id = self._batch_id()
        error = await acting.stop(batch_id)
        failed_at = console().service.revision if error else -1
        await show(self, {"error": str(error or ""), "_refused_at": failed_at})
        return None if error else [rx.redirect("/"), told_stopped(batch_id)]

    @rx.event(background=True, temporal=True, throttle=acting.AT_ONCE)
    async def start(self) -> EventSpec | None:
        """Start the batch, for the first time or again."""
        batch_id = self._batch_id()
        error = await acting.start(batch_id)
        refused_at = console().service.revision if error else -1
        await show(self, {"error": str(error or ""), "_refused_at": refused_at})
        return None if error else told_started(batch_id)

    @rx.event
    def show_span(self, minutes: int) -> None:
        """Show so many of the last whole minutes."""
        if isinstance(minutes, int) and minutes in strings.SPANS:
            self.span = str(minutes)

    @rx.event
    def show_earlier_runs(self) -> None:
        """Show more of the runs, a hundred at a time."""
        self._shown_runs += MORE_RUNS

    @rx.event
    def pause(self, paused: bool) -> None:
        """Hold the table of newest points still, or let it go on."""
        self.paused = paused is True

    @rx.event
    def catch_up(self) -> None:
        """Tell the tab all points again that it shows: it has missed some."""
        self._missed = True

    def _batch_id(self) -> str:
        """What the address names; Reflex makes this var of the route."""
        asked = getattr(self, "id", "")
        return asked if isinstance(asked, str) else ""
