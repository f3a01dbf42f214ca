"""The source ``python``: async generators in real child processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from solo_app.batches.models import BatchStatus
from solo_app.batches.source import SourceKind
from solo_app.config import Settings, SettingsError
from solo_app.sources import create_sources
from tests.helpers.service import wait_until
from tests.sources.test_command import Run, end_of, numbers, processes, running

pytestmark = pytest.mark.anyio


def declare(folder: Path, body: str, more: str = "", target: str = "reader:read") -> SourceKind:
    """Return a source that runs a function with this body."""
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    (folder / "reader.py").write_text(
        f"import asyncio, os, random, sys, time\nasync def read(**arguments):\n{lines}"
    )
    file = folder / "solo.toml"
    file.write_text(f"[sources.a]\nkind = 'python'\ntarget = '{target}'\n{more}\n")
    return create_sources(Settings.model_construct(config=file, interval=1.0))["a"]


async def test_numbers_and_arrays_become_points(tmp_path: Path) -> None:
    body = "import numpy\nyield 1\nyield 2.5\nyield [3, 4]\nyield numpy.array([5, 6.5])"
    source = declare(tmp_path, f"{body}\nyield numpy.float64(7)")
    assert await numbers(source) == [1, 2.5, 3, 4, 5, 6.5, 7]


async def test_arguments_are_passed_to_the_function(tmp_path: Path) -> None:
    source = declare(tmp_path, "yield arguments['first']", "arguments = {first = 9}")
    assert await numbers(source) == [9]


async def test_arguments_can_contain_tables_and_arrays(tmp_path: Path) -> None:
    source = declare(
        tmp_path,
        "yield arguments['a']['b'][1] if arguments['c'] else len(arguments['d'])",
        "arguments = {a = {b = [1, 2.5]}, c = true, d = 'é'}",
    )
    assert await numbers(source) == [2.5]


async def test_wrong_arguments_fail_without_showing_them(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text("async def s3cret():\n    yield 1\n")
    more = "arguments = {s3cret = 1}"
    _, reason, log = await end_of(declare(tmp_path, "yield 1", more, "own:s3cret"))
    assert reason
    assert reason.endswith("`arguments` do not match the parameters of the function")
    assert "s3cret" not in f"{reason} {log}"


async def test_arguments_are_in_no_command_line_or_environment(tmp_path: Path) -> None:
    source = declare(
        tmp_path,
        "yield 1 if 's3cret' in str(os.environ) else 0\nyield os.getpid()\ntime.sleep(3600)",
        "arguments = {key = 's3cret'}",
    )
    async with running(source) as service:
        await wait_until(lambda: service.row_count(service.batch("a")) == 2)
        is_inherited, pid = [point.key for point in await service.points("a", 0, 2)]
        assert is_inherited == 0
        assert "s3cret" not in Path(f"/proc/{int(pid)}/cmdline").read_text()
        assert processes("s3cret") == []


async def test_printed_text_goes_to_the_log(tmp_path: Path) -> None:
    run = Run()
    assert await numbers(declare(tmp_path, "print('hello')\nyield 1"), run) == [1]
    assert run.lines == ["hello"]


@pytest.mark.parametrize("module", ["signal", "json", "json.reader"])
async def test_module_can_have_the_name_of_a_standard_module(tmp_path: Path, module: str) -> None:
    file = tmp_path / f"{module.replace('.', '/')}.py"
    file.parent.mkdir(exist_ok=True)
    (file.parent / "__init__.py").touch()
    file.write_text("async def read():\n    yield 7\n")
    assert await numbers(declare(tmp_path, "", target=f"{module}:read")) == [7]


async def test_item_is_a_point_as_soon_as_it_is_yielded(tmp_path: Path) -> None:
    async with running(declare(tmp_path, "yield 5\ntime.sleep(3600)")) as service:
        await wait_until(lambda: service.row_count(service.batch("a")) == 1)
        # Blocked code delays neither the app nor the stop.
        await service.stop("a")
        assert service.batch("a").run.status is BatchStatus.STOPPED


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("yield 1\nraise ValueError('sensor missing')", "ValueError: sensor missing"),
        ("yield None", "TypeError: must be real number, not"),
        ("yield '1'", "TypeError: must be real number, not"),
        ("import asyncio\nyield 1\nraise asyncio.CancelledError('s')", "CancelledError: s"),
        ("yield 1\nimport missing_package", "No module named 'missing_package'"),
        ("return 5", "`target` is not an async generator"),
    ],
)
async def test_failed_generator_shows_its_error(tmp_path: Path, body: str, expected: str) -> None:
    status, reason, _ = await end_of(declare(tmp_path, body))
    assert status is BatchStatus.FAILED
    assert reason
    assert expected in reason


async def test_infinity_and_nan_are_logged_and_skipped(tmp_path: Path) -> None:
    run = Run()
    body = "yield [1, float('nan'), float('inf'), 2]"
    assert await numbers(declare(tmp_path, body), run) == [1, 2]
    assert run.lines == ["Skipped: Line is not JSON: nan", "Skipped: Line is not JSON: inf"]


async def test_traceback_shows_line_numbers_but_no_names(tmp_path: Path) -> None:
    code = "async def s3cret_name():\n    yield 1\n    raise ValueError('no sensor')\n"
    (tmp_path / "s3cret.py").write_text(code)
    _, reason, log = await end_of(declare(tmp_path, "", target="s3cret:s3cret_name"))
    assert reason == "Exited with code 1: ValueError: no sensor"
    assert log[-4:-1] == ["  line 3", "    raise ValueError('no sensor')", "ValueError: no sensor"]
    assert "s3cret" not in str(log)


async def test_syntax_error_shows_its_line_but_no_names(tmp_path: Path) -> None:
    (tmp_path / "s3cret.py").write_text("import os\nasync def = 1\n")
    _, reason, log = await end_of(declare(tmp_path, "", target="s3cret:read"))
    assert reason == "Exited with code 1: SyntaxError: invalid syntax"
    assert "  line 2" in log
    assert "s3cret" not in str(log)


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("s3cret:read", "`target`: module not found"),
        ("reader:s3cret", "`target`: function not found"),
        ("reader:asyncio", "`target`: function not found"),
    ],
)
async def test_missing_target_fails_without_showing_it(
    tmp_path: Path, target: str, expected: str
) -> None:
    _, reason, log = await end_of(declare(tmp_path, "yield 1", target=target))
    assert reason == f"Exited with code 1: {expected}"
    assert "s3cret" not in str(log)


@pytest.mark.parametrize(
    ("more", "target", "expected"),
    [
        ("", "s3cret", "target: Must be module:function, such as reader:read."),
        ("", "a:b:c", "target: Must be module:function, such as reader:read."),
        ("", "a.py", "target: Must be module:function, such as reader:read."),
        (
            "arguments = {a = {b = 2026-01-01}}",
            "a:b",
            "arguments: Must be a JSON value; ",
        ),
        ("arguments = {a = {b = [nan]}}", "a:b", "arguments: Input should be a finite number."),
        pytest.param(
            f"arguments.a{3000 * '.b'} = 1", "a:b", "arguments: Is nested too deeply.", id="nested"
        ),
        ("arguments = 's3cret'", "a:b", "arguments: Must be a table or object."),
        ("cwd = 's3cret'", "a:b", "cwd: File or folder not found."),
    ],
)
def test_invalid_value_is_refused_without_showing_it(
    tmp_path: Path, more: str, target: str, expected: str
) -> None:
    with pytest.raises(SettingsError) as error:
        declare(tmp_path, "yield 1", more, target)
    assert str(error.value).startswith(f"{tmp_path / 'solo.toml'}: [sources.a] {expected}")
    assert "s3cret" not in str(error.value)


@pytest.mark.parametrize(
    ("target", "is_valid"),
    [
        ("reader:read", True),
        ("s3cret:read", False),
        ("reader.py:read", False),
        ("numpy.s3cret:read", False),
        ("__main__:read", False),
    ],
)
def test_startup_check_finds_the_module(tmp_path: Path, target: str, is_valid: bool) -> None:
    declare(tmp_path, "yield 1", target=target)
    (tmp_path / "reader.py").write_text("raise SystemExit")  # The check does not run it.
    settings = Settings.model_construct(config=tmp_path / "solo.toml", interval=1.0)
    if is_valid:
        assert "a" in create_sources(settings, is_startup_check=True)
    else:
        with pytest.raises(SettingsError) as error:
            create_sources(settings, is_startup_check=True)
        expected = f"{tmp_path / 'solo.toml'}: [sources.a] target: Module not found. For a file "
        assert str(error.value) == f"{expected}reader.py, use reader:FUNCTION."


def test_startup_check_finds_installed_modules(tmp_path: Path) -> None:
    declare(tmp_path, "yield 1", target="numpy.random:read")
    settings = Settings.model_construct(config=tmp_path / "solo.toml", interval=1.0)
    assert "a" in create_sources(settings, is_startup_check=True)
