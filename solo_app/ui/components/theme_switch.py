"""The button that switches between the themes system, light and dark."""

from __future__ import annotations

import reflex as rx
from reflex.style import color_mode, set_color_mode

from solo_app.ui import text

_PATHS = {
    "system": "M8 2a6 6 0 1 0 0 12zM8 2a6 6 0 0 1 0 12",
    "light": (
        "M8 5a3 3 0 1 0 .01 0z"
        "M8 1v1.5M8 13.5V15M1 8h1.5M13.5 8H15M3 3l1 1M12 12l1 1M3 13l1-1M12 4l1-1"
    ),
    "dark": "M13.5 9.5A6 6 0 1 1 6.5 2.5a5 5 0 0 0 7 7z",
}


def theme_switch() -> rx.Component:
    """Return the button; its label names the current theme."""
    following = rx.match(color_mode, ("system", "light"), ("light", "dark"), "system")
    name = rx.match(color_mode, *text.THEMES.items(), text.THEMES["system"])
    icon = rx.match(
        color_mode, *[(mode, _icon(mode)) for mode in ("light", "dark")], _icon("system")
    )
    return rx.el.button(
        icon,
        type="button",
        on_click=set_color_mode(following),
        aria_label=name,
        title=name,
        class_name="icon-button",
    )


def _icon(mode: str) -> rx.Component:
    return rx.el.svg(
        rx.el.path(d=_PATHS[mode], class_name=mode),
        view_box="0 0 16 16",
        custom_attrs={"aria-hidden": "true"},
        class_name="icon",
    )
