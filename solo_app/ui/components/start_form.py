"""The form that starts a batch, with its errors next to the field."""

from __future__ import annotations

import reflex as rx

from solo_app.batches.runner import BATCH_LIMIT
from solo_app.ui import text
from solo_app.ui.components.shortcuts import with_key_hint
from solo_app.ui.state.home import NAME_FIELD, HomeState

_HELP = "batch-id-help"


def start_form() -> rx.Component:
    """Return the form: label, field, button, and the help or the error."""
    has_error = HomeState.error != ""
    return rx.el.form(
        rx.el.label(text.NEW_BATCH, html_for=NAME_FIELD),
        rx.el.div(
            with_key_hint(_field(), "n"),
            rx.el.button(text.START, type="submit", class_name="button primary"),
            class_name="row",
        ),
        rx.el.p(rx.cond(has_error, _error(), _help()), id=_HELP, class_name="hint"),
        on_submit=HomeState.start,
        class_name="start-form",
    )


def _field() -> rx.Component:
    has_error = HomeState.error != ""
    return rx.el.input(
        id=NAME_FIELD,
        name="batch_id",
        type="text",
        placeholder=text.NAME_EXAMPLE,
        auto_complete="off",
        auto_capitalize="none",
        spell_check=False,
        enter_key_hint="go",
        max_length=200,
        custom_attrs={"aria-keyshortcuts": "n"},
        on_change=rx.cond(has_error, HomeState.clear_error, rx.noop()),
        aria_invalid=has_error,
        aria_describedby=_HELP,
        class_name="field",
    )


def _help() -> rx.Component:
    suggestion = rx.el.button(
        HomeState.suggested_name,
        type="button",
        on_click=HomeState.start({"batch_id": HomeState.suggested_name}),  # type: ignore[misc]
        aria_label=text.START_BATCH.format(batch_id=HomeState.suggested_name),
        class_name="link",
    )
    has_suggestion = HomeState.is_loaded & (HomeState.running_count < BATCH_LIMIT)
    return rx.fragment(
        text.NAME_HELP,
        rx.cond(has_suggestion, rx.fragment(" · ", text.SUGGESTION, suggestion)),
    )


def _error() -> rx.Component:
    return rx.el.span(
        HomeState.error,
        rx.cond(
            HomeState.already_running != "",
            rx.fragment(" ", rx.el.a(text.OPEN, href=f"/batch/{HomeState.already_running}")),
        ),
        role="alert",
        class_name="error",
    )
