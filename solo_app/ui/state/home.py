"""The state of the home page: totals, slots, the form, and the table of batches."""

from __future__ import annotations

import time
from typing import Any

import reflex as rx
from reflex.event import EventSpec

from solo_app.batches.errors import (
    BatchNotFoundError,
    BatchRunningError,
    SoloError,
    StoreUnavailableError,
    UnknownSourceError,
)
from solo_app.batches.models import Batch
from solo_app.batches.snapshots import Snapshot
from solo_app.batches.source import DEFAULT_SOURCE, SourceKind
from solo_app.ui import text
from solo_app.ui.state import actions
from solo_app.ui.state.batch_table import MAX_SEARCH_LENGTH, Row, TableQuery
from solo_app.ui.state.home_view import Slot, home_values
from solo_app.ui.state.start_form import (
    NAME_FIELD,
    SOURCE_FIELD,
    fill_fields,
    first_field,
    focus_field,
    form_text,
    label_values,
    parameter_values,
    reset_form,
    split_error,
    start_options,
)
from solo_app.ui.state.values import Values, assign, assign_changed


class HomeState(actions.ActionState, rx.State):
    """The home page in one tab.

    Handlers that change data are temporal: Reflex discards their events while disconnected.
    ``throughput`` has the number of points committed in each of the last 60 seconds, newest last.
    ``saved_query`` stores the table's query in the tab, so that it survives a server restart.

    ``source`` is the selected source of the form, and ``field_errors`` has the errors of its fields
    except the name, whose error is ``error``. ``known_batch`` is the ended batch that has the name
    in the form, and ``filled`` the one whose configuration has been filled in.
    ``is_source_chosen`` is whether the viewer has chosen the source.
    """

    is_loaded: bool = False
    is_empty: bool = False
    title: str = f"{text.BATCHES} · {text.PRODUCT}"
    row_count: int = 0
    rows_per_second: float = 0.0
    running_count: int = 0
    throughput: rx.Field[list[int]] = rx.field(default_factory=list)
    slots: rx.Field[list[Slot]] = rx.field(default_factory=list)
    suggested_name: str = ""
    rows: rx.Field[list[Row]] = rx.field(default_factory=list)
    match_count: int = 0
    page_count: int = 1
    page_no: int = 0
    search: str = ""
    status_filter: str = "all"
    saved_query: str = rx.SessionStorage("", name="solo-table")
    already_running: str = ""
    source: str = DEFAULT_SOURCE
    field_errors: rx.Field[dict[str, str]] = rx.field(default_factory=dict)
    known_batch: str = ""
    known_rows: int = 0
    filled: str = ""
    is_waiting: bool = False
    is_source_chosen: bool = False
    _submitted: tuple[str, float] = ("", 0.0)

    @rx.event(background=True, supersedes=True)
    async def stream_updates(self) -> None:
        """Update the page until the tab closes or navigates to another page."""
        async with self:
            query = TableQuery.parse(self.saved_query)
            self.search, self.status_filter = query.search, query.status_filter
            self.page_no = query.page
            self._reset_form()
            self.is_waiting = False
        shown: Values = {}
        async for snapshot in self.console.subscribe():
            read_error = await self._load_earlier_runs(snapshot)
            async with self:
                # Send all values if the state was evicted or the query has changed.
                if not self.server_time or self._query() != query:
                    shown, query = {}, self._query()
                values = {**self._values(snapshot), "read_error": read_error}
                assign_changed(self, values, shown)
                self._expire_error(snapshot)
            shown = values

    @rx.event(background=True, temporal=True)
    async def start(self, form: dict[str, Any]) -> list[EventSpec]:
        """Start a batch as specified in the form, and reset the form unless this fails."""
        form = form if isinstance(form, dict) else {}
        batch_id = form_text(form, "batch_id")
        async with self:
            if self._is_repeated(batch_id):
                return []
            options = start_options(form, self.console.service.sources, self.is_source_chosen)
        error = await self._start(batch_id, **options)
        async with self:
            if error:
                self._submitted = ("", 0.0)  # The same name can be submitted again immediately.
                self.already_running = batch_id if isinstance(error, BatchRunningError) else ""
                return [self._show_errors(error, options.get("source"))]
            self._reset_form()
        return [reset_form(batch_id), started_toast(batch_id, _open_button(batch_id))]

    @rx.event(background=True, temporal=True)
    async def start_again(self, batch_id: str) -> EventSpec:
        error = await self._start(batch_id)
        if error:
            return actions.error_toast(error)
        return started_toast(batch_id, _open_button(batch_id))

    @rx.event(background=True, temporal=True)
    async def stop(self, batch_id: str) -> EventSpec:
        error = await self._stop(batch_id)
        return actions.error_toast(error) if error else stopped_toast(batch_id)

    @rx.event
    def clear_error(self) -> None:
        """Clear the error, because the viewer is editing the name."""
        self._show_error(None)

    @rx.event
    def clear_field_error(self, field: str) -> None:
        """Clear the error of another field, because the viewer is editing it."""
        self.field_errors = {f: e for f, e in self.field_errors.items() if f != field}

    @rx.event
    def choose_source(self, source: str) -> EventSpec | None:
        """Show the fields of a source."""
        kind = self.console.service.sources.get(source) if isinstance(source, str) else None
        if kind is None:
            return None
        self.is_source_chosen = True
        return self._show_source(kind)

    @rx.event
    def restore_source(self, source: str) -> None:
        """Show the fields of the source in the form, which outlives a restart of the server.

        If the source no longer exists, show the error that a start would have.
        """
        sources = self.console.service.sources
        if not isinstance(source, str) or source in ("", self.source):
            return
        self.source, self.is_source_chosen = source, True
        if source not in sources:
            self.field_errors = {"source": str(UnknownSourceError(source, sorted(sources)))}

    @rx.event
    def fold(self) -> list[EventSpec]:
        """Hide the fields of the source: return to the default, which needs none."""
        self.is_source_chosen = self.filled != ""
        default = self.console.service.sources[DEFAULT_SOURCE]
        return [self._show_source(default), rx.set_focus(SOURCE_FIELD)]

    @rx.event
    def load_configuration(self, name: str) -> EventSpec | None:
        """Fill in the latest configuration of the ended batch with this name, if there is one.

        Does not replace a source that the viewer has chosen.
        """
        batch = self._find_ended(name)
        self.known_batch, self.filled = (batch.batch_id if batch else ""), ""
        if batch is None:
            return None
        self.known_rows = self.console.service.row_count(batch)
        kind = self.console.service.sources.get(batch.run.source)
        if kind is None or self.is_source_chosen:
            return fill_fields(label_values(batch))
        self.source, self.filled, self.field_errors = kind.name, batch.batch_id, {}
        values = {**label_values(batch), **parameter_values(batch, kind)}
        return fill_fields({**values, SOURCE_FIELD: kind.name})

    @rx.event
    def wait_for_first_point(self) -> None:
        """Show a notice that the page is waiting for the first pushed point."""
        self.is_waiting = True

    @rx.event
    def search_batches(self, text: str) -> None:
        """Show only batches whose name contains a text."""
        if isinstance(text, str):
            self._show_table(TableQuery(text.strip()[:MAX_SEARCH_LENGTH], self.status_filter))

    @rx.event
    def filter_by_status(self, status_filter: str) -> None:
        """Show only batches that match one of ``text.FILTERS``."""
        if isinstance(status_filter, str) and status_filter in text.FILTERS:
            self._show_table(TableQuery(self.search, status_filter))

    @rx.event
    def clear_filters(self) -> None:
        self._show_table(TableQuery())

    @rx.event
    def show_page(self, page: int) -> None:
        if isinstance(page, int) and page >= 0:
            self._show_table(TableQuery(self.search, self.status_filter, page))

    def _show_table(self, query: TableQuery) -> None:
        """Show the result of a query immediately, without waiting for the next tick."""
        self.search, self.status_filter = query.search, query.status_filter
        self.page_no = query.page
        self.saved_query = str(query)
        assign(self, self._values(self.console.ticker.snapshot()))

    def _values(self, snapshot: Snapshot) -> Values:
        """Return the values of the page. Rows of the table refer to slots of the same snapshot."""
        return {**home_values(snapshot), **self.console.table.values(snapshot, self._query())}

    async def _load_earlier_runs(self, snapshot: Snapshot) -> str:
        """Load points of earlier runs of the running batches. Returns the error if this fails."""
        read_error = ""
        for running in snapshot.running:
            try:
                await self.console.service.load_earlier_runs(running.batch)
            except StoreUnavailableError as error:
                read_error = str(error)
        return read_error

    def _query(self) -> TableQuery:
        return TableQuery(self.search, self.status_filter, self.page_no)

    def _find_ended(self, name: object) -> Batch | None:
        try:
            batch = self.console.service.batch(name.strip() if isinstance(name, str) else "")
        except BatchNotFoundError:
            return None
        return None if batch.is_running else batch

    def _show_source(self, kind: SourceKind) -> EventSpec:
        self.source, self.field_errors = kind.name, {}
        return fill_fields({SOURCE_FIELD: kind.name, "restart": str(kind.restart)})

    def _reset_form(self) -> None:
        self._show_error(None)
        self.source, self.field_errors = DEFAULT_SOURCE, {}
        self.known_batch = self.filled = ""
        self.is_source_chosen = False

    def _show_errors(self, error: SoloError, source: str | None) -> EventSpec:
        """Show an error next to its fields, and focus the first of them."""
        kind = self.console.service.sources.get(source or "")
        self.field_errors, rest = split_error(error, kind)
        self._show_error(rest)
        return focus_field(first_field(self.field_errors, kind) if rest is None else NAME_FIELD)

    def _is_repeated(self, batch_id: str) -> bool:
        """Return whether a submission is the second of a double click."""
        now = time.monotonic()
        last_id, last_at = self._submitted
        self._submitted = (batch_id, now)
        return batch_id == last_id and now - last_at < actions.DOUBLE_CLICK / 1000


def started_toast(batch_id: str, action: actions.ToastButton | None = None) -> EventSpec:
    """Return a toast that confirms a start and offers to stop the batch."""
    undo = (text.STOP, HomeState.stop(batch_id))  # type: ignore[misc]
    return actions.success_toast(text.STARTED.format(batch_id=batch_id), undo, action)


def stopped_toast(batch_id: str) -> EventSpec:
    """Return a toast that confirms a stop and offers to start the batch again."""
    undo = (text.START_AGAIN, HomeState.start_again(batch_id))  # type: ignore[misc]
    return actions.success_toast(text.STOPPED.format(batch_id=batch_id), undo)


def _open_button(batch_id: str) -> actions.ToastButton:
    return text.OPEN, rx.redirect(f"/batch/{batch_id}")


def _clear_field(batch_id: str) -> EventSpec:
    """Clear the field unless it contains a different name. A valid id needs no escaping."""
    return rx.call_script(
        f"for (const field of document.querySelectorAll('#{NAME_FIELD}'))"
        f" if (field.value.trim() === '{batch_id}') field.value = ''"
    )
