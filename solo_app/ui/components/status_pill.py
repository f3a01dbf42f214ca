"""The status of a batch or a run, as a coloured label."""

from __future__ import annotations

from typing import Any

import reflex as rx

from solo_app.ui import text


def status_pill(status: Any) -> rx.Component:
    """Return the label of a status."""
    label = rx.match(status, *text.STATUS.items(), status)
    return rx.el.span(label, class_name=f"pill {status}")


def retrying_pill(label: Any = text.RETRYING) -> rx.Component:
    """Return the label of a running batch whose source is being restarted."""
    return rx.el.span(label, class_name="pill retrying")
