"""Built-in source kinds, and those of installed packages."""

from __future__ import annotations

import importlib
import logging
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from solo_app.batches.models import RestartPolicy
from solo_app.config import Settings
from solo_app.sources import create_sources
from tests.helpers.memory_storage import MemoryStorage
from tests.helpers.running_app import PROJECT
from tests.helpers.service import open_service, wait_until

pytestmark = pytest.mark.anyio

BUILT_IN = ["random", "push", "host", "http", "mqtt"]

MODULE = """
from solo_app.batches.source import Parameters, SourceKind

async def read(parameters, context):
    yield parameters.first
    yield 2.0

class CountParameters(Parameters):
    first: float = 1.0

COUNT = SourceKind("count", "Two numbers.", CountParameters, read)
OTHER_COUNT = SourceKind("count", "Another kind with the same name.", CountParameters, read)
RANDOM = SourceKind("random", "Not random.", CountParameters, read)
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for installed packages."""
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def install(site: Path, module: str = MODULE, **entry_points: str) -> None:
    """Install a package with a module ``solo_example`` and these entry points."""
    (site / "solo_example.py").write_text(module)
    metadata = site / "solo_example-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: solo-example\nVersion: 1.0\n")
    lines = [f"{name} = solo_example:{value}" for name, value in entry_points.items()]
    (metadata / "entry_points.txt").write_text("\n".join(["[solo.sources]", *lines]))
    importlib.invalidate_caches()


def test_built_in_kinds_are_available() -> None:
    kinds = create_sources(Settings())
    assert list(kinds) == BUILT_IN
    assert [kinds[name].restart for name in BUILT_IN] == [
        RestartPolicy.NEVER,
        RestartPolicy.NEVER,
        RestartPolicy.ON_FAILURE,
        RestartPolicy.ON_FAILURE,
        RestartPolicy.ON_FAILURE,
    ]


async def test_kind_of_an_installed_package_can_be_started(site: Path) -> None:
    install(site, count="COUNT")
    kind = create_sources(Settings())["count"]
    async with open_service(MemoryStorage(), count=kind) as service:
        await service.start("b", "count", {"first": 7.0})
        await wait_until(lambda: not service.running())
        assert [point.key for point in await service.points("b", 0, 10)] == [7, 2]


async def test_documented_example_can_be_started(site: Path) -> None:
    document = (PROJECT / "docs" / "architecture.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", document, re.S)
    assert 'dice = "solo_dice:DICE"' in document
    install(site, code, dice="DICE")
    kind = create_sources(Settings())["dice"]
    async with open_service(MemoryStorage(), dice=kind) as service:
        await service.start("b", "dice", {"sides": 2})
        await wait_until(lambda: service.totals().row_count == 1)
        assert (await service.points("b", 0, 1))[0].key in (1, 2)


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("missing", "MISSING", "AttributeError"),
        ("function", "read", "is not a SourceKind"),
        ("random", "RANDOM", 'Source kind "random" already exists'),
    ],
)
def test_invalid_entry_point_is_logged_and_skipped(
    site: Path, caplog: pytest.LogCaptureFixture, name: str, value: str, reason: str
) -> None:
    install(site, **{name: value, "valid": "COUNT"})
    assert list(create_sources(Settings())) == [*BUILT_IN, "count"]
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith(f'Source kind "{name}" not loaded: ')
    assert reason in line
    assert "\n" not in line


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('COUNT = SourceKind("two words", "", CountParameters, read)', "not a valid name"),
        ('COUNT = SourceKind("untyped", "", dict, read)', "model_json_schema"),
        ('COUNT = SourceKind("a", "", CountParameters, read, declared_parameters=int)', "schema"),
    ],
)
def test_module_with_an_invalid_kind_is_logged_and_skipped(
    site: Path, caplog: pytest.LogCaptureFixture, line: str, reason: str
) -> None:
    install(site, MODULE + line, count="COUNT")
    assert list(create_sources(Settings())) == BUILT_IN
    assert 'Source kind "count" not loaded: ' in caplog.text
    assert reason in caplog.text


@pytest.mark.parametrize("module", ["raise OSError('one\\ntwo')", "import missing", "def f(:"])
def test_package_that_cannot_be_imported_is_logged_once(
    site: Path, caplog: pytest.LogCaptureFixture, module: str
) -> None:
    install(site, module, broken="COUNT")
    assert list(create_sources(Settings())) == BUILT_IN
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.getMessage().startswith('Source kind "broken" not loaded: ')
    assert "\n" not in record.getMessage()


def test_first_of_two_kinds_with_one_name_is_kept(
    site: Path, caplog: pytest.LogCaptureFixture
) -> None:
    install(site, count="COUNT", other="OTHER_COUNT")
    assert create_sources(Settings())["count"].description == "Two numbers."
    (record,) = caplog.records
    assert record.getMessage().startswith('Source kind "other" not loaded: ')
