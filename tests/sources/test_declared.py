"""Sources that ``solo.toml`` declares."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Self

import pytest
from pydantic import model_validator

from solo_app.batches.errors import InvalidConfigurationError
from solo_app.batches.models import utc_now
from solo_app.batches.source import DeclaredSource, Numbers, Parameters, RunContext, SourceKind
from solo_app.config import Settings, SettingsError
from solo_app.sources import create_sources, load_kinds
from solo_app.sources.declared import DeclaredFile, DeclaredFolder, read_declared_sources
from tests.helpers.memory_storage import MemoryStorage
from tests.helpers.service import FAST_RETRY, open_service, wait_until

SECRET = "s3cret-value"


class FileParameters(Parameters):
    file: DeclaredFile
    folder: DeclaredFolder


async def read_files(parameters: FileParameters, run: RunContext) -> AsyncIterator[Numbers]:
    run.log(f"{parameters.file} {parameters.folder}")
    yield 1.0


FILES = SourceKind("files", "For tests.", FileParameters, read_files, is_declared_only=True)


def declare(folder: Path, content: str) -> dict[str, SourceKind]:
    file = folder / "solo.toml"
    file.write_text(content)
    return create_sources(Settings.model_construct(config=file))


def test_declared_source_has_a_kind_and_no_parameters(tmp_path: Path) -> None:
    source = declare(tmp_path, '[sources.dice]\nkind = "random"\nlow = 1\nhigh = 6\n')["dice"]
    assert isinstance(source, DeclaredSource)
    assert (source.name, source.kind) == ("dice", "random")
    assert source.parse({}).model_dump() == {}
    with pytest.raises(InvalidConfigurationError):
        source.parse({"low": 2})


@pytest.mark.anyio
async def test_declared_source_runs_with_its_parameters(tmp_path: Path) -> None:
    sources = declare(tmp_path, '[sources.seven]\nkind = "random"\nlow = 7\nhigh = 7\n')
    async with open_service(MemoryStorage(), utc_now, False, FAST_RETRY, **sources) as service:
        batch = await service.start("a", "seven")
        await wait_until(lambda: service.row_count(batch) > 0)
        assert (await service.points("a", 0, 1))[0].key == 7
        assert service.parameters(batch.run) == {}


@pytest.mark.parametrize("content", ["", "[sources]\n", "# Nothing yet.\n"])
def test_file_can_declare_nothing(tmp_path: Path, content: str) -> None:
    assert set(declare(tmp_path, content)) == set(create_sources(Settings()))


def test_default_file_is_optional(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert not any(isinstance(s, DeclaredSource) for s in create_sources(Settings()).values())
    Path("solo.toml").write_text('[sources.cpu]\nkind = "host"\n')
    assert isinstance(create_sources(Settings())["cpu"], DeclaredSource)


@pytest.mark.anyio
async def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "data.csv").touch()
    (tmp_path / "solo.toml").write_text(
        '[sources.a]\nkind = "files"\nfile = "data.csv"\nfolder = "."\n'
    )
    [source] = read_declared_sources(tmp_path / "solo.toml", {"files": FILES})
    async with open_service(MemoryStorage(), utc_now, False, FAST_RETRY, a=source) as service:
        await service.start("a", "a")
        await wait_until(lambda: not service.running())
        texts = [line.text for line in await service.log("a")]
    assert f"{tmp_path / 'data.csv'} {tmp_path}" in texts


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (f'other = "{SECRET}"', "other: Unknown key. Declare sources as [sources.NAME]."),
        (f'[other]\na = "{SECRET}"', "other: Unknown key. Declare sources as [sources.NAME]."),
        (f'sources = "{SECRET}"', "sources: Must be a table."),
        (f'[sources]\na = "{SECRET}"', "[sources] a: Must be a table."),
        (f'[[sources.a]]\nkind = "{SECRET}"', "[sources] a: Must be a table."),
        ('"" = 1', "'': Unknown key. Declare sources as [sources.NAME]."),
        ('[sources.""]', "[sources] '': Use 1 to 64 letters, digits, "),
        ('[sources.a]\nkind = "host"\n"" = 1', "[sources.a] '': Unknown parameter."),
        ('[sources."a b"]', "[sources] a b: Use 1 to 64 letters, digits, dots, underscores or "),
        (r'[sources."a\nb"]', r"[sources] 'a\nb': Use 1 to 64 letters, digits"),
        ('[sources.http]\nkind = "host"', "[sources] http: Is the name of a source kind. Use "),
        ("[sources.a]\n", "[sources.a] kind: Must be one of random, host, http"),
        (f'[sources.a]\nkind = "{SECRET}"', "[sources.a] kind: Must be one of random, host, http"),
        ("[sources.a]\nkind = 5", "[sources.a] kind: Must be one of random, host, http"),
        ('[sources.a]\nkind = "push"', "[sources.a] kind: Must be one of random, host, http"),
        pytest.param(f"[sources.a]\nkind = 0x{4000 * 'F'}", "[sources.a] kind: Must", id="long"),
        pytest.param(f"[sources.a]\nkind{1000 * '.a'} = 1", "[sources.a] kind: Must", id="deep"),
        ('[sources.a]\nkind = "http"', "[sources.a] url: Field required."),
        (f'[sources.a]\nkind = "host"\nx = "{SECRET}"', "[sources.a] x: Unknown parameter."),
        ('[sources.a]\nkind = "host"\n"[key]" = 1', "[sources.a] [key]: Unknown parameter."),
        ('[sources.a]\nkind = "command"\nenv = {"[key]" = 1}', "[sources.a] env.[key]: Input"),
        (f'[sources.a]\nkind = "host"\ninterval = "{SECRET}"', "[sources.a] interval: Input"),
        ('[sources.a]\nkind = "host"\ninterval = nan', "[sources.a] interval: Input should"),
        ('[sources.a]\nkind = "random"\nlow = 5\nhigh = 4', "[sources.a] high: Must not be below"),
    ],
)  # fmt: skip
def test_error_names_file_table_and_key_but_no_value(
    tmp_path: Path, content: str, expected: str
) -> None:
    with pytest.raises(SettingsError) as error:
        declare(tmp_path, content)
    message = str(error.value)
    assert message.startswith(f"{tmp_path / 'solo.toml'}: {expected}")
    assert "\n" not in message
    assert SECRET not in message


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"[sources.a", ": Not valid TOML: "),
        (f"a = {SECRET}".encode(), ": Not valid TOML: "),
        (b"a = " + 5000 * b"[" + 5000 * b"]", ": Not valid TOML: "),
        pytest.param(b"a = " + 5000 * b"1", ": Not valid TOML: ", id="long integer"),
        (b"a = '\xff'", ": Not valid TOML: "),
        pytest.param(b"#" * 30_001, ": Longer than 30000 bytes.", id="long file"),
    ],
)
def test_file_that_is_not_toml_is_refused(tmp_path: Path, content: bytes, expected: str) -> None:
    file = tmp_path / "solo.toml"
    file.write_bytes(content)
    with pytest.raises(SettingsError) as error:
        create_sources(Settings.model_construct(config=file))
    message = str(error.value)
    assert message.startswith(f"{file}{expected}")
    assert "\n" not in message
    assert SECRET not in message


def test_named_pipe_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "solo.toml")
    with pytest.raises(SettingsError, match=r"solo.toml: Not a file\.$"):
        create_sources(Settings.model_construct(config=tmp_path / "solo.toml"))


class RangeParameters(Parameters):
    low: int
    high: int

    @model_validator(mode="after")
    def _check_range(self) -> Self:
        if self.low > self.high:
            raise ValueError("`low` is above `high`")
        return self


def test_error_of_a_whole_table_is_shown(tmp_path: Path) -> None:
    file = tmp_path / "solo.toml"
    file.write_text('[sources.a]\nkind = "range"\nlow = 2\nhigh = 1\n')
    kind = SourceKind("range", "For tests.", RangeParameters, read_files)
    with pytest.raises(SettingsError) as error:
        read_declared_sources(file, {"range": kind})
    assert str(error.value) == f"{file}: [sources.a] parameters: `low` is above `high`."


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('file = "missing"', "file: File or folder not found."),
        ('file = "."', "file: Must be a file."),
        ('file = ""', "file: Must be a file."),
        ("file = 5", "file: Must be a path."),
        (r'file = "a\u0000b"', "file: File or folder not found."),
        (f'file = "{"a" * 5000}"', "file: File or folder not found."),
        ('file = "solo.toml"\nfolder = "solo.toml"', "folder: Must be a folder."),
    ],
)
def test_missing_files_and_folders_are_refused(tmp_path: Path, line: str, expected: str) -> None:
    file = tmp_path / "solo.toml"
    file.write_text(f'[sources.a]\nkind = "files"\n{line}\n')
    with pytest.raises(SettingsError) as error:
        read_declared_sources(file, {"files": FILES})
    assert str(error.value) == f"{file}: [sources.a] {expected}"


VALID = {
    "random": {},
    "host": {},
    "http": {"url": "'http://localhost'"},
    "mqtt": {"host": "'localhost'", "topic": "'a'", "username": "'u'", "tls": "true"},
    "command": {"argv": "['ls']"},
    "python": {"target": "'a:b'"},
    "replay": {"path": "'data.csv'", "column": "'a'"},
}


def parameters() -> list[tuple[str, str]]:
    kinds = load_kinds(Settings()).values()
    return [
        (kind.name, name)
        for kind in kinds
        if kind.name != "push"
        for name in (kind.declared_parameters or kind.parameters).model_fields
    ]


@pytest.mark.parametrize(("kind", "name"), parameters())
def test_wrong_type_of_every_parameter_is_refused(tmp_path: Path, kind: str, name: str) -> None:
    (tmp_path / "data.csv").touch()
    # No parameter is a date.
    values = {"kind": f"'{kind}'", **VALID[kind], name: "2026-11-23"}
    table = "\n".join(f"{key} = {value}" for key, value in values.items())
    with pytest.raises(SettingsError) as error:
        declare(tmp_path, f"[sources.a]\n{table}\n")
    message = str(error.value)
    assert message.startswith(f"{tmp_path / 'solo.toml'}: [sources.a] {name}: ")
    assert "\n" not in message
    assert "2026" not in message
