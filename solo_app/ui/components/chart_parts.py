"""The parts that the charts share: axes, lines and tooltips."""

from __future__ import annotations

from typing import Any

import reflex as rx

from solo_app.ui import format as fmt

CHART_TOP = 16
"""The space above a chart in pixels, for the unit."""


def x_axis(start: Any, end: Any, **more: Any) -> rx.Component:
    """Return a time axis. ``start`` and ``end`` are in microseconds."""
    return rx.recharts.x_axis(data_key="t", type_="number", domain=[start, end], **more)


def axis_unit(unit: Any) -> rx.Component:
    """Return the unit above the value axis."""
    return rx.cond(unit != "", rx.el.p(unit, aria_hidden="true", class_name="axis-unit"))


def y_axis() -> rx.Component:
    """Return a value axis of constant width, so that the chart does not shift."""
    return rx.recharts.y_axis(
        width=40,
        tick_count=5,
        interval=0,
        axis_line=False,
        tick_line=False,
        tick_formatter=fmt.function("valueTick"),
        domain=["auto", "auto"],
    )


def tooltip_unit(unit: Any) -> Any:
    """Return the unit for the values of a line or an area in the tooltip."""
    return rx.cond(unit != "", f"\u00a0{unit}", "")


def line(data_key: str, name: str, unit: Any, **more: Any) -> rx.Component:
    """Return a line that breaks at gaps."""
    return rx.recharts.line(
        data_key=data_key,
        name=name,
        type_="linear",
        stroke="var(--accent)",
        dot=False,
        active_dot={"r": 3.5, "fill": "var(--accent)", "stroke": "var(--card)"},
        is_animation_active=False,
        connect_nulls=False,
        unit=tooltip_unit(unit),
        **more,
    )


def tooltip(label: str) -> rx.Component:
    """Return a tooltip. ``label`` is the function of ``format.js`` for its first lines."""
    return rx.recharts.graphing_tooltip(
        is_animation_active=False,
        separator=": ",
        cursor={"stroke": "var(--line)", "fill": "transparent"},
        custom_attrs={
            "labelFormatter": fmt.function(label),
            "formatter": fmt.function("tooltipValue"),
        },
        content_style={},
        item_style={},
        label_style={},
    )
