"""The runs of a batch, newest first, each with its outcome."""

from __future__ import annotations

from typing import Any

import reflex as rx

from solo_app.ui import format as fmt
from solo_app.ui import text
from solo_app.ui.components.status_pill import status_pill
from solo_app.ui.components.timestamp import time_range, timestamp
from solo_app.ui.state.batch import BatchState


def runs() -> rx.Component:
    return rx.el.section(
        rx.el.h2(text.RUNS),
        rx.el.ol(rx.foreach(BatchState.runs, _run), class_name="runs"),
        rx.cond(BatchState.earlier_runs > 0, _earlier_button()),
        aria_label=text.RUNS,
        class_name="card runs-card",
    )


def _earlier_button() -> rx.Component:
    return rx.el.button(
        text.EARLIER_RUNS.format(count=fmt.number(BatchState.earlier_runs)),
        type="button",
        on_click=BatchState.show_earlier_runs,
        class_name="button small repeatable",
    )


def _run(run: Any) -> rx.Component:
    return rx.el.li(
        rx.el.div(
            status_pill(run.status),
            rx.el.span(text.RUN.format(number=fmt.number(run.number)), class_name="run-number"),
            class_name="run",
        ),
        rx.el.div(
            rx.cond(
                run.status == "running",
                rx.fragment(timestamp(run.started, fmt.date_time(run.started)), " – ", text.NOW),
                time_range(run.started, run.ended),
            ),
            class_name="period",
        ),
        rx.cond(run.reason != "", rx.el.p(run.reason, class_name="reason")),
        key=run.number,
    )
