"""The header of the batch page: name, status, and the button to stop or start the batch."""

from __future__ import annotations

from typing import Any

import reflex as rx

from solo_app.ui import format as fmt
from solo_app.ui import text
from solo_app.ui.components.delete_batch import delete_batch
from solo_app.ui.components.label_editor import label_editor
from solo_app.ui.components.status_pill import retrying_pill, status_pill
from solo_app.ui.components.timestamp import time_range
from solo_app.ui.state.batch import BatchState


def batch_header() -> rx.Component:
    return rx.el.div(
        rx.el.div(
            rx.el.h1(BatchState.batch_id, class_name="id"),
            rx.el.div(label_editor("description"), class_name="description"),
            rx.el.p(_status(), _facts(), class_name="status-line"),
            rx.cond(_error() != "", rx.el.p(_error(), class_name="reason")),
            _announced_status(),
            class_name="batch-title",
        ),
        rx.el.div(
            rx.el.div(
                _button(),
                rx.cond(BatchState.status != "running", delete_batch()),
                class_name="buttons",
            ),
            action_error(),
            class_name="actions",
        ),
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


def _status() -> rx.Component:
    """Return the status; while the source is being restarted, the attempt."""
    attempt = fmt.number(BatchState.retry_attempt)
    duration = fmt.duration(BatchState.retry_seconds)
    retrying = rx.cond(
        BatchState.retry_seconds > 0,
        text.RETRYING_IN.format(attempt=attempt, duration=duration),
        text.RETRYING_NOW.format(attempt=attempt),
    )
    return rx.cond(
        BatchState.retry_attempt > 0,
        retrying_pill(retrying),
        status_pill(BatchState.status),
    )


def _error() -> Any:
    """Return why the batch has failed or its source is being restarted, or an empty text."""
    return rx.cond(BatchState.retry_attempt > 0, BatchState.retry_error, BatchState.reason)


def _announced_status() -> rx.Component:
    """Return the status for screen readers, without the constantly changing facts."""
    status = rx.match(BatchState.status, *text.STATUS.items(), "")
    return rx.el.p(
        rx.cond(BatchState.retry_attempt > 0, text.RETRYING, status),
        rx.cond(_error() != "", f": {_error()}", ""),
        role="status",
        class_name="visually-hidden",
    )


def _facts() -> rx.Component:
    duration = fmt.duration((BatchState.chart_end - BatchState.started) / 1_000_000)
    rows = fmt.count(BatchState.row_count, "row", "rows")
    return rx.el.span(
        rx.el.span(text.RUN.format(number=fmt.number(BatchState.run_number))),
        rx.cond(
            BatchState.status == "running",
            rx.fragment(
                rx.el.span(text.SOURCE.format(name=BatchState.source)),
                rx.el.span(text.UPTIME.format(duration=duration)),
                rx.el.span(rows),
                rx.el.span(text.ROW_RATE.format(rate=fmt.rate(BatchState.rows_per_second))),
            ),
            rx.fragment(
                rx.el.span(BatchState.source),
                rx.el.span(time_range(BatchState.started, BatchState.ended), f" ({duration})"),
                rx.el.span(rows),
            ),
        ),
        class_name="facts",
    )
