"""The form that starts a batch: name, source with its parameters, labels and restart policy.

The fields of all sources are part of the page, so that switching to another source keeps what the
viewer has entered. The page keeps all input across a restart of the server.
"""

from __future__ import annotations

from typing import Any

import reflex as rx
from reflex.event import key_event
from reflex_components_core.el import Form

from solo_app.batches.models import RestartPolicy
from solo_app.batches.runner import BATCH_LIMIT
from solo_app.batches.source import DEFAULT_SOURCE, DeclaredSource, SourceKind
from solo_app.ui import format as fmt
from solo_app.ui import text
from solo_app.ui.components.shortcuts import with_key_hint
from solo_app.ui.source_fields import SourceField, source_fields
from solo_app.ui.state.home import HomeState
from solo_app.ui.state.start_form import (
    FORM,
    NAME_FIELD,
    SOURCE_FIELD,
    Sources,
    field_id,
    parameter_field,
)

_TITLE = "start-form-title"
_PAUSE = 300
"""Milliseconds without input after which the viewer has probably typed the whole name."""


def start_form(sources: Sources) -> rx.Component:
    """Return the form. The parameters of ``random`` are in "More", because none is required."""
    default = sources[DEFAULT_SOURCE]
    others = [kind for kind in sources.values() if kind is not default]
    return _Form.create(
        rx.el.h2(text.NEW_BATCH, id=_TITLE),
        _name(),
        _source(sources),
        *[_parameters(kind) for kind in others],
        _more(default),
        rx.el.input(type="hidden", name="filled", value=HomeState.filled),
        rx.el.button(text.START, type="submit", class_name="button primary"),
        id=FORM,
        on_submit=HomeState.start,
        on_key_down=lambda key: rx.cond(
            (key == "Escape") & (HomeState.source != DEFAULT_SOURCE), HomeState.fold, rx.noop()
        ),
        aria_labelledby=_TITLE,
        class_name=rx.cond(
            HomeState.source == DEFAULT_SOURCE, "card start-form", "card start-form unfolded"
        ),
    )


class _Form(Form):  # type: ignore[misc]
    """A form with the event trigger for keys, which Reflex has only on fields."""

    on_key_down: rx.EventHandler[key_event]  # type: ignore[type-arg, valid-type]


def _name() -> rx.Component:
    has_error = HomeState.error != ""
    field = rx.el.input(
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
        on_change=[
            rx.cond(has_error, HomeState.clear_error, rx.noop()),
            HomeState.load_configuration.debounce(_PAUSE),  # type: ignore[attr-defined]
        ],
        aria_invalid=has_error,
        aria_describedby=_help_id(NAME_FIELD),
        class_name="field",
    )
    return _labelled(NAME_FIELD, text.NAME, with_key_hint(field, "n"), _name_help())


def _name_help() -> rx.Component:
    return rx.cond(
        HomeState.error != "",
        _name_error(),
        rx.cond(
            HomeState.running_count >= BATCH_LIMIT,
            text.LIMIT_REACHED,
            rx.cond(HomeState.known_batch != "", _known_batch(), _suggestion()),
        ),
    )


def _name_error() -> rx.Component:
    return rx.el.span(
        HomeState.error,
        rx.cond(
            HomeState.already_running != "",
            rx.fragment(" ", rx.el.a(text.OPEN, href=f"/batch/{HomeState.already_running}")),
        ),
        role="alert",
        class_name="error",
    )


def _known_batch() -> rx.Component:
    rows = fmt.count(HomeState.known_rows, "row", "rows")
    is_filled_in = (HomeState.filled != "") & ~HomeState.is_source_chosen
    return rx.el.span(
        text.KNOWN_BATCH.format(batch_id=HomeState.known_batch, rows=rows),
        rx.cond(is_filled_in, f" {text.FILLED_IN}", ""),
        role="status",
    )


def _suggestion() -> rx.Component:
    """Return the rule for names, and a suggested name that starts a batch with one click."""
    button = rx.el.button(
        HomeState.suggested_name,
        type="button",
        on_click=HomeState.start({"batch_id": HomeState.suggested_name}),  # type: ignore[misc]
        aria_label=text.START_BATCH.format(batch_id=HomeState.suggested_name),
        class_name="link",
    )
    is_shown = HomeState.is_loaded & (HomeState.source == DEFAULT_SOURCE)
    return rx.fragment(
        text.NAME_HELP,
        rx.cond(is_shown, rx.el.span(" · ", text.SUGGESTION, button, class_name="suggestion")),
    )


def _source(sources: Sources) -> rx.Component:
    select = rx.el.select(
        *_source_options(sources),
        id=SOURCE_FIELD,
        name="source",
        default_value=DEFAULT_SOURCE,
        on_change=HomeState.choose_source,
        **_error_attributes("source", SOURCE_FIELD),
    )
    texts = [(kind.name, _source_help(kind)) for kind in sources.values()]
    help_text = _help("source", rx.match(HomeState.source, *texts, ""))
    return _labelled(SOURCE_FIELD, text.SOURCE_TITLE, select, help_text)


def _source_options(sources: Sources) -> list[rx.Component]:
    groups: dict[str, list[rx.Component]] = {
        text.BUILT_IN: [],
        text.THIRD_PARTY: [],
        text.DECLARED: [],
    }
    for kind in sources.values():
        groups[_group(kind)].append(rx.el.option(_option(kind), value=kind.name))
    return [rx.el.optgroup(*options, label=label) for label, options in groups.items() if options]


