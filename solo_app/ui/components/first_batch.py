"""The panel of a home page without batches: the quickest ways to the first number."""

from __future__ import annotations

import reflex as rx

from solo_app.batches.source import DEFAULT_SOURCE
from solo_app.ui import text
from solo_app.ui.api_url import push_command
from solo_app.ui.components.copy_button import copy_button
from solo_app.ui.state.home import HomeState
from solo_app.ui.state.start_form import NAME_FIELD, Sources

_PUSHED = "kiln"
_CPU = {"batch_id": "cpu", "source": "host", "unit": "%"}
_DEMO = {"batch_id": "demo", "source": DEFAULT_SOURCE}

_KEEP_FOCUS = (
    "if (document.activeElement === document.body)"
    " document.querySelector('.slot, .batches a')?.focus()"
)
"""The focused button disappears with the panel when the first batch appears."""


def first_batch(sources: Sources) -> rx.Component:
    """Return the panel. It offers only available sources."""
    ways = [_send_one()] if "push" in sources else []
    ways += [_monitor_cpu()] if "host" in sources else []
    ways += [_read_url()] if "http" in sources else []
    demo = rx.el.button(
        text.RANDOM_DEMO,
        type="button",
        on_click=HomeState.start(_DEMO),  # type: ignore[misc]
        class_name="link",
    )
    return rx.el.section(
        rx.el.h2(text.FIRST_NUMBER, id="first-batch"),
        rx.el.div(*ways, class_name="ways"),
        rx.el.p(text.RANDOM_DEMO_PREFIX, demo, class_name="demo"),
        on_unmount=rx.call_script(_KEEP_FOCUS),
        aria_labelledby="first-batch",
        class_name="card first-batch",
    )


def _send_one() -> rx.Component:
    command = push_command(_PUSHED)
    return _way(
        text.SEND_ONE,
        text.SEND_ONE_HELP,
        rx.el.code(command, tab_index=0),
        rx.el.div(
            rx.el.span(copy_button(command), on_click=HomeState.wait_for_first_point),
            rx.el.span(
                rx.cond(
                    HomeState.is_waiting, text.WAITING_FOR_FIRST_POINT.format(batch_id=_PUSHED), ""
                ),
                role="status",
            ),
            class_name="row",
        ),
    )


def _monitor_cpu() -> rx.Component:
    button = rx.el.button(
        text.START,
        type="button",
        on_click=HomeState.start(_CPU),  # type: ignore[misc]
        aria_label=text.START_BATCH.format(batch_id=_CPU["batch_id"]),
        class_name="button",
    )
    return _way(text.MONITOR_CPU, text.MONITOR_CPU_HELP, button)


def _read_url() -> rx.Component:
    button = rx.el.button(
        text.CHOOSE_URL,
        type="button",
        on_click=[HomeState.choose_source("http"), rx.set_focus(NAME_FIELD)],  # type: ignore[operator]
        class_name="button",
    )
    return _way(text.READ_URL, text.READ_URL_HELP, button)


def _way(title: str, help_text: str, *controls: rx.Component) -> rx.Component:
    return rx.el.div(rx.el.h3(title), rx.el.p(help_text), *controls, class_name="way")
