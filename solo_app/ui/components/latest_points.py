"""The table of the latest points, latest first."""

from __future__ import annotations

from typing import Any

import reflex as rx

from solo_app.ui import format as fmt
from solo_app.ui import text
from solo_app.ui.components.timestamp import timestamp
from solo_app.ui.state.batch import BatchState


def latest_points() -> rx.Component:
    """Return the card with the table."""
    return rx.el.section(
        rx.el.div(rx.el.h2(text.NEWEST_POINTS), _pause_button(), class_name="card-header"),
        rx.el.table(
            rx.el.thead(
                rx.el.tr(
                    rx.el.th("seq", scope="col", class_name="numeric"),
                    rx.el.th("Time", scope="col"),
                    rx.el.th("data.key", scope="col", class_name="numeric"),
                )
            ),
            rx.el.tbody(rx.foreach(BatchState.points, _row)),
            class_name="points",
        ),
        rx.cond(BatchState.row_count == 0, rx.el.p(text.NO_POINTS_YET, class_name="empty")),
        aria_label=text.NEWEST_POINTS,
        class_name="card table-card latest-points",
    )


def _pause_button() -> rx.Component:
    """Return the button, shown while the batch is running or the table is paused."""
    button = rx.el.button(
        rx.cond(BatchState.paused, text.GO_ON, text.PAUSE),
        type="button",
        on_click=BatchState.pause(~BatchState.paused),  # type: ignore[operator]
        class_name="button small repeatable",
    )
    return rx.cond((BatchState.status == "running") | BatchState.paused, button)


def _row(point: Any) -> rx.Component:
    return rx.el.tr(
        rx.el.td(fmt.number(point["seq"]), class_name="numeric seq"),
        rx.el.td(timestamp(point["t"], fmt.clock_ms(point["t"]))),
        rx.el.td(fmt.key(point["key"]), class_name="numeric key"),
    )
