"""The README is true: its settings are the code's, and it names only what is there."""

from __future__ import annotations

import re

from solo_app.config import Settings
from tests.helpers.running_app import PROJECT

README = (PROJECT / "README.md").read_text()


def rows_under(heading: str) -> list[list[str]]:
    """The cells of the first table below a heading, without its head."""
    table = README.split(f"\n## {heading}\n")[1].split("\n|", 1)[1].split("\n\n")[0]
    rows = [re.split(r"(?<!\\)\|", line.strip("|")) for line in table.splitlines()]
    return [[cell.strip() for cell in row] for row in rows[2:]]


def test_the_table_of_settings_is_the_codes() -> None:
    told = {row[0]: row[1:] for row in rows_under("Settings")}
    for field in Settings.model_fields.values():
        extra = field.json_schema_extra
        assert isinstance(extra, dict)
        default = str(field.default).lower() if isinstance(field.default, bool) else field.default
        shown = "none" if default is None else f"`{default}`"
        row = told.pop(f"`{field.validation_alias}`")
        assert row == [shown, field.description, extra["allowed"]]
    assert told == {}


def test_the_files_it_names_are_there() -> None:
    for path in re.findall(r"\]\(((?!http)[^)#]+)\)", README):
        assert (PROJECT / path).exists(), path
    drawing = README.split("## Architecture")[1].split("```")[1]
    for path in re.findall(r"((?:batches|api|ui)/\S*)", drawing):
        assert (PROJECT / "solo_app" / path).exists(), path
    for path in re.findall(r"(requirements\S*\.txt|\.ci/run)", README):
        assert (PROJECT / path).exists(), path
