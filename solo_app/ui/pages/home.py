"""The home page: totals, the form for a new batch, running batches, and all batches."""

from __future__ import annotations

import reflex as rx

from solo_app.ui import text
from solo_app.ui.components.batch_table import batch_table
from solo_app.ui.components.first_batch import first_batch
from solo_app.ui.components.layout import page
from solo_app.ui.components.slots import slots
from solo_app.ui.components.start_form import start_form
from solo_app.ui.components.totals import totals
from solo_app.ui.state.home import HomeState
from solo_app.ui.state.start_form import Sources


def home_page(sources: Sources) -> rx.Component:
    """Return the page. Without batches it shows how to start the first one."""
    is_empty = HomeState.is_empty
    return page(
        rx.cond(is_empty, rx.el.h1(text.BATCHES, class_name="visually-hidden"), totals()),
        rx.cond(is_empty, first_batch(sources)),
        rx.el.div(start_form(sources), slots(), class_name="form-and-slots"),
        rx.cond(is_empty, rx.fragment(), batch_table()),
        state=HomeState,
        status=rx.cond(HomeState.running_count > 0, "running", ""),
    )
