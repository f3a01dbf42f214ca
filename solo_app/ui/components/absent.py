"""What stands where a batch would be: there never was one, or there can be none."""

from __future__ import annotations

from typing import Any

import reflex as rx
from reflex_components_core.react_router import link

from solo_app.ui import strings
from solo_app.ui.components.batch_header import start_error
from solo_app.ui.states.batch import BatchState


def never_was() -> rx.Component:
    """An id that no batch has yet, and the offer to start one."""
    return notice(
        strings.NEVER_WAS,
        rx.el.code(BatchState.shown),
        strings.NEVER_WAS_ADVICE,
        rx.el.button(
            strings.START_IT, type="button", on_click=BatchState.start, class_name="button main"
        ),
        start_error(),
    )


def cannot_be() -> rx.Component:
    """A text that no batch can have for its id, and the rule."""
    return notice(strings.NO_SUCH_ID, rx.el.code(BatchState.shown), BatchState.why)


def notice(title: str, about: Any, why: Any, *ways_on: rx.Component) -> rx.Component:
    """A title, what it is about, why, and ways on; the last leads to all batches."""
    return rx.el.section(
        rx.el.h1(title),
        rx.el.p(about, class_name="about"),
        rx.el.p(why) if why is not None else rx.fragment(),
        rx.el.div(
            *ways_on,
            link(strings.TO_ALL_BATCHES, to="/", class_name="button plain"),
            class_name="line",
        ),
        class_name="card notice",
    )
