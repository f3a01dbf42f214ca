"""The unit and the description of the batch, edited in place: Enter saves, Escape cancels."""

from __future__ import annotations

from typing import Any

import reflex as rx

from solo_app.ui import text
from solo_app.ui.state.batch import BatchState

_PENCIL = "M3 13l.6-2.8 7.6-7.6 2.2 2.2-7.6 7.6z"


def label_editor(label: str) -> rx.Component:
    """Return a label with the button to edit it, or its form."""
    value = getattr(BatchState, label)
    return rx.cond(
        BatchState.edited == label,
        _form(label, value),
        rx.el.span(
            rx.cond(value != "", rx.el.span(value)),
            _edit_button(label, value == ""),
            class_name="label",
        ),
    )


def _edit_button(label: str, is_empty: Any) -> rx.Component:
    title = text.LABELS[label].lower()
    add, edit = text.ADD.format(label=title), text.EDIT.format(label=title)
    name = rx.cond(is_empty, add, edit)
    return rx.el.button(
        rx.cond(is_empty, add, ""),
        rx.el.svg(
            rx.el.path(d=_PENCIL),
            view_box="0 0 16 16",
            custom_attrs={"aria-hidden": "true"},
            class_name="icon",
        ),
        type="button",
        on_click=BatchState.edit_label(label),  # type: ignore[operator]
        aria_label=name,
        title=name,
        # The form replaces the button, so the button is focused when it reappears.
        auto_focus=BatchState.closed_editor == label,
        class_name="edit-button",
    )


def _form(label: str, value: rx.Var[str]) -> rx.Component:
    error = f"{label}-error"
    has_error = BatchState.label_error != ""
    return rx.el.form(
        rx.el.input(
            name=label,
            default_value=value,
            auto_focus=True,
            auto_complete="off",
            on_key_down=lambda key: rx.cond(key == "Escape", BatchState.cancel_edit, rx.noop()),
            aria_label=text.LABELS[label],
            aria_invalid=has_error,
            aria_describedby=error,
            class_name="field",
        ),
        rx.el.button(text.SAVE, type="submit", class_name="button small"),
        rx.el.button(
            text.CANCEL, type="button", on_click=BatchState.cancel_edit, class_name="button small"
        ),
        rx.el.p(
            rx.cond(has_error, rx.el.span(BatchState.label_error, role="alert")),
            id=error,
            class_name="error",
        ),
        on_submit=BatchState.save_label,
        class_name="label-form",
    )
