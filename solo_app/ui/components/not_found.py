"""The notices for a batch or a page that does not exist."""

from __future__ import annotations

from typing import Any

import reflex as rx

from solo_app.ui import text
from solo_app.ui.components.batch_header import action_error
from solo_app.ui.state.batch import BatchState


def unknown_batch() -> rx.Component:
    """Return the notice for an id that no batch has yet, with a button to start one."""
    return notice(
        text.BATCH_NOT_FOUND,
        rx.el.code(BatchState.batch_id),
        text.BATCH_NOT_FOUND_ADVICE,
        rx.el.button(
            text.START_BATCH.format(batch_id=BatchState.batch_id),
            type="button",
            on_click=BatchState.start,
            class_name="button primary",
        ),
        action_error(),
    )


def invalid_id() -> rx.Component:
    """Return the notice for an invalid id, with the rule."""
    return notice(text.INVALID_NAME, rx.el.code(BatchState.batch_id), BatchState.invalid_reason)


def notice(title: str, subject: Any, advice: Any, *actions: rx.Component) -> rx.Component:
    """Return a card with title, subject, advice, actions, and a link to the home page."""
    return rx.el.section(
        rx.el.h1(title),
        rx.el.p(subject),
        rx.el.p(advice) if advice is not None else rx.fragment(),
        rx.el.div(
            *actions,
            rx.el.a(text.ALL_BATCHES, href="/", class_name="button plain"),
            class_name="row",
        ),
        class_name="card notice",
    )
