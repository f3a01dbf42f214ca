"""A moment: shown in the viewer's zone, and in UTC to whoever points at it."""

from __future__ import annotations

from typing import Any

import reflex as rx

from solo_app.ui import browser


def moment(at: Any, text: Any) -> rx.Component:
    """A time in microseconds, shown as ``text``."""
    return rx.el.time(text, date_time=browser.iso(at), title=browser.utc(at))
