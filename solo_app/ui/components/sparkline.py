"""A sparkline."""

from __future__ import annotations

from typing import Any

import reflex as rx

from solo_app.ui import format as fmt


def sparkline(values: Any, floor: float | None = None) -> rx.Component:
    """Return a sparkline, scaled from ``floor`` if given; screen readers skip it."""
    return rx.el.svg(
        rx.el.path(d=fmt.sparkline(values, floor)),
        view_box="0 0 100 32",
        custom_attrs={"preserveAspectRatio": "none", "aria-hidden": "true"},
        class_name="sparkline",
    )
