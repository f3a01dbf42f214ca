"""The unit of values: next to large numbers, and in the headings of columns."""

from __future__ import annotations

from typing import Any

import reflex as rx

from solo_app.ui import format as fmt


def value_with_unit(value: Any, unit: Any) -> rx.Component:
    """Return a value with its unit in smaller letters, or a dash."""
    has_unit = (unit != "") & value.is_not_none()
    return rx.fragment(
        fmt.value(value), rx.cond(has_unit, rx.el.span("\u00a0", unit, class_name="value-unit"))
    )


def column(name: str, unit: Any) -> Any:
    """Return the heading of a column of values."""
    return rx.cond(unit != "", f"{name} ({unit})", name)
