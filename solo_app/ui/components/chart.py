"""What all charts have in common: quiet axes, and a tooltip that speaks as the page does."""

from __future__ import annotations

from typing import Any

import reflex as rx

from solo_app.ui import browser


class _Later(rx.Component):
    library = "$/public/solo.js"
    tag = "Later"


def later(*children: rx.Component) -> rx.Component:
    """What is drawn once the rest of the page stands: two charts at once would hold it up."""
    return _Later.create(*children)


def x_axis(data_key: str, **more: Any) -> rx.Component:
    """Time, without ticks unless some are given: its two ends are told beside the chart."""
    options = {"type_": "number", "domain": ["dataMin", "dataMax"], "hide": True, **more}
    return rx.recharts.x_axis(data_key=data_key, **options)


def y_axis(**more: Any) -> rx.Component:
    """Values, always as wide, so that nothing jumps."""
    return rx.recharts.y_axis(
        width=40,
        tick_count=5,
        interval=0,
        axis_line=False,
        tick_line=False,
        tick_formatter=browser.function("tick"),
        domain=["auto", "auto"],
        **more,
    )


def tooltip(label: str) -> rx.Component:
    """What is under the pointer; ``label`` names the function that words the time."""
    return rx.recharts.graphing_tooltip(
        is_animation_active=False,
        separator=": ",
        cursor={"stroke": "var(--line)", "fill": "transparent"},
        custom_attrs={
            "labelFormatter": browser.function(label),
            "formatter": browser.function("told"),
        },
        content_style={},
        item_style={},
        label_style={},
    )
