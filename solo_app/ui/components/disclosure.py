"""A line that opens what is below it; what is closed is not drawn."""

from __future__ import annotations

import reflex as rx


class _Disclosure(rx.Component):
    library = "$/public/solo.js"
    tag = "Disclosure"

    summary: rx.Var[str]


def disclosure(summary: str, *children: rx.Component, class_name: str) -> rx.Component:
    """The children, below a line that says what they are."""
    return _Disclosure.create(*children, summary=summary, class_name=class_name)
