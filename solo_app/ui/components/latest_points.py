"""The table of the latest points, newest first."""

from __future__ import annotations

from typing import Any

import reflex as rx

from solo_app.ui import format as fmt
from solo_app.ui import text
from solo_app.ui.components.live_chart import no_points
from solo_app.ui.components.timestamp import timestamp
from solo_app.ui.components.unit import column
from solo_app.ui.state.batch import BatchState


def latest_points() -> rx.Component:
    seq, time, value = text.POINT_COLUMNS
    return rx.el.section(
        rx.el.div(rx.el.h2(text.LATEST_POINTS), _pause_button(), class_name="card-header"),
        rx.el.table(
            rx.el.thead(
                rx.el.tr(
                    rx.el.th(seq, scope="col", class_name="numeric"),
                    rx.el.th(time, scope="col"),
                    rx.el.th(column(value, BatchState.unit), scope="col", class_name="numeric"),
                )
            ),
            rx.el.tbody(rx.foreach(BatchState.points, _row)),
            class_name="points",
        ),
        rx.cond(BatchState.row_count == 0, no_points()),
        aria_label=text.LATEST_POINTS,
        class_name="card table-card latest-points",
    )


def _pause_button() -> rx.Component:
    """Return the button, shown while the batch is running or the table is paused."""
    button = rx.el.button(
        rx.cond(BatchState.is_paused, text.RESUME, text.PAUSE),
        type="button",
        on_click=BatchState.pause(~BatchState.is_paused),  # type: ignore[operator]
        class_name="button small repeatable",
    )
    return rx.cond((BatchState.status == "running") | BatchState.is_paused, button)


def _row(point: Any) -> rx.Component:
    return rx.el.tr(
        rx.el.td(fmt.number(point["seq"]), class_name="numeric seq"),
        rx.el.td(timestamp(point["t"], fmt.time_ms(point["t"]))),
        rx.el.td(fmt.value(point["key"]), class_name="numeric key"),
    )
