"""The form that starts a batch, with its errors next to the field."""

from __future__ import annotations

import reflex as rx

from solo_app.batches.runner import BATCH_LIMIT
from solo_app.ui import text
from solo_app.ui.state.home import NAME_FIELD, HomeState

_ERROR = "batch-id-error"


def new_batch() -> rx.Component:
    """Return the form: label, field, button, and the error, if any."""
    return rx.el.form(
        rx.el.label(text.NEW_BATCH, html_for=NAME_FIELD),
        rx.el.div(
            rx.el.input(
                id=NAME_FIELD,
                name="batch_id",
                type="text",
                placeholder=text.NEW_BATCH_EXAMPLE,
                auto_complete="off",
                auto_capitalize="none",
                spell_check=False,
                enter_key_hint="go",
                max_length=200,
                custom_attrs={"aria-keyshortcuts": "/ n"},
                on_change=rx.cond(HomeState.error != "", HomeState.clear_error, rx.noop()),
                aria_invalid=HomeState.error != "",
                aria_describedby=_ERROR,
                class_name="field",
            ),
            rx.el.button(text.START, type="submit", class_name="button primary"),
            class_name="row",
        ),
        rx.el.p(
            rx.cond(HomeState.error != "", _error(), _hint()),
            id=_ERROR,
            class_name="hint",
        ),
        _shortcuts(),
        on_submit=HomeState.start,
        class_name="start-form",
    )


class _ShortcutsSwitch(rx.Component):
    library = "$/public/input.js"
    tag = "ShortcutsSwitch"


def _shortcuts() -> rx.Component:
    """Return the switch for the keyboard shortcuts. Its label describes them."""
    before, slash, between, letter, after = text.KEYS
    return _ShortcutsSwitch.create(before, rx.el.kbd(slash), between, rx.el.kbd(letter), after)


def _hint() -> rx.Component:
    at_once = rx.el.button(
        HomeState.suggested_name,
        type="button",
        on_click=HomeState.start({"batch_id": HomeState.suggested_name}),  # type: ignore[misc]
        aria_label=f"Start {HomeState.suggested_name}",
        class_name="link",
    )
    return rx.fragment(
        text.NEW_BATCH_HINT,
        rx.cond(HomeState.running_count < BATCH_LIMIT, rx.fragment(text.OR_AT_ONCE, at_once)),
    )


def _error() -> rx.Component:
    return rx.el.span(
        HomeState.error,
        rx.cond(
            HomeState.already_running != "",
            rx.fragment(" ", rx.el.a(text.OPEN_IT, href=f"/batch/{HomeState.already_running}")),
        ),
        role="alert",
        class_name="error",
    )
