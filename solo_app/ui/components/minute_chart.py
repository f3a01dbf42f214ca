"""The last minutes, as a chart and as a table; a minute without points is a gap."""

from __future__ import annotations

from typing import Any

import reflex as rx

from solo_app.ui import browser, strings
from solo_app.ui.components.chart import later, tooltip, x_axis, y_axis
from solo_app.ui.components.disclosure import disclosure
from solo_app.ui.components.download import download
from solo_app.ui.components.moment import moment
from solo_app.ui.state.batch import BatchState, MinutesState

ROWS = 60
"""How many minutes the table tells of: the latest."""


def minute_chart() -> rx.Component:
    """The card."""
    return rx.el.section(
        rx.el.div(
            rx.el.div(
                rx.el.h2(strings.BY_MINUTE),
                rx.el.p(
                    _end(MinutesState.start), " to ", _end(MinutesState.end), class_name="window"
                ),
                rx.el.p(strings.BY_MINUTE_LEGEND, class_name="legend"),
                class_name="about",
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
        rx.el.div(
            rx.cond(
                MinutesState.minutes.length() > 0,
                later(_chart(), _table()),
                rx.el.p(strings.NO_MINUTES, class_name="nothing"),
            ),
            class_name="minutes",
        ),
        aria_label=strings.BY_MINUTE,
        class_name="card by-minute",
    )


def _span(minutes: int, word: str) -> rx.Component:
    return rx.el.button(
        word,
        type="button",
        on_click=BatchState.show_span(minutes),  # type: ignore[operator]
        aria_pressed=BatchState.span == str(minutes),
    )


def _end(at: Any) -> rx.Component:
    return moment(at, browser.when(at))


def _chart() -> rx.Component:
    return rx.recharts.composed_chart(
        rx.recharts.cartesian_grid(vertical=False),
        _time_axis(),
        y_axis(),
        tooltip("minuteTime"),
        rx.recharts.area(
            data_key="range",
            name="lowest to highest",
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
        rx.foreach(_of_minutes("wideGaps").to(list[list[int]]), _gap),
        data=_of_minutes("byMinute").to(list[dict[str, float]]),
        height=200,
        margin={"top": 6, "right": 4, "bottom": 0, "left": 0},
        custom_attrs={"aria-label": strings.MINUTES_DRAWN},
    )


def _time_axis() -> rx.Component:
    ticks = browser.function("timeTicks").call(MinutesState.start, MinutesState.end)
    return x_axis(
        "t",
        hide=False,
        height=20,
        domain=[MinutesState.start, MinutesState.end],
        ticks=ticks.to(list[int]),
        interval="preserveEnd",
        axis_line=False,
        tick_line=False,
        tick_formatter=browser.function("timeTick"),
    )


def _gap(gap: Any) -> rx.Component:
    return rx.recharts.reference_area(
        x1=gap[0],
        x2=gap[1],
        fill="none",
        custom_attrs={"label": strings.NO_POINTS},
    )


def _of_minutes(name: str) -> rx.Var[Any]:
    """What a function of the browser makes of the minutes and the window that they are in."""
    return browser.function(name).call(MinutesState.minutes, MinutesState.start, MinutesState.end)


def _table() -> rx.Component:
    count = MinutesState.minutes.length()
    the_latest, of, minutes = strings.LATEST_MINUTES
    return disclosure(
        strings.AS_TABLE,
        rx.el.table(
            rx.cond(
                count > ROWS,
                rx.el.caption(the_latest, str(ROWS), of, browser.number(count), minutes),
            ),
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
