"""The documents match the code: settings, links and the names of files and tests."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

from solo_app.batches.source import SourceKind
from solo_app.config import Settings
from solo_app.sources import load_kinds
from solo_app.sources.host import HostParameters
from tests.helpers.running_app import PROJECT

DOCUMENTS = [*PROJECT.glob("*.md"), *PROJECT.glob("docs/*.md")]
CODE = [path for folder in ("solo_app", "assets") for path in (PROJECT / folder).rglob("*.*")]


def anchor(heading: str) -> str:
    """The anchor that GitHub generates for a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def table_below(document: Path, heading: str) -> list[list[str]]:
    """The cells of the first table below a heading, without its header row."""
    section = document.read_text().split(f"\n## {heading}\n")[1]
    lines = [line for line in section.split("\n#")[0].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_readme_documents_every_setting() -> None:
    documented = {row[0]: row[1:] for row in table_below(PROJECT / "README.md", "Settings")}
    for field in Settings.model_fields.values():
        extra = field.json_schema_extra
        assert isinstance(extra, dict)
        default = str(field.default).lower() if isinstance(field.default, bool) else field.default
        shown = "none" if default is None else f"`{default}`"
        row = documented.pop(f"`{field.validation_alias}`")
        assert row == [shown, field.description, extra["allowed"]]
    assert documented == {}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_between_documents_lead_to_files_and_headings(document: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", document.read_text()):
        path, _, fragment = target.partition("#")
        linked = (document.parent / path) if path else document
        assert linked.exists(), target
        if fragment:
            headings = re.findall(r"^#+ (.*)", linked.read_text(), re.M)
            assert fragment in map(anchor, headings), target


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_named_code_files_exist(document: Path) -> None:
    for name in re.findall(r"`([\w/.-]+\.(?:py|js|css|html|toml))`", document.read_text()):
        if (PROJECT / name).exists() or name == str(Settings.model_fields["config"].default):
            continue
        assert any(path.as_posix().endswith(f"/{name}") for path in CODE), name


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_named_file_contains_the_named_definition(document: Path) -> None:
    for name, file in re.findall(r"`(\w+)` in `([\w/]+\.py)`", document.read_text()):
        paths = [path for path in CODE if path.as_posix().endswith(f"/{file}")]
        assert any(re.search(rf"\b{name}\b", path.read_text()) for path in paths), name


def test_architecture_names_existing_tests() -> None:
    text = (PROJECT / "docs" / "architecture.md").read_text()
    names = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", text)
    assert names
    for path, function in names:
        source = (PROJECT / path).read_text()
        assert not function or f"def {function}(" in source, f"{path}::{function}"


def parameters_of(kind: SourceKind) -> Iterator[tuple[list[str], str]]:
    """Yield the cells of each parameter and its description, which is empty if it has none."""
    startable: dict[str, Any] = {}
    if not kind.is_declared_only:
        startable = kind.parameters.model_json_schema()["properties"]
    model = kind.declared_parameters or kind.parameters
    for name, field in model.model_json_schema()["properties"].items():
        value = field.get("default", "required")
        default = value if isinstance(value, str) else json.dumps(value)
        cells = [kind.name, name, "" if value in (None, {}) else default]
        yield [*cells, "" if name in startable else "yes"], field.get("description", "")


def test_sources_documents_every_parameter() -> None:
    rows = [
        [cell.strip("`") for cell in row]
        for row in table_below(PROJECT / "docs" / "sources.md", "Kinds and parameters")
    ]
    expected = [row for kind in load_kinds(Settings()).values() for row in parameters_of(kind)]
    assert [row[:4] for row in rows] == [cells for cells, _ in expected]
    for row, (_, description) in zip(rows, expected, strict=True):
        assert row[4] == description or not description


def test_sources_documents_every_metric() -> None:
    document = (PROJECT / "docs" / "sources.md").read_text()
    for metric in get_args(HostParameters.model_fields["metric"].annotation):
        assert f"`{metric}`" in document


def test_sources_contains_every_example() -> None:
    document = (PROJECT / "docs" / "sources.md").read_text()
    for path in (PROJECT / "examples").iterdir():
        if path.suffix == ".csv":
            assert f"(../examples/{path.name})" in document
        elif path.is_file():
            assert f"\n{path.read_text()}```" in document, path.name
