"""A sparkline."""

from __future__ import annotations

from typing import Any

import reflex as rx


def sparkline(path: Any) -> rx.Component:
    """Return the sparkline of a path from ``format.sparkline``; screen readers skip it."""
    return rx.el.svg(
        rx.el.path(d=path),
        view_box="0 0 100 32",
        custom_attrs={"preserveAspectRatio": "none", "aria-hidden": "true"},
        class_name="sparkline",
    )