def _group(kind: SourceKind) -> str:
    if isinstance(kind, DeclaredSource):
        return text.DECLARED
    is_built_in = getattr(kind.read, "__module__", "").startswith("solo_app.")
    return text.BUILT_IN if is_built_in else text.THIRD_PARTY


def _option(kind: SourceKind) -> str:
    if isinstance(kind, DeclaredSource):
        return kind.name
    return text.SOURCE_OPTION.format(name=kind.name, description=kind.description.rstrip("."))


def _source_help(kind: SourceKind) -> str:
    """Return the help of a source. The description of a source kind is in its option."""
    if isinstance(kind, DeclaredSource):
        return text.DECLARED_HELP.format(description=kind.description)
    return ""


def _parameters(kind: SourceKind) -> rx.Component:
    """Return the fields of a source, disabled unless it is selected. Disabled ones are hidden."""
    fields = source_fields(kind)
    if not fields:
        return rx.fragment()
    return rx.el.fieldset(
        *[_parameter(kind, field) for field in fields],
        disabled=HomeState.source != kind.name,
        aria_label=text.PARAMETERS.format(source=kind.name),
        class_name="fields",
    )


def _more(default: SourceKind) -> rx.Component:
    labels = [
        _text_field("unit", text.UNIT, text.UNIT_HELP),
        _text_field("description", text.DESCRIPTION_LABEL, ""),
    ]
    restart = rx.el.select(
        *[
            rx.el.option(text.RESTART_POLICIES[policy], value=str(policy))
            for policy in RestartPolicy
        ],
        id="restart",
        name="restart",
        default_value=str(default.restart),
        aria_describedby=_help_id("restart"),
        class_name="field",
    )
    return rx.el.details(
        rx.el.summary(text.MORE),
        rx.el.div(
            *labels,
            _labelled("restart", text.RESTART, restart, text.RESTART_HELP),
            class_name="fields",
        ),
        _parameters(default),
    )


def _text_field(name: str, label: str, help_text: str) -> rx.Component:
    field = rx.el.input(
        id=name,
        name=name,
        type="text",
        auto_complete="off",
        **_editable(name, name),
    )
    return _labelled(name, label, field, _help(name, help_text), is_optional=True)


def _parameter(kind: SourceKind, field: SourceField) -> rx.Component:
    name = parameter_field(field.name)
    element_id = field_id(name, kind.name)
    help_text = "\u00a0· ".join(filter(None, (field.help, field.limits)))
    return _labelled(
        element_id,
        field.title,
        _control(field, name, element_id),
        _help(name, help_text),
        is_optional=field.is_optional,
        is_number=field.is_number,
    )


def _control(field: SourceField, name: str, element_id: str) -> rx.Component:
    attributes = {"id": element_id, "name": name, **_editable(name, element_id)}
    default = field.to_text(field.default)
    if field.is_checkbox:
        # The hidden field submits the value of an empty checkbox.
        return rx.fragment(
            rx.el.input(type="hidden", name=name, value="false"),
            rx.el.input(
                **{**attributes, "class_name": "checkbox"},
                type="checkbox",
                value="true",
                default_checked=field.default is True,
            ),
        )
    if field.choices:
        values = [field.to_text(value) for value in field.choices]
        options = [rx.el.option(value, value=value) for value in values]
        if default not in values:
            options.insert(0, rx.el.option(text.NO_CHOICE, value=""))
        return rx.el.select(*options, **attributes, default_value=default)
    control = rx.el.input(
        **attributes,
        type="text",
        input_mode=field.input_mode,
        default_value=default,
        auto_complete="off",
        spell_check=False,
        aria_required=field.is_required,
    )
    if not field.unit:
        return control
    unit = rx.el.span(field.unit, aria_hidden="true", class_name="field-unit")
    return rx.el.span(control, unit, class_name="with-unit")


def _labelled(
    element_id: str,
    label: str,
    control: rx.Component,
    below: Any,
    is_optional: bool = False,
    is_number: bool = False,
) -> rx.Component:
    """Return a control with its label, and its help or error."""
    optional = rx.el.span(text.OPTIONAL, class_name="optional")
    return rx.el.div(
        rx.el.label(label, *([optional] if is_optional else []), html_for=element_id),
        control,
        rx.el.p(below, id=_help_id(element_id), class_name="hint"),
        class_name="form-field number" if is_number else "form-field",
    )


def _help(name: str, help_text: Any) -> rx.Component:
    """Return the help, or the error of a field in its place."""
    return rx.cond(
        _has_error(name),
        rx.el.span(_error(name), role="alert", class_name="error"),
        help_text,
    )


def _editable(name: str, element_id: str) -> dict[str, Any]:
    """Return the attributes of a control whose error disappears when it is edited."""
    clear = rx.cond(_has_error(name), HomeState.clear_field_error(name), rx.noop())  # type: ignore[operator]
    return {**_error_attributes(name, element_id), "on_change": clear}


def _error_attributes(name: str, element_id: str) -> dict[str, Any]:
    return {
        "aria_invalid": _has_error(name),
        "aria_describedby": _help_id(element_id),
        "class_name": "field",
    }


def _has_error(name: str) -> Any:
    return HomeState.field_errors.contains(name)


def _error(name: str) -> Any:
    return HomeState.field_errors[name]  # type: ignore[call-overload]


def _help_id(element_id: str) -> str:
    return f"{element_id}-help"
