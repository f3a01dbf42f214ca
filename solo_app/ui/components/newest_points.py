"""The newest points, one to a row, the latest first."""

from __future__ import annotations

from typing import Any

import reflex as rx

from solo_app.ui import browser, strings
from solo_app.ui.components.moment import moment
from solo_app.ui.components.ticks import of_batch
from solo_app.ui.states.batch import BatchState


def newest_points() -> rx.Component:
    """The card with the table."""
    rows = of_batch("newest", BatchState.paused).to(list[list[float]])
    return rx.el.section(
        rx.el.div(rx.el.h2(strings.NEWEST_POINTS), _pause(), class_name="top"),
        rx.el.table(
            rx.el.thead(
                rx.el.tr(
                    rx.el.th("seq", scope="col", class_name="n"),
                    rx.el.th("Time", scope="col"),
                    rx.el.th("data.key", scope="col", class_name="n"),
                )
            ),
            rx.el.tbody(rx.foreach(rows, _row)),
            class_name="points",
        ),
        rx.cond(of_batch("rowsOf") == 0, rx.el.p(strings.NO_POINTS_YET, class_name="nothing")),
        aria_label=strings.NEWEST_POINTS,
        class_name="card list newest",
    )


def _pause() -> rx.Component:
    """Offered while points may come; who has paused before the end is let go on."""
    button = rx.el.button(
        rx.cond(BatchState.paused, strings.GO_ON, strings.PAUSE),
        type="button",
        on_click=BatchState.pause(~BatchState.paused),  # type: ignore[operator]
        class_name="button small again",
    )
    may_come = BatchState.ended == None  # noqa: E711 (a var)
    return rx.cond(may_come | BatchState.paused, button)


def _row(point: Any) -> rx.Component:
    return rx.el.tr(
        rx.el.td(browser.number(point[0]), class_name="n seq"),
        rx.el.td(moment(point[1], browser.clock_ms(point[1]))),
        rx.el.td(browser.key(point[2]), class_name="n key"),
    )
