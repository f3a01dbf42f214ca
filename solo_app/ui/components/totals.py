"""The overall data at the head of the first page."""

from __future__ import annotations

from typing import Any

import reflex as rx

from solo_app.batches.runner import BATCH_LIMIT
from solo_app.ui import browser, strings
from solo_app.ui.components.line import line
from solo_app.ui.components.ticks import catch_up, of_all
from solo_app.ui.states.home import HomeState


def totals() -> rx.Component:
    """Rows, rows per second, slots taken."""
    return rx.el.div(
        rx.el.h1(strings.BATCHES),
        rx.el.dl(
            _stat(strings.ROWS, browser.number(of_all("allRows"))),
            _stat(
                strings.ROWS_PER_SECOND,
                browser.rate(of_all("allRates")),
                line(of_all("throughput")),
            ),
            _stat(strings.RUNNING, f"{HomeState.running} of {BATCH_LIMIT}"),
            class_name="stats",
        ),
        catch_up(of_all("missedIn"), HomeState.catch_up),
        class_name="head",
    )


def _stat(name: str, value: Any, *more: rx.Component) -> rx.Component:
    return rx.el.div(
        rx.el.dt(name),
        rx.el.dd(rx.cond(HomeState.loaded, value, rx.el.span(class_name="bone number")), *more),
        class_name="stat",
    )
