"""The latest value and the live chart of the last minute."""

from __future__ import annotations

import reflex as rx

from solo_app.batches.models import MINUTE_US
from solo_app.ui import format as fmt
from solo_app.ui import text
from solo_app.ui.components.chart_parts import (
    CHART_TOP,
    axis_unit,
    line,
    tooltip,
    x_axis,
    y_axis,
)
from solo_app.ui.components.timestamp import timestamp
from solo_app.ui.components.unit import value_length, value_with_unit
from solo_app.ui.state.batch import BatchState


def live_chart() -> rx.Component:
    """Return the card: latest value, chart, and the number of points in the minute."""
    has_points = BatchState.row_count > 0
    count = fmt.count(BatchState.points_in_minute, "point", "points")
    return rx.el.section(
        rx.el.div(
            rx.el.div(
                rx.el.h2(text.LATEST_VALUE),
                rx.el.p(
                    value_with_unit(BatchState.latest, BatchState.unit),
                    class_name="latest-value",
                    style=value_length(BatchState.latest),
                ),
            ),
            rx.cond(
                has_points & (BatchState.read_error == ""),
                rx.el.p(text.POINTS_IN_WINDOW.format(points=count), class_name="point-count"),
            ),
            class_name="card-header",
        ),
        rx.cond(has_points, rx.fragment(_chart(), _time_labels()), no_points()),
        aria_label=text.LATEST_VALUE,
        class_name="card live-chart",
    )


def no_points() -> rx.Component:
    """Return the message of a batch that has no points."""
    is_running = BatchState.status == "running"
    return rx.el.p(rx.cond(is_running, text.WAITING_FOR_POINTS, text.NO_POINTS), class_name="empty")


def _chart() -> rx.Component:
    """Return the chart of the minute before now, or before the end of the batch."""
    end = BatchState.chart_end
    chart = rx.recharts.line_chart(
        rx.recharts.cartesian_grid(vertical=False),
        x_axis(end - MINUTE_US, end, hide=True, allow_data_overflow=True),
        y_axis(),
        tooltip("pointLabel"),
        line("key", text.VALUE, BatchState.unit, stroke_width=1.6),
        data=fmt.chart_points(end, BatchState.chart_offsets, BatchState.chart_keys),
        height=200,
        margin={"top": CHART_TOP, "right": 4, "bottom": 6, "left": 0},
        custom_attrs={"aria-label": text.LIVE_CHART},
    )
    return rx.el.div(axis_unit(BatchState.unit), chart, class_name="chart")


def _time_labels() -> rx.Component:
    end = BatchState.chart_end
    start = end - MINUTE_US
    return rx.el.div(
        timestamp(start, fmt.time(start)),
        # While the connection is lost, the stylesheet shows the time instead of "now".
        rx.cond(BatchState.status == "running", rx.el.span(text.NOW, class_name="end now")),
        rx.el.span(timestamp(end, fmt.time(end)), class_name="end"),
        class_name="time-labels",
    )
