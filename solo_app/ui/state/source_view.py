"""The configuration of a run on the batch page."""

from __future__ import annotations

import json
from typing import TypedDict

from solo_app.batches.errors import InvalidConfigurationError
from solo_app.batches.models import Run
from solo_app.batches.source import DeclaredSource, SourceKind
from solo_app.ui import text
from solo_app.ui.source_fields import SourceField, source_fields


class ParameterRow(TypedDict):
    """A parameter. ``number`` is its value if it is a number, else ``text``."""

    title: str
    number: float | None
    text: str
    unit: str


def parameter_rows(kind: SourceKind | None, run: Run) -> list[ParameterRow]:
    """Return the effective parameters of a run, except optional ones without a value.

    If the kind is unknown or no longer accepts the parameters, return the specified ones. A
    declared source has its kind instead.
    """
    if isinstance(kind, DeclaredSource):
        return [_row(text.KIND, kind.kind), _row(text.PARAMETERS_TITLE, text.SET_BY_OPERATOR)]
    try:
        parameters = kind.parse(run.parameters) if kind else None
    except InvalidConfigurationError:
        parameters = None
    if kind is None or parameters is None:
        return [_row(name, value) for name, value in run.parameters.items()]
    values = parameters.model_dump(mode="json")
    return [
        _field_row(field, value)
        for field in source_fields(kind)
        if (value := values.get(field.name)) is not None
    ]


def _field_row(field: SourceField, value: object) -> ParameterRow:
    if value == 0 and field.meaning_of_zero:
        return _row(field.title, field.meaning_of_zero.capitalize())
    return _row(field.title, value, field.unit)


def _row(title: str, value: object, unit: str = "") -> ParameterRow:
    if isinstance(value, bool):
        value = text.YES if value else text.NO
    if isinstance(value, int | float):
        return {"title": title, "number": value, "text": "", "unit": unit}
    if not isinstance(value, str):
        value = json.dumps(value, ensure_ascii=False)
    return {"title": title, "number": None, "text": value, "unit": unit}
