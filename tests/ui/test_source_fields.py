"""The fields of the form are generated from the parameter model of a source kind."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Literal

import pytest
from pydantic import Field

from solo_app.batches.source import Parameters
from solo_app.sources.http import HTTP
from solo_app.sources.random import random_kind
from solo_app.ui.source_fields import SourceField, source_fields
from tests.helpers.service import parameterized_kind


class Metric(StrEnum):
    CPU = "cpu"
    MEMORY = "memory"


class Example(Parameters):
    url: str = Field(title="URL", description="Address to read")
    every: float = Field(5, ge=0.1, le=3600, title="Every", description="Seconds between reads")
    attempts: int = Field(3, gt=0)
    seed: int | None = Field(None, ge=0, title="Seed")
    metric: Metric = Metric.MEMORY
    level: Literal[1, 2] = 1
    verify: bool = True
    headers: dict[str, str] = Field({})


TO = "\u2060–\u2060"
FIELDS = {field.name: field for field in source_fields(parameterized_kind("example", Example))}


def test_fields_have_titles_help_and_defaults() -> None:
    assert FIELDS["url"] == SourceField("url", "URL", "Address to read", "string", is_required=True)
    assert [(field.title, field.to_text(field.default)) for field in FIELDS.values()] == [
        ("URL", ""),
        ("Every", "5"),
        ("Attempts", "3"),
        ("Seed", ""),
        ("Metric", "memory"),
        ("Level", "1"),
        ("Verify", "true"),
        ("Headers", "{}"),
    ]


def test_fields_show_limits_and_units() -> None:
    limits = {name: (field.limits, field.unit) for name, field in FIELDS.items()}
    assert limits["every"] == (f"0.1{TO}3600", "s")
    assert limits["attempts"] == ("above 0", "")
    assert limits["seed"] == ("at least 0", "")
    random = {field.name: field.limits for field in source_fields(random_kind(0.25))}
    assert random == {"interval": f"0{TO}3600", "low": "", "high": "", "seed": "at least 0"}


def test_keyboard_of_a_phone_suits_the_field() -> None:
    modes = {field.name: field.input_mode for field in source_fields(HTTP)}
    assert modes["url"] == "url"
    assert modes["timeout"] == "decimal"
    assert FIELDS["attempts"].input_mode == "decimal"
    random = {field.name: field.input_mode for field in source_fields(random_kind(0.25))}
    assert random["low"] == "text"  # Some keyboards for numbers have no minus sign.


def test_only_fields_without_a_default_are_optional() -> None:
    assert [name for name, field in FIELDS.items() if field.is_optional] == ["seed"]


def test_enumerations_have_choices_and_booleans_a_checkbox() -> None:
    assert FIELDS["metric"].choices == ("cpu", "memory")
    assert FIELDS["level"].choices == (1, 2)
    assert [name for name, field in FIELDS.items() if field.is_checkbox] == ["verify"]


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("url", "5", "5"),
        ("every", "5", 5),
        ("every", "0.5", 0.5),
        ("every", "0,5", "0,5"),
        ("every", "1_0", "1_0"),
        ("every", "٣", "٣"),
        ("attempts", "7", 7),
        ("attempts", "1_0", "1_0"),
        ("attempts", "7.5", "7.5"),
        ("attempts", "9" * 5000, "9" * 5000),
        ("seed", "8", 8),
        ("metric", "cpu", "cpu"),
        ("metric", "disk", "disk"),
        ("level", "2", 2),
        ("verify", "true", True),
        ("verify", "false", False),
        ("headers", '{"a": "b"}', {"a": "b"}),
        ("headers", "{", "{"),
        ("headers", "[" * 100_000, "[" * 100_000),
    ],
)
def test_text_is_converted_by_type(name: str, text: str, value: Any) -> None:
    converted = FIELDS[name].to_value(text)
    assert (converted, type(converted)) == (value, type(value))


@pytest.mark.parametrize(
    ("name", "value"),
    [("every", 0.1), ("every", 1e300), ("attempts", 2**53), ("headers", {"ü": "€"})],
)
def test_text_of_a_value_converts_back(name: str, value: Any) -> None:
    field = FIELDS[name]
    assert field.to_value(field.to_text(value)) == value
