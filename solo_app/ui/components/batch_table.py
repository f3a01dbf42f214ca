"""The table of batches: running first, then those that ended, a page at a time."""

from __future__ import annotations

from typing import Any

import reflex as rx
from reflex_components_core.react_router import link

from solo_app.ui import browser, strings
from solo_app.ui.components.batch_choice import batch_choice, pager
from solo_app.ui.components.line import line
from solo_app.ui.components.moment import moment
from solo_app.ui.components.status_pill import status_pill
from solo_app.ui.components.ticks import of_all
from solo_app.ui.states.home import HomeState

_CLASSES = ("name", "state", "n last", "n average", "trend", "n rows", "since", "n act")
_BONES = 6


def batch_table() -> rx.Component:
    """The table with its search, its filter and its pages."""
    return rx.el.section(
        batch_choice(),
        rx.cond(
            HomeState.match_count > 0,
            _table([rx.foreach(HomeState.rows, _row)]),
            rx.cond(HomeState.loaded, _nothing(), _table([_bone_row() for _ in range(_BONES)])),
        ),
        pager(),
        aria_label=strings.ALL_BATCHES,
        class_name="card list",
    )


def _table(rows: list[rx.Component]) -> rx.Component:
    """On a phone its rows are cards; the roles keep it a table for whoever hears it."""
    body = rx.el.tbody(*rows, role="rowgroup")
    return rx.el.table(_head(), body, role="table", class_name="batches")


def _head() -> rx.Component:
    cells = zip(strings.COLUMNS, _CLASSES, strict=True)
    return rx.el.thead(
        rx.el.tr(
            *[
                rx.el.th(
                    name or _unseen("Stop or start"), scope="col", role="columnheader", class_name=c
                )
                for name, c in cells
            ],
            role="row",
        ),
        role="rowgroup",
    )


def _bone_row() -> rx.Component:
    bone = rx.el.span(class_name="bone line")
    return _cells(*[bone for _ in _CLASSES], class_name="going")


def _row(row: Any) -> rx.Component:
    return _cells(
        link(row.batch_id, to=f"/batch/{row.batch_id}", title=row.batch_id, class_name="id"),
        rx.fragment(
            status_pill(row.status),
            rx.cond(row.reason != "", rx.el.p(row.reason, title=row.reason, class_name="why")),
        ),
        of_all("latestIn", row.batch_id).to(str),
        rx.fragment(_label(strings.AVERAGE_OF), browser.number(row.average, 2)),
        line(of_all("hourIn", row.batch_id)),
        rx.fragment(
            of_all("rowsIn", row.batch_id, row.row_count).to(str),
            _label(rx.cond(row.row_count == 1, strings.ROW_OF, strings.ROWS_OF)),
        ),
        rx.fragment(_label(strings.SINCE), moment(row.started, browser.when(row.started))),
        _button(row),
        class_name=rx.cond(row.status == "running", "going", "ended"),
        key=row.batch_id,
    )


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
    """What a figure is, where no column's head says it."""
    return rx.el.span(text, class_name="label")


def _button(row: Any) -> rx.Component:
    """One button for both, so that whoever pressed it by key has not lost it then."""
    is_running = row.status == "running"
    word = rx.cond(is_running, strings.STOP, strings.START_AGAIN)
    return rx.el.button(
        word,
        type="button",
        on_click=rx.cond(
            is_running,
            HomeState.stop(row.batch_id),  # type: ignore[misc]
            HomeState.start_again(row.batch_id),  # type: ignore[misc]
        ),
        aria_label=f"{word}: {row.batch_id}",
        class_name="button small",
    )


def _nothing() -> rx.Component:
    text = rx.cond(
        (HomeState.search == "") & (HomeState.which == "all"),
        strings.NO_BATCHES,
        strings.NO_MATCHES,
    )
    return rx.el.p(text, class_name="nothing")


def _unseen(text: str) -> rx.Component:
    return rx.el.span(text, class_name="unseen")
