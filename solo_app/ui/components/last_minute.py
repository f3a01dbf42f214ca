"""The last full minute: its window, its aggregates, and the time until the next one.

For an ended batch, it is the last minute with points.
"""

from __future__ import annotations

from typing import Any

import reflex as rx

from solo_app.ui import format as fmt
from solo_app.ui import text
from solo_app.ui.components.timestamp import time_range
from solo_app.ui.state.batch import BatchState


def last_minute() -> rx.Component:
    minute, unit = BatchState.minute, BatchState.unit
    is_running = BatchState.status == "running"
    has_data = ~is_running & (minute.count > 0)
    title = rx.cond(has_data, text.LAST_MINUTE_WITH_DATA, text.LAST_FULL_MINUTE)
    return rx.el.section(
        rx.el.h2(title),
        rx.el.p(time_range(minute.start, minute.end), class_name="window"),
        rx.el.dl(
            _fact(text.AVERAGE, fmt.with_unit(fmt.number(minute.average, 2), unit)),
            _fact(text.SUM, fmt.with_unit(fmt.value(minute.sum), unit)),
            _fact(text.COUNT, fmt.number(minute.count)),
            _fact(
                text.MIN_MAX,
                rx.cond(
                    minute.count > 0,
                    fmt.with_unit(fmt.value_range(minute.min, minute.max), unit),
                    fmt.value(None),
                ),
            ),
            class_name="facts",
        ),
        rx.cond(is_running, _next_minute()),
        aria_label=title,
        class_name="card last-minute",
    )


def _fact(name: str, value: Any) -> rx.Component:
    return rx.fragment(rx.el.dt(name), rx.el.dd(value))


def _next_minute() -> rx.Component:
    elapsed = BatchState.server_time % 60
    return rx.el.div(
        rx.el.p("Next in ", rx.el.span(fmt.number(60 - elapsed), class_name="two-digits"), " s"),
        rx.el.div(
            rx.el.i(style={"width": f"calc(100% * {elapsed} / 60)"}),
            class_name="progress",
            aria_hidden="true",
        ),
        class_name="next-minute",
    )
