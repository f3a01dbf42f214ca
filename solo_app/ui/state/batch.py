"""The state of the batch page."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import reflex as rx
from reflex.event import EventSpec

from solo_app.batches.errors import SoloError, StoreUnavailableError
from solo_app.ui import text
from solo_app.ui.state import actions
from solo_app.ui.state.batch_view import (
    FIRST_RUNS,
    MORE_RUNS,
    BatchValues,
    BatchView,
    PointRow,
    RunRow,
    ViewOptions,
)
from solo_app.ui.state.home import started_toast, stopped_toast
from solo_app.ui.state.live_updates import app_status
from solo_app.ui.state.log_view import FIRST_LINES, LogRow
from solo_app.ui.state.minutes_view import ChartMinute, Gap, Minute, MinuteRow
from solo_app.ui.state.source_view import ParameterRow
from solo_app.ui.state.values import Values, assign, assign_changed

_RANGES = {str(minutes): timedelta(minutes=minutes) for minutes in text.RANGES}
_DEFAULT_RANGE = timedelta(minutes=text.DEFAULT_RANGE)


class MinutesState(rx.State):
    """The chart and the table of minutes.

    A separate state, so that the browser redraws them only when a minute is complete.
    """

    minutes: rx.Field[list[ChartMinute]] = rx.field(default_factory=list)
    table: rx.Field[list[MinuteRow]] = rx.field(default_factory=list)
    minute_count: int = 0
    gaps: rx.Field[list[Gap]] = rx.field(default_factory=list)
    start: int = 0
    end: int = 0


class LogState(rx.State):
    """The log of the batch.

    A separate state, so that the browser redraws it only when it has new lines. ``rows`` are the
    latest lines of the current filter, ``earlier_lines`` is the number of its other lines.
    ``is_cut`` is whether older lines have been deleted.
    """

    rows: rx.Field[list[LogRow]] = rx.field(default_factory=list)
    line_count: int = 0
    error_count: int = 0
    earlier_lines: int = 0
    is_cut: bool = False


class BatchState(actions.ActionState, rx.State):
    """The batch page in one tab. All values belong to the batch ``batch_id``.

    ``kind`` is ``batch``, ``unknown`` (no batch has this id) or ``invalid`` (no batch can have
    it). The chart and ``points_in_minute`` cover the minute before ``chart_end``, see ``Chart``.
    ``retry_attempt`` is the number of the current or next restart of the source, which starts in
    ``retry_seconds``; 0 if there is none. ``edited`` is the label that the viewer is editing,
    ``closed_editor`` the previous one; both can be empty. All times are in microseconds since 1970.
    """

    batch_id: str = ""
    kind: str = ""
    invalid_reason: str = ""
    title: str = text.PRODUCT
    status: str = ""
    unit: str = ""
    description: str = ""
    source: str = ""
    parameters: rx.Field[list[ParameterRow]] = rx.field(default_factory=list)
    restart: str = ""
    retry_attempt: int = 0
    retry_seconds: int = 0
    retry_error: str = ""
    run_number: int = 0
    started: int = 0
    ended: int | None = None
    reason: str = ""
    latest: float | None = None
    row_count: int = 0
    rows_per_second: float = 0.0
    chart_offsets: rx.Field[list[int]] = rx.field(default_factory=list)
    chart_keys: rx.Field[list[float | None]] = rx.field(default_factory=list)
    points_in_minute: int = 0
    chart_end: int = 0
    points: rx.Field[list[PointRow]] = rx.field(default_factory=list)
    is_paused: bool = False
    minute: Minute = Minute(0, 0)
    chart_range: str = rx.SessionStorage(str(text.DEFAULT_RANGE), name="solo-minutes")
    runs: rx.Field[list[RunRow]] = rx.field(default_factory=list)
    earlier_runs: int = 0
    only_errors: bool = False
    edited: str = ""
    closed_editor: str = ""
    label_error: str = ""
    is_deleting: bool = False
    _shown_runs: int = FIRST_RUNS
    _shown_lines: int | None = FIRST_LINES

    @rx.event(background=True, supersedes=True)
    async def stream_updates(self) -> None:
        """Update the page until the tab closes or navigates to another page."""
        batch_id = self._route_id()
        view = BatchView(self.console.service, batch_id)
        async with self:
            self.is_paused, self.only_errors = False, False
            self.edited = self.closed_editor = self.label_error = ""
            self._shown_runs, self._shown_lines = FIRST_RUNS, FIRST_LINES
            self._show_error(None)
            if self.batch_id != batch_id:
                self.title, self.status = text.PRODUCT, ""
        shown = BatchValues({})
        async for snapshot in self.console.subscribe():
            try:
                updated = await view.values(snapshot, self._options())
            except StoreUnavailableError as error:
                updated = BatchValues({**app_status(snapshot), "read_error": str(error)})
            async with self:
                if not self.server_time:  # Reflex has evicted the state and created a new one.
                    shown = BatchValues({})
                values = self._without_paused(updated.batch)
                assign_changed(self, values, shown.batch)
                if updated.minutes != shown.minutes:
                    assign(await self.get_state(MinutesState), updated.minutes)
                if updated.log != shown.log:
                    assign(await self.get_state(LogState), updated.log)
                self._expire_error(snapshot)
            shown = BatchValues(values, updated.minutes, updated.log)

    @rx.event(background=True, temporal=True)
    async def stop(self) -> list[EventSpec]:
        """Stop the batch and redirect to the home page, even if the batch has already ended."""
        batch_id = self._route_id()
        error = await self._stop(batch_id)
        async with self:
            is_open = self._route_id() == batch_id
            errors = self._report(error, batch_id)
        if error:
            return errors
        return [rx.redirect("/"), stopped_toast(batch_id)] if is_open else [stopped_toast(batch_id)]

    @rx.event(background=True, temporal=True, throttle=actions.DOUBLE_CLICK)
    async def start(self) -> list[EventSpec]:
        """Start the batch, for the first time or again."""
        batch_id = self._route_id()
        error = await self._start(batch_id)
        async with self:
            errors = self._report(error, batch_id)
        return errors if error else [started_toast(batch_id)]

    @rx.event(background=True, temporal=True)
    async def delete(self) -> list[EventSpec]:
        """Delete the batch, which must have ended, and redirect to the home page."""
        batch_id = self._route_id()
        async with self:
            self.is_deleting = True
        error = await self._delete(batch_id)
        async with self:
            self.is_deleting = False
            is_open = self._route_id() == batch_id
            errors = self._report(error, batch_id)
        if error:
            return errors
        confirmation = actions.deleted_toast(batch_id)
        return [rx.redirect("/"), confirmation] if is_open else [confirmation]

    @rx.event
    def show_range(self, minutes: int) -> None:
        """Set the duration of the minute chart."""
        if isinstance(minutes, int) and minutes in text.RANGES:
            self.chart_range = str(minutes)

    @rx.event
    def show_earlier_runs(self) -> None:
        """Show up to a hundred more runs."""
        self._shown_runs += MORE_RUNS

    @rx.event
    def pause(self, paused: bool) -> None:
        """Pause or resume updates of the latest points."""
        self.is_paused = paused is True

    @rx.event
    def filter_log(self, only_errors: bool) -> None:
        """Show all lines of the log, or only errors."""
        self.only_errors = only_errors is True

    @rx.event
    def show_earlier_lines(self) -> None:
        """Show all lines of the log."""
        self._shown_lines = None

    @rx.event
    def edit_label(self, label: str) -> None:
        """Open the form of one of ``text.LABELS``."""
        if isinstance(label, str) and label in text.LABELS:
            self.edited, self.closed_editor, self.label_error = label, "", ""

    @rx.event
    def cancel_edit(self) -> None:
        self._close_editor()

    @rx.event(background=True, temporal=True)
    async def save_label(self, form: dict[str, Any]) -> None:
        """Change the label in the form."""
        batch_id = self._route_id()
        error = await self._change_labels(batch_id, form)
        async with self:
            if self._route_id() != batch_id:
                return
            self.label_error = error
            if not error:
                labels = self.console.service.batch(batch_id).labels
                self.unit, self.description = labels.unit, labels.description
                self._close_editor()

    def _close_editor(self) -> None:
        self.edited, self.closed_editor, self.label_error = "", self.edited, ""

    def _options(self) -> ViewOptions:
        chart_range = _RANGES.get(str(self.chart_range), _DEFAULT_RANGE)
        return ViewOptions(chart_range, self._shown_runs, self._shown_lines, self.only_errors)

    def _without_paused(self, values: Values) -> Values:
        return {n: v for n, v in values.items() if n != "points"} if self.is_paused else values

    def _report(self, error: SoloError | None, batch_id: str) -> list[EventSpec]:
        """Show an error on the page of its batch, or as a toast if the tab has left that page."""
        if self._route_id() == batch_id:
            self._show_error(error)
            return []
        return [actions.error_toast(error)] if error else []

    def _route_id(self) -> str:
        """Return the id in the URL. Reflex adds the var ``id`` for the dynamic route."""
        route_id = getattr(self, "id", "")
        return route_id if isinstance(route_id, str) else ""
