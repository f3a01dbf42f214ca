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

_CLASSES = ("", "wide", "n", "n wide", "wide trend", "n wide", "wide", "n act")


def batch_table() -> rx.Component:
    """The table with its search, its filter and its pages."""
    return rx.el.section(
        batch_choice(),
        rx.cond(
            HomeState.match_count > 0,
            rx.el.table(_head(), _body(), class_name="batches"),
            _nothing(),
        ),
        pager(),
        aria_label=strings.ALL_BATCHES,
        class_name="card list",
    )


def _head() -> rx.Component:
    cells = zip(strings.COLUMNS, _CLASSES, strict=True)
    return rx.el.thead(
        rx.el.tr(
            *[
                rx.el.th(name or _unseen("Stop or start"), scope="col", class_name=c)
                for name, c in cells
            ]
        )
    )


def _body() -> rx.Component:
    return rx.el.tbody(
        rx.foreach(HomeState.rows, _row),
    )


def _row(row: Any) -> rx.Component:
    cells = (
        rx.fragment(
            link(row.batch_id, to=f"/batch/{row.batch_id}", title=row.batch_id, class_name="id"),
            rx.el.span(status_pill(row.status), class_name="narrow"),
        ),
        rx.el.span(status_pill(row.status), title=row.reason),
        of_all("latestIn", row.batch_id).to(str),
        browser.number(row.average, 2),
        line(of_all("hourIn", row.batch_id)),
        of_all("rowsIn", row.batch_id, row.row_count).to(str),
        moment(row.started, browser.when(row.started)),
        _button(row),
    )
    return rx.el.tr(
        *[rx.el.td(cell, class_name=c) for cell, c in zip(cells, _CLASSES, strict=True)],
        key=row.batch_id,
    )


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
    return rx.el.p(
        rx.cond(HomeState.loaded, text, rx.el.span(class_name="bone line")), class_name="nothing"
    )


def _unseen(text: str) -> rx.Component:
    return rx.el.span(text, class_name="unseen")
