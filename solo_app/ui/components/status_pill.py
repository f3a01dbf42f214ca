"""The status of a batch or a run, by colour and word."""

from __future__ import annotations

from typing import Any

import reflex as rx

from solo_app.ui import strings


def status_pill(status: Any) -> rx.Component:
    """A pill with the word of a status."""
    word = rx.match(status, *strings.STATUS.items(), status)
    return rx.el.span(word, class_name=f"pill {status}")
