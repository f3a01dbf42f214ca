"""Units: next to values, and in the headings of columns."""

from __future__ import annotations

from typing import Any

import reflex as rx

from solo_app.ui import format as fmt


def value_with_unit(value: Any, unit: Any, formatted: Any = None) -> rx.Component:
    """Return a value with its unit, or a dash. In a narrow place only the unit is cut."""
    has_unit = (unit != "") & value.is_not_none()
    return rx.el.span(
        fmt.value(value) if formatted is None else formatted,
        rx.cond(has_unit, rx.el.span("\u00a0", unit, title=unit, class_name="value-unit")),
        class_name="quantity",
    )


def value_length(value: Any) -> dict[str, Any]:
    """Return a style with the length of a value, from which the stylesheet computes its size."""
    return {"--length": fmt.value(value).to(str).length()}


def column(name: str, unit: Any) -> Any:
    """Return the heading of a column of values."""
    return rx.cond(unit != "", f"{name} ({unit})", name)
