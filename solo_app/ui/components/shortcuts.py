"""The keyboard shortcuts: hints in the fields, and the dialog that lists and disables them.

``assets/input.js`` finds the element for a key by its attribute ``aria-keyshortcuts``.
"""

from __future__ import annotations

import reflex as rx

from solo_app.ui import format as fmt
from solo_app.ui import text

_DIALOG = "shortcuts"
_TITLE = "shortcuts-title"


def with_key_hint(field: rx.Component, key: str) -> rx.Component:
    """Return a field with a hint that shows its shortcut key."""
    return rx.el.span(
        field, rx.el.kbd(key, aria_hidden="true", class_name="key-hint"), class_name="with-key-hint"
    )


def shortcuts() -> rx.Component:
    """Return the button and the dialog that it opens."""
    return rx.fragment(
        rx.el.button(
            "?",
            type="button",
            aria_label=text.SHORTCUTS,
            title=text.SHORTCUTS,
            custom_attrs={
                "aria-keyshortcuts": "?",
                "onClick": fmt.function("showShortcuts", "input"),
            },
            class_name="icon-button",
        ),
        rx.el.dialog(
            rx.el.h2(text.SHORTCUTS, id=_TITLE),
            rx.el.dl(
                *[
                    rx.fragment(rx.el.dt(rx.el.kbd(key)), rx.el.dd(action))
                    for key, action in text.SHORTCUT_LIST.items()
                ]
            ),
            _switch(),
            rx.el.button(
                text.CLOSE,
                type="button",
                custom_attrs={"onClick": fmt.function("closeDialog", "input")},
                class_name="button small",
            ),
            id=_DIALOG,
            custom_attrs={"aria-labelledby": _TITLE, "closedby": "any"},
            class_name="card",
        ),
    )


def _switch() -> rx.Component:
    return rx.el.label(
        rx.el.input(
            type="checkbox",
            default_checked=True,
            custom_attrs={"onChange": fmt.function("enableShortcuts", "input")},
        ),
        text.ENABLE_SHORTCUTS,
    )
