"""Values of the vars of a state, by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import reflex as rx

Values = Mapping[str, Any]


def assign(state: rx.State, values: Values) -> None:
    for name, value in values.items():
        setattr(state, name, value)


def assign_changed(state: rx.State, values: Values, shown: Values) -> None:
    """Assign the values that differ from those shown, because Reflex sends every assigned var."""
    assign(state, {n: v for n, v in values.items() if n not in shown or shown[n] != v})
