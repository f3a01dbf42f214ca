"""Times in the viewer's time zone, with the UTC time as their tooltip."""

from __future__ import annotations

from typing import Any

import reflex as rx

from solo_app.ui import format as fmt


def timestamp(at: Any, text: Any) -> rx.Component:
    """Return a time in microseconds, shown as ``text``."""
    return rx.el.time(text, date_time=fmt.iso(at), title=fmt.utc(at))


def time_range(start: Any, end: Any) -> rx.Component:
    """Return the range between two times in microseconds."""
    return rx.el.time(fmt.time_range(start, end), title=f"{fmt.utc(start)} – {fmt.utc(end)}")
