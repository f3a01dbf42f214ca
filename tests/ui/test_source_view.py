"""The parameters of a run on its page."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from enum import Enum
from typing import Any

from pydantic import Field

from solo_app.batches.models import BatchStatus, Run
from solo_app.batches.source import (
    DeclaredSource,
    Numbers,
    Parameters,
    RunContext,
    SourceKind,
)
from solo_app.ui.state.source_view import ParameterRow, parameter_rows


class ProbeParameters(Parameters):
    address: str = Field(title="Address")
    interval: float = Field(5, title="Interval", description="Seconds between two numbers")
    timeout: float = Field(2, title="Timeout", description="Seconds; 0 = no limit")
    secure: bool = False
    limit: int | None = Field(None, title="Limit")


async def read(_: ProbeParameters, __: RunContext) -> AsyncIterator[Numbers]:
    yield 0.0


PROBE = SourceKind("probe", "For tests.", ProbeParameters, read)


def run_with(parameters: dict[str, Any]) -> Run:
    return Run(1, "probe", BatchStatus.RUNNING, datetime(2026, 3, 1), 1, parameters=parameters)


def row(title: str, number: float | None = None, text: str = "", unit: str = "") -> ParameterRow:
    return {"title": title, "number": number, "text": text, "unit": unit}


def test_effective_parameters_have_titles_and_units() -> None:
    assert parameter_rows(PROBE, run_with({"address": "north", "secure": True})) == [
        row("Address", text="north"),
        row("Interval", number=5, unit="s"),
        row("Timeout", number=2, unit="s"),
        row("Secure", text="Yes"),
    ]


class Color(Enum):
    RED = "red"


class StructuredParameters(Parameters):
    color: Color = Color.RED
    tags: list[str] = ["a", "ä"]  # noqa: RUF012


def test_structured_parameters_are_shown_as_json() -> None:
    kind = SourceKind("structured", "For tests.", StructuredParameters, read)
    assert parameter_rows(kind, run_with({})) == [
        row("Color", text="red"),
        row("Tags", text='["a", "ä"]'),
    ]


def test_zero_is_shown_as_its_meaning() -> None:
    rows = parameter_rows(PROBE, run_with({"address": "north", "interval": 0, "timeout": 0}))
    assert rows[1:3] == [row("Interval", number=0, unit="s"), row("Timeout", text="No limit")]


def test_parameters_of_a_removed_kind_are_those_specified() -> None:
    assert parameter_rows(None, run_with({"address": "north", "limit": 3})) == [
        row("address", text="north"),
        row("limit", number=3),
    ]


def test_parameters_that_are_no_longer_valid_are_those_specified() -> None:
    assert parameter_rows(PROBE, run_with({"port": 4})) == [row("port", number=4)]


def test_declared_source_shows_its_kind_instead_of_parameters() -> None:
    kind = DeclaredSource("boiler", "For tests.", Parameters, read, kind="probe")
    assert parameter_rows(kind, run_with({})) == [
        row("Kind", text="probe"),
        row("Parameters", text="Set in solo.toml"),
    ]
