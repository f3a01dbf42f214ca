"""The minutes of a batch, as a chart and as a table. Minutes without points are gaps."""

from __future__ import annotations

from typing import Any

import reflex as rx

from solo_app.ui import format as fmt
from solo_app.ui import text
from solo_app.ui.components.chart_parts import (
    CHART_TOP,
    axis_unit,
    line,
    tooltip,
    tooltip_unit,
    x_axis,
    y_axis,
)
from solo_app.ui.components.download import download
from solo_app.ui.components.timestamp import time_range, timestamp
from solo_app.ui.components.unit import column
from solo_app.ui.state.batch import BatchState, MinutesState


def minute_chart() -> rx.Component:
    """Return the card with the chart, the table and the download form."""
    return rx.el.section(
        _header(),
        rx.el.div(
            rx.cond(MinutesState.minute_count > 0, rx.fragment(_chart(), _table()), _no_minutes()),
            class_name="minutes",
        ),
        aria_label=text.PER_MINUTE,
        class_name="card minute-chart",
    )


def _header() -> rx.Component:
    return rx.el.div(
        rx.el.div(
            rx.el.h2(text.PER_MINUTE),
            rx.el.p(time_range(MinutesState.start, MinutesState.end), class_name="window"),
            rx.el.p(text.PER_MINUTE_LEGEND, class_name="legend"),
            class_name="chart-title",
        ),
        rx.el.div(
            *[_range_button(minutes, label) for minutes, label in text.RANGES.items()],
            role="group",
            aria_label=text.RANGE,
            class_name="segmented",
        ),
        download(),
        class_name="card-header",
    )


def _range_button(minutes: int, label: str) -> rx.Component:
    return rx.el.button(
        label,
        type="button",
        on_click=BatchState.show_range(minutes),  # type: ignore[operator]
        aria_pressed=BatchState.chart_range == str(minutes),
    )


def _no_minutes() -> rx.Component:
    is_first_minute = (BatchState.status == "running") & (BatchState.started >= MinutesState.end)
    remaining = fmt.number(60 - BatchState.server_time % 60)
    return rx.el.p(
        rx.cond(
            is_first_minute, text.FIRST_MINUTE_ENDS_IN.format(seconds=remaining), text.NO_POINTS
        ),
        class_name="empty",
    )


def _chart() -> rx.Component:
    chart = rx.recharts.composed_chart(
        rx.recharts.cartesian_grid(vertical=False),
        _time_axis(),
        y_axis(),
        tooltip("minuteLabel"),
        rx.recharts.area(
            data_key="range",
            name=text.CHART_RANGE,
            unit=tooltip_unit(BatchState.unit),
            type_="linear",
            fill="var(--band)",
            fill_opacity=1,
            stroke="none",
            active_dot=False,
            is_animation_active=False,
            connect_nulls=False,
        ),
        line("average", text.CHART_AVERAGE, BatchState.unit, stroke_width=1.8),
        rx.foreach(MinutesState.gaps, _gap),
        data=MinutesState.minutes,
        height=200,
        margin={"top": CHART_TOP, "right": 4, "bottom": 0, "left": 0},
        custom_attrs={"aria-label": text.MINUTE_CHART},
    )
    return rx.el.div(axis_unit(BatchState.unit), chart, class_name="chart")


def _time_axis() -> rx.Component:
    ticks = fmt.function("timeTicks").call(MinutesState.start, MinutesState.end)
    return x_axis(
        MinutesState.start,
        MinutesState.end,
        height=20,
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
        # The stylesheet hides labels of narrow gaps on phones. The label has the class, because
        # Recharts draws it outside the element of the area.
        custom_attrs={
            "label": {
                "value": text.NO_DATA,
                "className": rx.cond(share < 1 / 3, "narrow-gap", ""),
            }
        },
    )


def _table() -> rx.Component:
    shown, count = MinutesState.table.length(), MinutesState.minute_count
    caption = text.LATEST_MINUTES.format(shown=fmt.number(shown), count=fmt.number(count))
    unit = BatchState.unit
    columns = (column(text.AVERAGE, unit), column(text.MIN_MAX, unit), text.COUNT)
    return rx.el.details(
        rx.el.summary(text.SHOW_TABLE),
        rx.el.table(
            rx.cond(count > shown, rx.el.caption(caption)),
            rx.el.thead(
                rx.el.tr(
                    rx.el.th(text.MINUTE, scope="col"),
                    *[rx.el.th(name, scope="col", class_name="numeric") for name in columns],
                )
            ),
            rx.el.tbody(rx.foreach(MinutesState.table, _row)),
        ),
        class_name="minute-table",
    )


def _row(minute: Any) -> rx.Component:
    return rx.el.tr(
        rx.el.td(timestamp(minute["t"], fmt.date_time(minute["t"]))),
        rx.el.td(fmt.number(minute["average"], 2), class_name="numeric"),
        rx.el.td(fmt.value_range(minute["min"], minute["max"]), class_name="numeric"),
        rx.el.td(fmt.number(minute["count"]), class_name="numeric"),
    )
