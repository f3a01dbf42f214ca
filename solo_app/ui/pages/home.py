"""The home page: totals, the slots, the form for a new batch, and all batches."""

from __future__ import annotations

import reflex as rx

from solo_app.ui.components.batch_table import batch_table
from solo_app.ui.components.layout import page
from solo_app.ui.components.slots import slots
from solo_app.ui.components.start_form import start_form
from solo_app.ui.components.totals import totals
from solo_app.ui.state.home import HomeState


def home_page() -> rx.Component:
    return page(
        totals(),
        slots(),
        start_form(),
        batch_table(),
        state=HomeState,
        status=rx.cond(HomeState.running_count > 0, "running", ""),
    )
