"""The command that pushes a value to a batch."""

from __future__ import annotations

import reflex as rx

from solo_app.ui import text
from solo_app.ui.api_url import push_command
from solo_app.ui.components.copy_button import copy_button
from solo_app.ui.state.batch import BatchState


def send_value() -> rx.Component:
    """Return the card with the command, if the API accepts points for the batch."""
    is_open = (BatchState.status != "stopped") & (BatchState.status != "failed")
    return rx.cond((BatchState.source == "push") & is_open, _card())


def _card() -> rx.Component:
    command = push_command(BatchState.batch_id)
    return rx.el.section(
        rx.el.div(rx.el.h2(text.SEND_A_VALUE), copy_button(command), class_name="card-header"),
        rx.el.code(command, tab_index=0, class_name="command"),
        aria_label=text.SEND_A_VALUE,
        class_name="card send-value",
    )
