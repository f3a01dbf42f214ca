"""The status of a batch or a run, as a coloured label."""

from __future__ import annotations

from typing import Any

import reflex as rx

from solo_app.ui import text


def status_pill(status: Any) -> rx.Component:
    """Return the label of a status."""
    label = rx.match(status, *text.STATUS.items(), status)
    return rx.el.span(label, class_name=f"pill {status}")
