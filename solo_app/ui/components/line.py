"""A small line, to be seen at a glance; the figures beside it tell the same in words."""

from __future__ import annotations

from typing import Any

import reflex as rx


def line(path: Any) -> rx.Component:
    """The line of a path that ``spark`` in ``assets/solo/words.js`` made."""
    return rx.el.svg(
        rx.el.path(d=path),
        view_box="0 0 100 32",
        custom_attrs={"preserveAspectRatio": "none", "aria-hidden": "true"},
        class_name="spark",
    )
