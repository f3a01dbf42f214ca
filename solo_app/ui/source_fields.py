"""The fields of the form for the parameters of a source kind, from their JSON Schema."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from solo_app.batches.models import format_number
from solo_app.batches.source import SourceKind

MAX_SHOWN_LIMIT = 1_000_000_000
"""Limits beyond this number are not shown: they only guard against overflow."""


@dataclass(frozen=True, slots=True)
class SourceField:
    """A parameter as a field of a form, which contains text.

    ``type`` is a type of JSON Schema; any other than ``string``, ``number``, ``integer`` and
    ``boolean`` is edited as JSON. ``limits`` describes the allowed range, ``unit`` is shown next to
    the value. ``input_mode`` is the attribute of the same name in HTML. A field that is not
    required and has no default is optional.
    """

    name: str
    title: str
    help: str
    type: str
    default: Any = None
    choices: tuple[Any, ...] = ()
    limits: str = ""
    unit: str = ""
    input_mode: str = "text"
    is_required: bool = False

    @property
    def is_optional(self) -> bool:
        return not self.is_required and self.default is None

    @property
    def is_number(self) -> bool:
        return self.type in ("number", "integer") and not self.choices

    @property
    def is_checkbox(self) -> bool:
        return self.type == "boolean" and not self.choices

    @property
    def meaning_of_zero(self) -> str:
        """Return the meaning of 0 according to the help, such as "never"; empty if it has none."""
        return self.help.partition("0 = ")[2].partition(";")[0]

    def to_text(self, value: Any) -> str:
        """Return the text of a value; of a checkbox, ``true`` or ``false``."""
        if value is None:
            return ""
        if isinstance(value, float) and math.isfinite(value):
            return format_number(value)
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

    def to_value(self, text: str) -> Any:
        """Convert a text to a JSON value.

        Returns the text itself if it cannot be converted: the validation of the parameters reports
        it.
        """
        if self.choices:
            return next((value for value in self.choices if self.to_text(value) == text), text)
        try:
            return _CONVERTERS.get(self.type, json.loads)(text)
        except (ValueError, RecursionError):
            return text


def source_fields(kind: SourceKind) -> list[SourceField]:
    """Return the fields of a source kind, in the order of its parameters."""
    schema = kind.parameters.model_json_schema()
    required, definitions = schema.get("required", []), schema.get("$defs", {})
    return [
        _field(name, _flatten(parameter, definitions), is_required=name in required)
        for name, parameter in schema.get("properties", {}).items()
    ]


def _flatten(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    """Resolve a reference, and merge the schema of an optional value with that of the value."""
    reference = schema.get("$ref", "").rpartition("/")[2]
    options = [option for option in schema.get("anyOf", []) if option.get("type") != "null"]
    value = definitions.get(reference) or (options[0] if len(options) == 1 else {})
    return {**_flatten(value, definitions), **schema} if value else dict(schema)


def _field(name: str, schema: Mapping[str, Any], is_required: bool) -> SourceField:
    title, help_text = schema.get("title", name), schema.get("description", "")
    is_constant = "const" in schema
    return SourceField(
        name=name,
        title=title,
        help=help_text,
        type=schema.get("type", "object"),
        default=schema.get("default"),
        choices=(schema["const"],) if is_constant else tuple(schema.get("enum", ())),
        limits=_limits(schema),
        unit="s" if "seconds" in f"{title} {help_text}".casefold() else "",
        input_mode=_input_mode(schema),
        is_required=is_required,
    )


def _input_mode(schema: Mapping[str, Any]) -> str:
    if schema.get("format") == "uri":
        return "url"
    low = schema.get("minimum", schema.get("exclusiveMinimum", -1))
    # Some keyboards for numbers have no minus sign.
    return "decimal" if schema.get("type") in ("number", "integer") and low >= 0 else "text"


def _limits(schema: Mapping[str, Any]) -> str:
    low = _limit(schema, "minimum", "exclusiveMinimum")
    high = _limit(schema, "maximum", "exclusiveMaximum")
    if low and high:
        return f"{low}{_TO}{high}"
    if low:
        return f"{'at least' if 'minimum' in schema else 'above'} {low}"
    if high:
        return f"{'at most' if 'maximum' in schema else 'below'} {high}"
    return ""


def _limit(schema: Mapping[str, Any], *keywords: str) -> str:
    limit = next((schema[keyword] for keyword in keywords if keyword in schema), math.inf)
    return format_number(float(limit)) if abs(limit) <= MAX_SHOWN_LIMIT else ""


_TO = "\u2060–\u2060"
"""An en dash between word joiners, which prevent a line break."""


def _number(text: str) -> float:
    try:
        return _integer(text)
    except ValueError:
        return float(_check_digits(text))


def _integer(text: str) -> int:
    return int(_check_digits(text))


def _check_digits(text: str) -> str:
    """Raise ValueError for underscores and digits of other scripts, which Python accepts."""
    if "_" in text or not text.isascii():
        raise ValueError
    return text


_CONVERTERS: Mapping[str, Callable[[str], Any]] = {
    "string": str,
    "integer": _integer,
    "number": _number,
    "boolean": lambda text: text == "true",
}
