"""The configuration of the latest run."""

from __future__ import annotations

from typing import Any

import reflex as rx

from solo_app.ui import format as fmt
from solo_app.ui import text
from solo_app.ui.components.label_editor import label_editor
from solo_app.ui.state.batch import BatchState


def source() -> rx.Component:
    """Return the card with the parameters, the restart policy and the unit."""
    return rx.el.section(
        rx.el.div(
            rx.el.h2(text.SOURCE_TITLE),
            rx.el.code(BatchState.source),
            class_name="card-header",
        ),
        rx.el.dl(
            rx.foreach(BatchState.parameters, _parameter),
            _fact(text.RESTART, rx.match(BatchState.restart, *text.RESTART_POLICIES.items(), "")),
            _fact(text.LABELS["unit"], label_editor("unit")),
            class_name="facts",
        ),
        aria_label=text.SOURCE_TITLE,
        class_name="card source-card",
    )


def _parameter(row: Any) -> rx.Component:
    value = fmt.with_unit(fmt.value(row["number"]), row["unit"])
    return _fact(row["title"], rx.cond(row["number"].is_not_none(), value, row["text"]))


def _fact(name: Any, value: Any) -> rx.Component:
    return rx.fragment(rx.el.dt(name), rx.el.dd(value))
