"""The minutes of a batch, as a chart and as a table. Minutes without points are gaps."""

from __future__ import annotations

from typing import Any

import reflex as rx

from solo_app.ui import format as fmt
from solo_app.ui import text
from solo_app.ui.components.chart import tooltip, x_axis, y_axis
from solo_app.ui.components.download import download
from solo_app.ui.components.timestamp import timestamp
from solo_app.ui.state.batch import BatchState, MinutesState


def minute_chart() -> rx.Component:
    """Return the card with the chart, the table and the download form."""
    return rx.el.section(
        rx.el.div(
            rx.el.div(
                rx.el.h2(text.BY_MINUTE),
                rx.el.p(
                    _time(MinutesState.start), " to ", _time(MinutesState.end), class_name="window"
                ),
                rx.el.p(text.BY_MINUTE_LEGEND, class_name="legend"),
                class_name="chart-title",
            ),
            rx.el.div(
                *[_span(minutes, label) for minutes, label in text.SPANS.items()],
                role="group",
                aria_label=text.SPAN,
                class_name="segmented",
            ),
            download(),
            class_name="card-header",
        ),
        rx.el.div(
            rx.cond(
                MinutesState.minute_count > 0,
                rx.fragment(_chart(), _table()),
                rx.el.p(text.NO_MINUTES, class_name="empty"),
            ),
            class_name="minutes",
        ),
        aria_label=text.BY_MINUTE,
        class_name="card minute-chart",
    )


def _span(minutes: int, label: str) -> rx.Component:
    return rx.el.button(
        label,
        type="button",
        on_click=BatchState.show_range(minutes),  # type: ignore[operator]
        aria_pressed=BatchState.span == str(minutes),
    )


def _time(at: Any) -> rx.Component:
    return timestamp(at, fmt.when(at))


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
        rx.foreach(MinutesState.gaps, _gap),
        data=MinutesState.minutes,
        height=200,
        margin={"top": 6, "right": 4, "bottom": 0, "left": 0},
        custom_attrs={"aria-label": text.MINUTES_DRAWN},
    )


def _time_axis() -> rx.Component:
    ticks = fmt.function("timeTicks").call(MinutesState.start, MinutesState.end)
    return x_axis(
        "t",
        hide=False,
        height=20,
        domain=[MinutesState.start, MinutesState.end],
        ticks=ticks.to(list[int]),
        interval="equidistantPreserveStart",
        axis_line=False,
        tick_line=False,
        tick_formatter=fmt.function("timeTick"),
    )


def _gap(gap: Any) -> rx.Component:
    share = (gap["end"] - gap["start"]) / (MinutesState.end - MinutesState.start)
    return rx.recharts.reference_area(
        x1=gap["start"],
        x2=gap["end"],
        fill="none",
        # On a phone, only a third of the chart has room for the label. The label has the class,
        # because Recharts draws it outside the element of the area.
        custom_attrs={
            "label": {
                "value": text.NO_POINTS,
                "className": rx.cond(share < 1 / 3, "narrow-gap", ""),
            }
        },
    )


def _table() -> rx.Component:
    the_latest, of, minutes = text.LATEST_MINUTES
    shown, count = MinutesState.table.length(), MinutesState.minute_count
    return rx.el.details(
        rx.el.summary(text.AS_TABLE),
        rx.el.table(
            rx.cond(
                count > shown,
                rx.el.caption(the_latest, shown, of, fmt.number(count), minutes),
            ),
            rx.el.thead(
                rx.el.tr(
                    rx.el.th(text.MINUTE, scope="col"),
                    rx.el.th(text.AVERAGE, scope="col", class_name="numeric"),
                    rx.el.th(text.LOWEST_HIGHEST, scope="col", class_name="numeric"),
                    rx.el.th(text.COUNT, scope="col", class_name="numeric"),
                )
            ),
            rx.el.tbody(rx.foreach(MinutesState.table, _row)),
        ),
        class_name="minute-table",
    )


def _row(minute: Any) -> rx.Component:
    return rx.el.tr(
        rx.el.td(timestamp(minute["t"], fmt.when(minute["t"]))),
        rx.el.td(fmt.number(minute["average"], 2), class_name="numeric"),
        rx.el.td(fmt.key(minute["min"]), " to ", fmt.key(minute["max"]), class_name="numeric"),
        rx.el.td(fmt.number(minute["count"]), class_name="numeric"),
    )
