"""The totals at the top of the home page."""

from __future__ import annotations

from typing import Any

import reflex as rx

from solo_app.batches.runner import BATCH_LIMIT
from solo_app.ui import format as fmt
from solo_app.ui import text
from solo_app.ui.components.sparkline import sparkline
from solo_app.ui.state.home import HomeState


def totals() -> rx.Component:
    """Return rows, rows per second and running batches."""
    return rx.el.div(
        rx.el.h1(text.BATCHES),
        rx.el.dl(
            _stat(text.ROWS, fmt.number(HomeState.row_count)),
            _stat(
                text.ROWS_PER_SECOND,
                fmt.rate(HomeState.rows_per_second),
                sparkline(HomeState.throughput, floor=0),
            ),
            _stat(
                text.RUNNING,
                text.RUNNING_OF.format(
                    count=fmt.number(HomeState.running_count), limit=fmt.number(BATCH_LIMIT)
                ),
            ),
            class_name="stats",
        ),
        class_name="page-header",
    )


def _stat(name: str, value: Any, *more: rx.Component) -> rx.Component:
    return rx.el.div(
        rx.el.dt(name),
        rx.el.dd(
            rx.cond(HomeState.is_loaded, value, rx.el.span(class_name="skeleton number")), *more
        ),
        class_name="stat",
    )
