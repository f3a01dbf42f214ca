"""The last whole minute: its window, what its points come to, and when the next one comes."""

from __future__ import annotations

from typing import Any

import reflex as rx

from solo_app.ui import browser, strings
from solo_app.ui.components.moment import moment
from solo_app.ui.components.ticks import of_batch
from solo_app.ui.states.batch import BatchState


def last_minute() -> rx.Component:
    """The card."""
    minute = BatchState.minute
    return rx.el.section(
        rx.el.h2(strings.LAST_WHOLE_MINUTE),
        rx.el.p(
            moment(minute.start, browser.clock(minute.start)),
            " to ",
            moment(minute.end, browser.clock(minute.end)),
            class_name="window",
        ),
        rx.el.dl(
            _fact(strings.AVERAGE, browser.number(minute.average, 2)),
            _fact(strings.SUM, browser.key(minute.sum)),
            _fact(strings.COUNT, browser.number(minute.count)),
            _fact(
                strings.LOWEST_HIGHEST,
                rx.cond(
                    minute.count > 0,
                    rx.fragment(browser.key(minute.lowest), " to ", browser.key(minute.highest)),
                    browser.key(minute.lowest),
                ),
            ),
            class_name="facts",
        ),
        rx.cond(BatchState.status == "running", _next()),
        aria_label=strings.LAST_WHOLE_MINUTE,
        class_name="card minute",
    )


def _fact(name: str, value: Any) -> rx.Component:
    return rx.fragment(rx.el.dt(name), rx.el.dd(value))


def _next() -> rx.Component:
    seconds = of_batch("nextIn").to(int)
    return rx.el.div(
        rx.el.p("Next in ", rx.el.span(seconds, class_name="two-digits"), " s"),
        rx.el.div(
            rx.el.i(style={"width": f"calc(100% * {60 - seconds} / 60)"}),
            class_name="progress",
            aria_hidden="true",
        ),
        class_name="next",
    )
