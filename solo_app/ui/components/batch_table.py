"""The paginated table of batches: running ones first, then ended ones."""

from __future__ import annotations

from typing import Any

import reflex as rx

from solo_app.ui import format as fmt
from solo_app.ui import text
from solo_app.ui.components.sparkline import sparkline
from solo_app.ui.components.status_pill import retrying_pill, status_pill
from solo_app.ui.components.table_filters import SEARCH_FIELD, pager, table_filters
from solo_app.ui.components.timestamp import timestamp
from solo_app.ui.components.unit import value_with_unit
from solo_app.ui.state.home import HomeState

_CLASSES = (
    "name",
    "status",
    "numeric latest",
    "numeric average",
    "trend",
    "numeric rows",
    "started",
    "numeric action",
)
_SKELETON_ROWS = 6


def batch_table() -> rx.Component:
    """Return the table with its search, filters and pagination."""
    return rx.el.section(
        table_filters(),
        rx.cond(
            HomeState.match_count > 0,
            _table([rx.foreach(HomeState.rows, _row)]),
            rx.cond(HomeState.is_loaded, _empty_message(), _skeleton()),
        ),
        pager(),
        aria_label=text.ALL_BATCHES,
        class_name="card table-card",
    )


def _table(rows: list[rx.Component]) -> rx.Component:
    """Return a table. On phones its rows are cards; roles keep it a table for screen readers."""
    body = rx.el.tbody(*rows, role="rowgroup")
    return rx.el.table(_head(), body, role="table", class_name="batches")


def _head() -> rx.Component:
    action = rx.el.span(text.ACTION, class_name="visually-hidden")
    return rx.el.thead(
        rx.el.tr(
            *[
                rx.el.th(name, scope="col", role="columnheader", class_name=class_name)
                for name, class_name in zip([*text.COLUMNS, action], _CLASSES, strict=True)
            ],
            role="row",
        ),
        role="rowgroup",
    )


def _skeleton() -> rx.Component:
    placeholder = rx.el.span(class_name="skeleton text")
    row = _cells(*[placeholder for _ in _CLASSES], class_name="running")
    return _table([row for _ in range(_SKELETON_ROWS)])


def _row(row: Any) -> rx.Component:
    batch_id, reason, row_count = row["batch_id"], row["reason"], _row_count(row)
    latest = rx.cond(_is_running(row), _slot(row)["latest"], None)
    return _cells(
        rx.el.a(batch_id, href=f"/batch/{batch_id}", title=batch_id, class_name="id"),
        rx.fragment(
            _status(row),
            rx.cond(reason != "", rx.el.p(reason, title=reason, class_name="reason")),
        ),
        value_with_unit(latest, row["unit"]),
        rx.fragment(
            _label(text.AVERAGE_LABEL),
            value_with_unit(row["average"], row["unit"], fmt.number(row["average"], 2)),
        ),
        sparkline(row["hour"]),
        rx.fragment(
            fmt.number(row_count),
            _label(rx.cond(row_count == 1, " row", " rows")),
        ),
        rx.fragment(
            _label(text.STARTED_LABEL), timestamp(row["started"], fmt.date_time(row["started"]))
        ),
        _button(row),
        class_name=rx.cond(_is_running(row), "running", "ended"),
        key=batch_id,
    )


def _status(row: Any) -> rx.Component:
    is_retrying = rx.cond(_is_running(row), _slot(row)["is_retrying"], False)
    return rx.cond(is_retrying, retrying_pill(), status_pill(row["status"]))


def _is_running(row: Any) -> Any:
    return row["status"] == "running"


def _slot(row: Any) -> Any:
    """Return the slot that has the live data of a running batch."""
    return HomeState.slots[row["slot"]]


def _row_count(row: Any) -> Any:
    return rx.cond(_is_running(row), _slot(row)["row_count"], row["row_count"])


def _cells(*cells: Any, **row: Any) -> rx.Component:
    return rx.el.tr(
        *[
            rx.el.td(cell, role="cell", class_name=c)
            for cell, c in zip(cells, _CLASSES, strict=True)
        ],
        role="row",
        **row,
    )


def _label(text: Any) -> rx.Component:
    """Return the name of a value, for layouts in which the table header is hidden."""
    return rx.el.span(text, class_name="cell-label")


def _button(row: Any) -> rx.Component:
    """Return one button for both actions, so that it keeps the keyboard focus."""
    batch_id, is_running = row["batch_id"], _is_running(row)
    label = rx.cond(is_running, text.STOP, text.START_AGAIN)
    return rx.el.button(
        label,
        type="button",
        on_click=rx.cond(
            is_running,
            HomeState.stop(batch_id),  # type: ignore[misc]
            HomeState.start_again(batch_id),  # type: ignore[misc]
        ),
        aria_label=f"{label}: {batch_id}",
        class_name="button small",
    )


def _empty_message() -> rx.Component:
    clear = rx.el.button(
        text.CLEAR_FILTERS,
        type="button",
        on_click=[HomeState.clear_filters, rx.set_focus(SEARCH_FIELD)],
        class_name="link",
    )
    message = rx.cond(
        (HomeState.search == "") & (HomeState.status_filter == "all"),
        text.NO_BATCHES,
        rx.fragment(text.NO_MATCHES, " · ", clear),
    )
    return rx.el.p(message, class_name="empty")
