"""The latest value and the chart of the last minute."""

from __future__ import annotations

import reflex as rx

from solo_app.ui import format as fmt
from solo_app.ui import text
from solo_app.ui.components.chart import tooltip, x_axis, y_axis
from solo_app.ui.components.timestamp import timestamp
from solo_app.ui.state.batch import BatchState

_MINUTE_US = 60_000_000


def live_chart() -> rx.Component:
    """Return the card with both, and the number of points in the minute."""
    has_points = BatchState.row_count > 0
    return rx.el.section(
        rx.el.div(
            rx.el.div(
                rx.el.h2(text.LATEST),
                rx.el.p(fmt.key(BatchState.latest), class_name="latest-value"),
            ),
            rx.cond(
                has_points & (BatchState.read_error == ""),
                rx.el.p(_points_in_minute(), class_name="point-count"),
            ),
            class_name="card-header",
        ),
        rx.cond(has_points, _chart(), rx.el.p(text.NO_POINTS_YET, class_name="empty")),
        aria_label=text.LATEST,
        class_name="card live-chart",
    )


def _points_in_minute() -> rx.Component:
    count = BatchState.points_in_minute
    return rx.fragment(
        fmt.number(count),
        rx.cond(count == 1, " point in ", " points in "),
        rx.cond(BatchState.status == "running", "the", "its"),
        " last 60\u202fs",
    )


def _chart() -> rx.Component:
    """Return the chart of the minute before now, or before the end of the batch."""
    end = BatchState.chart_end
    start = end - _MINUTE_US
    return rx.fragment(
        rx.recharts.line_chart(
            rx.recharts.cartesian_grid(vertical=False),
            x_axis("t", domain=[start, end], allow_data_overflow=True),
            y_axis(),
            tooltip("pointTime"),
            rx.recharts.line(
                data_key="key",
                name="data.key",
                type_="linear",
                stroke="var(--accent)",
                stroke_width=1.6,
                dot=False,
                active_dot={"r": 3.5, "fill": "var(--accent)", "stroke": "var(--card)"},
                is_animation_active=False,
                connect_nulls=False,
            ),
            data=fmt.chart_points(end, BatchState.chart_offsets, BatchState.chart_keys),
            height=200,
            margin={"top": 6, "right": 4, "bottom": 6, "left": 0},
            custom_attrs={"aria-label": text.POINTS_DRAWN},
        ),
        rx.el.div(
            timestamp(start, fmt.clock(start)),
            # While the connection is lost, the stylesheet shows the time instead of "now".
            rx.cond(BatchState.status == "running", rx.el.span(text.NOW, class_name="end now")),
            rx.el.span(timestamp(end, fmt.clock(end)), class_name="end"),
            class_name="time-labels",
        ),
    )
