"""The button that deletes an ended batch, and the dialog that confirms it."""

from __future__ import annotations

import reflex as rx

from solo_app.ui import format as fmt
from solo_app.ui import text
from solo_app.ui.api_url import api_base
from solo_app.ui.state.batch import BatchState

_DIALOG = "delete-batch"
_QUESTION = "delete-question"
_BIN = "M2.5 4h11M6 4V2.5h4V4M4 4l.7 9.5h6.6L12 4M6.7 6.5v4.5M9.3 6.5v4.5"


def delete_batch() -> rx.Component:
    """Return the button and the dialog."""
    name = text.DELETE_BATCH.format(batch_id=BatchState.batch_id)
    return rx.fragment(
        rx.el.button(
            rx.el.svg(
                rx.el.path(d=_BIN),
                view_box="0 0 16 16",
                custom_attrs={"aria-hidden": "true"},
                class_name="icon",
            ),
            type="button",
            aria_label=f"{name}…",
            title=f"{name}…",
            aria_haspopup="dialog",
            aria_controls=_DIALOG,
            custom_attrs={"onClick": fmt.function("showDialog", "input")},
            class_name="icon-button",
        ),
        _dialog(name),
    )


def _dialog(name: str) -> rx.Component:
    question = text.DELETE_QUESTION.format(
        points=fmt.count(BatchState.row_count, "point", "points"),
        runs=fmt.count(BatchState.run_number, "run", "runs"),
        batch_id=BatchState.batch_id,
    )
    return rx.el.dialog(
        rx.el.h2(question, id=_QUESTION),
        rx.cond(
            BatchState.error != "", rx.el.p(BatchState.error, role="alert", class_name="error")
        ),
        rx.el.div(
            # The first control of a dialog has the focus.
            rx.el.button(
                text.CANCEL,
                type="button",
                custom_attrs={"onClick": fmt.function("closeDialog", "input")},
                class_name="button",
            ),
            rx.el.button(
                rx.cond(BatchState.is_deleting, text.DELETING, name),
                type="button",
                on_click=BatchState.delete,
                disabled=BatchState.is_deleting,
                class_name="button stop",
            ),
            rx.el.a(
                text.DOWNLOAD_FIRST,
                href=f"{api_base()}/batches/{BatchState.batch_id}/download?format=csv",
                download=True,
                reload_document=True,  # Otherwise React Router handles the link.
            ),
            class_name="row",
        ),
        id=_DIALOG,
        custom_attrs={"aria-labelledby": _QUESTION},
        class_name="card",
    )
