"""The form that starts a batch: the names and ids of its fields, and what it submits."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import reflex as rx
from reflex.event import EventSpec

from solo_app.batches.errors import InvalidConfigurationError, SoloError, UnknownSourceError
from solo_app.batches.models import Batch, RestartPolicy
from solo_app.batches.source import DEFAULT_SOURCE, SourceKind
from solo_app.ui.source_fields import source_fields

FORM = "start-form"
NAME_FIELD = "batch-id"
SOURCE_FIELD = "source"

_PARAMETERS = "parameters."
_LABELS = ("unit", "description")
_FIELD_IDS = {"batch_id": NAME_FIELD, "source": SOURCE_FIELD}

Sources = Mapping[str, SourceKind]


def parameter_field(name: str) -> str:
    """Return the name of the field of a parameter, which is also its key in domain errors."""
    return f"{_PARAMETERS}{name}"


def field_id(field: str, source: str) -> str:
    """Return the id of a field. Parameters of different sources can have the same name."""
    if field.startswith(_PARAMETERS):
        return f"{source}-{field.removeprefix(_PARAMETERS)}"
    return _FIELD_IDS.get(field, field)


def form_text(form: Mapping[str, Any], name: str) -> str:
    """Return the text of a field without surrounding whitespace; empty if it is missing."""
    text = form.get(name)
    return text.strip() if isinstance(text, str) else ""


def start_options(
    form: Mapping[str, Any], sources: Sources, is_source_chosen: bool
) -> dict[str, Any]:
    """Convert a submitted form to the options of ``BatchService.start``.

    Empty fields and defaults are omitted. If the viewer has not chosen a source, and the
    configuration of the latest run has not been filled in yet, the service uses that configuration.
    The same applies if no source is selected: a page that was loaded before the operator declared
    the source of the latest run has no option for it.
    """
    is_filled = form_text(form, "filled") == form_text(form, "batch_id")
    selected = form_text(form, "source")
    source = selected or DEFAULT_SOURCE
    kind = sources.get(source)
    parameters = _parameters(form, kind) if kind else {}
    restart = next((p for p in RestartPolicy if p == form_text(form, "restart")), None)
    options: dict[str, Any] = {
        label: form_text(form, label) if is_filled else form_text(form, label) or None
        for label in _LABELS
    }
    is_specified = selected and (is_filled or is_source_chosen or source != DEFAULT_SOURCE)
    if not (is_specified or parameters):
        is_default = kind is None or restart is kind.restart
        return {**options, "restart": None if is_default else restart}
    return {**options, "source": source, "parameters": parameters, "restart": restart}


def _parameters(form: Mapping[str, Any], kind: SourceKind) -> dict[str, Any]:
    fields = {field.name: field for field in source_fields(kind)}
    texts = {name: form_text(form, parameter_field(name)) for name in fields}
    return {
        name: fields[name].to_value(text)
        for name, text in texts.items()
        if text not in ("", fields[name].to_text(fields[name].default))
    }


def label_values(batch: Batch) -> dict[str, str]:
    """Return the texts of the fields of the labels, by id."""
    return {"unit": batch.labels.unit, "description": batch.labels.description}


def parameter_values(batch: Batch, kind: SourceKind) -> dict[str, str]:
    """Return the texts of the fields of the latest run of a batch, by id."""
    values = {"restart": str(batch.run.restart)}
    for field in source_fields(kind):
        value = batch.run.parameters.get(field.name, field.default)
        values[field_id(parameter_field(field.name), kind.name)] = field.to_text(value)
    return values


def split_error(
    error: SoloError, kind: SourceKind | None
) -> tuple[dict[str, str], SoloError | None]:
    """Return the errors of the fields, and the error that concerns none of them."""
    if isinstance(error, UnknownSourceError):
        return {"source": str(error)}, None
    if not isinstance(error, InvalidConfigurationError):
        return {}, error
    fields = _fields_with_errors(kind)
    by_field: dict[str, str] = {}
    others: dict[str, str] = {}
    for location, message in error.errors.items():
        field = ".".join(location.split(".")[:2])  # The rest is a location within the value.
        if field in fields:
            by_field.setdefault(field, message)
        else:
            others[location] = message
    return by_field, InvalidConfigurationError(others) if others else None


def first_field(errors: Mapping[str, str], kind: SourceKind | None) -> str:
    """Return the id of the first field with an error, in the order of the form."""
    field = next(field for field in _fields_with_errors(kind) if field in errors)
    return field_id(field, kind.name if kind else "")


def _fields_with_errors(kind: SourceKind | None) -> list[str]:
    parameters = source_fields(kind) if kind else []
    return ["source", *(parameter_field(field.name) for field in parameters), *_LABELS]


def fill_fields(values: Mapping[str, str]) -> EventSpec:
    """Set the texts of fields by id."""
    return rx.call_script(
        f"for (const [id, text] of Object.entries({json.dumps(values)})) {{"
        " const field = document.getElementById(id);"
        " if (field?.type === 'checkbox') field.checked = text === 'true';"
        " else if (field) field.value = text }"
    )


def focus_field(element_id: str) -> EventSpec:
    """Focus a field, also in a closed ``<details>``."""
    return rx.call_script(
        f"const field = document.getElementById({json.dumps(element_id)});"
        " field?.closest('details')?.setAttribute('open', ''); field?.focus()"
    )


def read_source(handler: Any) -> EventSpec:
    """Send the source in the form to a handler."""
    return rx.call_script(f"document.getElementById('{SOURCE_FIELD}')?.value", callback=handler)


def reset_form(batch_id: str) -> EventSpec:
    """Reset the form; if it contains a different name, only its source."""
    return rx.call_script(
        f"if (document.getElementById('{NAME_FIELD}')?.value.trim() === {json.dumps(batch_id)})"
        f" document.getElementById('{FORM}').reset();"
        f" else document.getElementById('{SOURCE_FIELD}').value = '{DEFAULT_SOURCE}'"
    )
