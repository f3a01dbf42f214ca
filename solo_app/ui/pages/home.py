"""The first page: overall data, the five slots, the form, all batches."""

from __future__ import annotations

import reflex as rx

from solo_app.ui.components.batch_table import batch_table
from solo_app.ui.components.frame import page
from solo_app.ui.components.new_batch import new_batch
from solo_app.ui.components.slots import slots
from solo_app.ui.components.totals import totals
from solo_app.ui.states.home import HomeState


def home_page() -> rx.Component:
    """Everything at a glance."""
    return page(
        totals(),
        slots(),
        new_batch(),
        batch_table(),
        state=HomeState,
        is_ticking=True,
        status=rx.cond(HomeState.running > 0, "running", ""),
    )
