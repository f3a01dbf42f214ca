"""The slots of the running batches."""

from __future__ import annotations

from typing import Any

import reflex as rx

from solo_app.batches.runner import BATCH_LIMIT
from solo_app.ui import text
from solo_app.ui.components.sparkline import sparkline
from solo_app.ui.components.status_pill import retrying_pill
from solo_app.ui.components.unit import value_length, value_with_unit
from solo_app.ui.state.home import HomeState


def slots() -> rx.Component:
    """Return the running batches. Each keeps its place while it runs."""
    return rx.el.section(
        rx.cond(
            HomeState.is_loaded,
            rx.foreach(
                HomeState.slots,
                lambda slot: rx.cond(
                    slot["batch_id"] != "", _running_batch(slot), rx.el.span(class_name="free")
                ),
            ),
            rx.fragment(*[rx.el.div(class_name="card slot skeleton") for _ in range(BATCH_LIMIT)]),
        ),
        aria_label=text.RUNNING_BATCHES,
        class_name="slots",
    )


def _running_batch(slot: Any) -> rx.Component:
    return rx.el.a(
        rx.el.span(
            rx.el.span(slot["batch_id"], class_name="id"),
            rx.cond(slot["is_retrying"], retrying_pill()),
            class_name="slot-title",
        ),
        rx.el.span(
            value_with_unit(slot["latest"], slot["unit"]),
            class_name="value",
            style=value_length(slot["latest"]),
        ),
        sparkline(slot["recent"]),
        href=f"/batch/{slot['batch_id']}",
        key=slot["batch_id"],
        title=slot["batch_id"],
        class_name="card slot",
    )
