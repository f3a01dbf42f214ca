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
        text.NEVER_WAS,
        rx.el.code(BatchState.batch_id),
        text.NEVER_WAS_ADVICE,
        rx.el.button(
            text.START_IT, type="button", on_click=BatchState.start, class_name="button primary"
        ),
        action_error(),
    )


def invalid_id() -> rx.Component:
    """Return the notice for an invalid id, with the rule."""
    return notice(text.NO_SUCH_ID, rx.el.code(BatchState.batch_id), BatchState.invalid_reason)


def notice(title: str, subject: Any, advice: Any, *actions: rx.Component) -> rx.Component:
    """Return a card with title, subject, advice, actions, and a link to the home page."""
    return rx.el.section(
        rx.el.h1(title),
        rx.el.p(subject),
        rx.el.p(advice) if advice is not None else rx.fragment(),
        rx.el.div(
            *actions,
            rx.el.a(text.TO_ALL_BATCHES, href="/", class_name="button plain"),
            class_name="row",
        ),
        class_name="card notice",
    )
