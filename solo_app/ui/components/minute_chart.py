"""The last minutes, as a chart and as a table; a minute without points is a gap."""

from __future__ import annotations

from typing import Any

import reflex as rx

from solo_app.ui import browser, strings
from solo_app.ui.components.chart import later, tooltip, x_axis, y_axis
from solo_app.ui.components.download import download
from solo_app.ui.components.moment import moment
from solo_app.ui.states.batch import BatchState, MinutesState

ROWS = 60
"""How many minutes the table tells of: the latest."""


def minute_chart() -> rx.Component:
    """The card."""
    return rx.el.section(
        rx.el.div(
            rx.el.div(
                rx.el.h2(strings.BY_MINUTE),
                rx.el.p(strings.BY_MINUTE_LEGEND, class_name="legend"),
            ),
            rx.el.div(
                *[_span(minutes, word) for minutes, word in strings.SPANS.items()],
                role="group",
                aria_label=strings.SPAN,
                class_name="seg",
            ),
            download(),
            class_name="top",
        ),
        rx.cond(
            MinutesState.minutes.length() > 0,
            rx.el.div(later(_chart(), _table()), class_name="minutes"),
            rx.el.p(strings.NO_MINUTES, class_name="nothing"),
        ),
        aria_label=strings.BY_MINUTE,
        class_name="card",
    )


def _span(minutes: int, word: str) -> rx.Component:
    return rx.el.button(
        word,
        type="button",
        on_click=BatchState.show_span(minutes),  # type: ignore[operator]
        aria_pressed=BatchState.span == str(minutes),
    )


def _chart() -> rx.Component:
    start, end = MinutesState.start, MinutesState.end
    return rx.fragment(
        rx.recharts.composed_chart(
            rx.recharts.cartesian_grid(vertical=False),
            x_axis("t", domain=[start, end]),
            y_axis(),
            tooltip("when"),
            rx.recharts.area(
                data_key="range",
                name="range",
                type_="linear",
                fill="var(--band)",
                fill_opacity=1,
                stroke="none",
                active_dot=False,
                is_animation_active=False,
                connect_nulls=False,
            ),
            rx.recharts.line(
                data_key="average",
                name="average",
                type_="linear",
                stroke="var(--accent)",
                stroke_width=1.8,
                dot=False,
                active_dot={"r": 3.5, "fill": "var(--accent)", "stroke": "var(--card)"},
                is_animation_active=False,
                connect_nulls=False,
            ),
            data=browser.function("byMinute").call(MinutesState.minutes).to(list[dict[str, float]]),
            height=180,
            margin={"top": 6, "right": 4, "bottom": 6, "left": 0},
        ),
        rx.el.div(
            moment(start, browser.when(start)), moment(end, browser.when(end)), class_name="ends"
        ),
    )


def _table() -> rx.Component:
    return rx.el.details(
        rx.el.summary(strings.AS_TABLE),
        rx.el.table(
            rx.el.thead(
                rx.el.tr(
                    rx.el.th(strings.MINUTE, scope="col"),
                    rx.el.th(strings.AVERAGE, scope="col", class_name="n"),
                    rx.el.th(strings.LOWEST_HIGHEST, scope="col", class_name="n"),
                    rx.el.th(strings.COUNT, scope="col", class_name="n"),
                )
            ),
            rx.el.tbody(rx.foreach(MinutesState.minutes[-ROWS:].reverse(), _row)),
        ),
        class_name="as-table",
    )


def _row(minute: Any) -> rx.Component:
    return rx.el.tr(
        rx.el.td(moment(minute[0], browser.when(minute[0]))),
        rx.el.td(browser.number(minute[1], 2), class_name="n"),
        rx.el.td(browser.key(minute[2]), " to ", browser.key(minute[3]), class_name="n"),
        rx.el.td(browser.number(minute[4]), class_name="n"),
    )
