"""The latest value, large, and the line of the last minute that leads to it."""

from __future__ import annotations

from typing import Any

import reflex as rx

from solo_app.ui import browser, strings
from solo_app.ui.components.chart import tooltip, x_axis, y_axis
from solo_app.ui.components.moment import moment
from solo_app.ui.components.ticks import catch_up, of_batch
from solo_app.ui.states.batch import BatchState


def live_chart() -> rx.Component:
    """The card with both; it says how many points the minute holds."""
    return rx.el.section(
        rx.el.div(
            rx.el.div(
                rx.el.h2(strings.LATEST),
                rx.el.p(of_batch("latestOf").to(str), class_name="latest"),
            ),
            rx.cond(
                of_batch("rowsOf").to(int) > 0,
                rx.el.p(of_batch("covered", _is_running()).to(str), class_name="covered"),
            ),
            class_name="top",
        ),
        rx.cond(
            of_batch("rowsOf").to(int) > 0,
            _line(),
            rx.el.p(strings.NO_POINTS_YET, class_name="nothing"),
        ),
        catch_up(of_batch("missedOf"), BatchState.catch_up),
        aria_label=strings.LATEST,
        class_name="card live-chart",
    )


def _line() -> rx.Component:
    """It ends now, or when the batch ended, and begins a minute before."""
    start, end = of_batch("minuteStart").to(int), of_batch("minuteEnd").to(int)
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
            data=of_batch("series").to(list[dict[str, float]]),
            height=200,
            margin={"top": 6, "right": 4, "bottom": 6, "left": 0},
            custom_attrs={"aria-label": strings.POINTS_DRAWN},
        ),
        rx.el.div(
            moment(start, browser.clock(start)),
            # While the server is not heard, what was now is a time of the past.
            rx.cond(_is_running(), rx.el.span(strings.NOW, class_name="end now")),
            rx.el.span(moment(end, browser.clock(end)), class_name="end"),
            class_name="ends",
        ),
    )


def _is_running() -> Any:
    return BatchState.status == "running"
