"""The last whole minute: its window, its aggregates, and the time until the next one."""

from __future__ import annotations

from typing import Any

import reflex as rx

from solo_app.ui import format as fmt
from solo_app.ui import text
from solo_app.ui.components.timestamp import timestamp
from solo_app.ui.state.batch import BatchState


def last_minute() -> rx.Component:
    """Return the card."""
    minute = BatchState.minute
    return rx.el.section(
        rx.el.h2(text.LAST_WHOLE_MINUTE),
        rx.el.p(
            timestamp(minute.start, fmt.clock(minute.start)),
            " to ",
            timestamp(minute.end, fmt.clock(minute.end)),
            class_name="window",
        ),
        rx.el.dl(
            _fact(text.AVERAGE, fmt.number(minute.average, 2)),
            _fact(text.SUM, fmt.key(minute.sum)),
            _fact(text.COUNT, fmt.number(minute.count)),
            _fact(
                text.LOWEST_HIGHEST,
                rx.cond(
                    minute.count > 0,
                    rx.fragment(fmt.key(minute.min), " to ", fmt.key(minute.max)),
                    fmt.key(minute.min),
                ),
            ),
            class_name="facts",
        ),
        rx.cond(BatchState.status == "running", _next_minute()),
        aria_label=text.LAST_WHOLE_MINUTE,
        class_name="card last-minute",
    )


def _fact(name: str, value: Any) -> rx.Component:
    return rx.fragment(rx.el.dt(name), rx.el.dd(value))


def _next_minute() -> rx.Component:
    elapsed = BatchState.server_time % 60
    return rx.el.div(
        rx.el.p("Next in ", rx.el.span(60 - elapsed, class_name="two-digits"), " s"),
        rx.el.div(
            rx.el.i(style={"width": f"calc(100% * {elapsed} / 60)"}),
            class_name="progress",
            aria_hidden="true",
        ),
        class_name="next-minute",
    )
