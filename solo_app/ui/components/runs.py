"""The runs of a batch, latest first, each with its outcome."""

from __future__ import annotations

from typing import Any

import reflex as rx

from solo_app.ui import format as fmt
from solo_app.ui import text
from solo_app.ui.components.status_pill import status_pill
from solo_app.ui.components.timestamp import timestamp
from solo_app.ui.state.batch import BatchState


def runs() -> rx.Component:
    """Return the card."""
    return rx.el.section(
        rx.el.h2(text.RUNS),
        rx.el.ol(rx.foreach(BatchState.runs, _run), class_name="runs"),
        rx.cond(BatchState.earlier_runs > 0, _earlier_button()),
        aria_label=text.RUNS,
        class_name="card runs-card",
    )


def _earlier_button() -> rx.Component:
    return rx.el.button(
        fmt.number(BatchState.earlier_runs),
        text.EARLIER_RUNS,
        type="button",
        on_click=BatchState.show_earlier_runs,
        class_name="button small repeatable",
    )


def _run(run: Any) -> rx.Component:
    return rx.el.li(
        rx.el.div(
            status_pill(run.status),
            rx.el.span("run ", fmt.number(run.number), class_name="run-number"),
            class_name="run",
        ),
        rx.el.div(
            timestamp(run.started, fmt.when(run.started)),
            " to ",
            rx.cond(
                run.status == "running",
                text.NOW,
                timestamp(run.ended, fmt.when(run.ended)),
            ),
            class_name="period",
        ),
        rx.cond(run.reason != "", rx.el.p(run.reason, class_name="reason")),
        key=run.number,
    )
