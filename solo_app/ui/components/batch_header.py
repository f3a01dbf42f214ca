"""The head of a batch's page: its name, how it stands, and the one thing to do with it."""

from __future__ import annotations

import reflex as rx

from solo_app.ui import browser, strings
from solo_app.ui.components.moment import moment
from solo_app.ui.components.status_pill import status_pill
from solo_app.ui.components.ticks import of_batch
from solo_app.ui.states.batch import BatchState


def batch_header() -> rx.Component:
    """Name and status at the left, Stop or Start again always in the same place at the right."""
    return rx.el.div(
        rx.el.div(
            rx.el.h1(BatchState.shown, class_name="id"),
            rx.el.p(status_pill(BatchState.status), _standing(), class_name="standing"),
            rx.cond(
                (BatchState.reason != "") & (BatchState.status == "failed"),
                rx.el.p(BatchState.reason, class_name="reason"),
            ),
            _told_status(),
            class_name="name",
        ),
        rx.el.div(_button(), start_error(), class_name="deed"),
        class_name="head",
    )


def start_error() -> rx.Component:
    """Why the button did not do what it says."""
    return rx.cond(
        BatchState.error != "", rx.el.p(BatchState.error, role="alert", class_name="error")
    )


def _button() -> rx.Component:
    """One button for both, so that whoever pressed it by key has not lost it then."""
    is_running = BatchState.status == "running"
    return rx.el.button(
        rx.cond(is_running, strings.STOP, strings.START_AGAIN),
        type="button",
        on_click=rx.cond(is_running, BatchState.stop, BatchState.start),
        class_name=rx.cond(is_running, "button stop", "button main"),
    )


def _told_status() -> rx.Component:
    """How the batch stands, said aloud when that changes; by itself, for facts change often."""
    return rx.el.p(
        rx.match(BatchState.status, *strings.STATUS.items(), ""),
        rx.cond(BatchState.reason != "", f": {BatchState.reason}", ""),
        role="status",
        class_name="unseen",
    )


def _standing() -> rx.Component:
    rows = of_batch("rowsOf")
    span = browser.span(of_batch("ranFor", BatchState.started))
    return rx.el.span(
        rx.cond(
            BatchState.status == "running",
            rx.el.span("for ", span),
            rx.el.span(
                "ran ", span, ", until ", moment(BatchState.ended, browser.when(BatchState.ended))
            ),
        ),
        rx.el.span("run ", browser.number(BatchState.run_number)),
        rx.el.span(BatchState.source),
        rx.el.span(browser.number(rows), rx.cond(rows == 1, " row", " rows")),
        rx.cond(
            BatchState.status == "running",
            rx.el.span(browser.rate(of_batch("rateOf")), " per second"),
        ),
        class_name="facts",
    )
