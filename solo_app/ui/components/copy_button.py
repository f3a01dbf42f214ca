"""A button that copies a text to the clipboard."""

from __future__ import annotations

from typing import Any

import reflex as rx

from solo_app.ui import text


def copy_button(value: Any) -> rx.Component:
    """Return the button. It confirms that it has copied ``value``."""
    return _CopyButton.create(value=value, label=text.COPY, copied_label=text.COPIED)


class _CopyButton(rx.Component):
    library = "$/public/components.js"
    tag = "CopyButton"
    value: rx.Var[str]
    label: rx.Var[str]
    copied_label: rx.Var[str]
