"""The header of the batch page: name, status, and the button to stop or start the batch."""

from __future__ import annotations

import reflex as rx

from solo_app.ui import format as fmt
from solo_app.ui import text
from solo_app.ui.components.status_pill import status_pill
from solo_app.ui.components.timestamp import timestamp
from solo_app.ui.state.batch import BatchState


def batch_header() -> rx.Component:
    """Return the header: name and status on the left, the button on the right."""
    return rx.el.div(
        rx.el.div(
            rx.el.h1(BatchState.batch_id, class_name="id"),
            rx.el.p(status_pill(BatchState.status), _facts(), class_name="status-line"),
            rx.cond(
                (BatchState.reason != "") & (BatchState.status == "failed"),
                rx.el.p(BatchState.reason, class_name="reason"),
            ),
            _announced_status(),
            class_name="batch-title",
        ),
        rx.el.div(_button(), action_error(), class_name="actions"),
        class_name="page-header",
    )


def action_error() -> rx.Component:
    """Return the error of the last start or stop, if it failed."""
    return rx.cond(
        BatchState.error != "", rx.el.p(BatchState.error, role="alert", class_name="error")
    )


def _button() -> rx.Component:
    """Return one button for both actions, so that it keeps the keyboard focus."""
    is_running = BatchState.status == "running"
    return rx.el.button(
        rx.cond(is_running, text.STOP, text.START_AGAIN),
        type="button",
        on_click=rx.cond(is_running, BatchState.stop, BatchState.start),
        class_name=rx.cond(is_running, "button stop", "button primary"),
    )


def _announced_status() -> rx.Component:
    """Return the status for screen readers, without the constantly changing facts."""
    return rx.el.p(
        rx.match(BatchState.status, *text.STATUS.items(), ""),
        rx.cond(BatchState.reason != "", f": {BatchState.reason}", ""),
        role="status",
        class_name="visually-hidden",
    )


def _facts() -> rx.Component:
    rows = BatchState.row_count
    duration = fmt.span((BatchState.chart_end - BatchState.started) / 1_000_000)
    is_running = BatchState.status == "running"
    return rx.el.span(
        rx.cond(
            is_running,
            rx.el.span("for ", duration),
            rx.el.span(
                "ran ",
                duration,
                ", until ",
                timestamp(BatchState.ended, fmt.when(BatchState.ended)),
            ),
        ),
        rx.el.span("run ", fmt.number(BatchState.run_number)),
        rx.el.span(BatchState.source),
        rx.el.span(fmt.number(rows), rx.cond(rows == 1, " row", " rows")),
        rx.cond(
            is_running,
            rx.el.span(fmt.rate(BatchState.rows_per_second), " per second"),
        ),
        class_name="facts",
    )
