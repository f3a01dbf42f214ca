"""The source ``command``, with real programs."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from solo_app.batches.errors import SourceError
from solo_app.batches.models import BatchStatus, RestartPolicy, utc_now
from solo_app.batches.service import BatchService
from solo_app.batches.source import SourceKind
from solo_app.config import Settings, SettingsError
from solo_app.sources import create_sources
from solo_app.sources.command import parse_lines
from solo_app.sources.process import read_lines
from tests.helpers.memory_storage import MemoryStorage
from tests.helpers.service import FAST_RETRY, open_service, wait_until

pytestmark = pytest.mark.anyio


class Run:
    """A run that records its log."""

    idle_seconds = 0.0

    def __init__(self) -> None:
        self.lines: list[str] = []

    def log(self, text: str) -> None:
        self.lines.extend(text.splitlines())


def declare(folder: Path, shell: str, more: str = "") -> SourceKind:
    """Return a source that runs a shell command."""
    file = folder / "solo.toml"
    file.write_text(f"[sources.a]\nkind = 'command'\nargv = ['sh', '-c', '''{shell}''']\n{more}\n")
    return create_sources(Settings.model_construct(config=file, interval=1.0))["a"]


async def numbers(source: SourceKind, run: Run | None = None) -> list[float]:
    """Return all numbers of a source that ends."""
    values: list[float] = []
    async with aclosing(source.read(source.parse({}), run or Run())) as items:  # type: ignore[type-var]
        async for item in items:
            values += item.tolist() if hasattr(item, "tolist") else [item]
    return values


@asynccontextmanager
async def running(source: SourceKind) -> AsyncIterator[BatchService]:
    """Open a service and start batch ``a``, without restarts."""
    async with open_service(MemoryStorage(), utc_now, False, FAST_RETRY, a=source) as service:
        await service.start("a", "a", restart=RestartPolicy.NEVER)
        yield service


async def end_of(source: SourceKind) -> tuple[BatchStatus, str | None, list[str]]:
    """Run a source to its end. Returns the status, the reason and the log."""
    async with running(source) as service:
        await wait_until(lambda: not service.running(), 15)
        log = [line.text for line in await service.log("a")]
        run = service.batch("a").run
        return run.status, run.reason, log


def processes(marker: str) -> list[psutil.Process]:
    """Return the processes with a text in their command line."""
    return [
        process
        for process in psutil.process_iter(["cmdline", "status"])
        if any(marker in argument for argument in process.info["cmdline"] or [])
        and process.info["status"] != psutil.STATUS_ZOMBIE
    ]


async def test_lines_become_numbers(tmp_path: Path) -> None:
    source = declare(tmp_path, "printf '1\\n-2.5\\n\\n{\"key\": 3}\\r\\n4e2\\n'")
    assert await numbers(source) == [1, -2.5, 3, 400]


async def test_pointer_finds_the_number_in_each_line(tmp_path: Path) -> None:
    source = declare(tmp_path, 'printf \'{"a": [7]}\\n{"a": [8.5]}\\n\'', "pointer = '/a/0'")
    assert await numbers(source) == [7, 8.5]


@pytest.mark.parametrize(
    "line", ["nan", "NaN", "inf", "Infinity", "1_000", "0x10", "1,2", "1e400", "+1", "true", "one"]
)
def test_line_without_a_number_is_logged_and_skipped(line: str) -> None:
    run = Run()
    assert parse_lines([b"1", line.encode(), b"2"], run) == [1, 2]
    assert len(run.lines) == 1
    assert run.lines[0].startswith("Skipped: Line is ")
    assert run.lines[0].endswith(line)


def test_object_without_a_pointer_needs_the_member_key() -> None:
    run = Run()
    lines = [b'{"key": 1, "unit": "V"}', b'{"volts": 2}', b'{"key": "3"}']
    assert parse_lines(lines, run) == [1]
    reason = "Skipped: Line has no number in `key`, and no `pointer` is declared"
    assert run.lines == [f'{reason}: {{"volts": 2}}', f'{reason}: {{"key": "3"}}']


def test_lines_are_never_combined() -> None:
    lines = [b"1,2", b'{"key":3', b'"key":4}', b"5"]
    assert parse_lines(lines, Run()) == [5]


async def test_line_is_a_point_as_soon_as_it_is_printed(tmp_path: Path) -> None:
    async with running(declare(tmp_path, "echo 5; exec sleep 3600")) as service:
        await wait_until(lambda: service.row_count(service.batch("a")) == 1)


async def test_unterminated_line_counts_if_the_program_succeeds(tmp_path: Path) -> None:
    assert await numbers(declare(tmp_path, "printf '1\\n23'")) == [1, 23]
    status, reason, _ = await end_of(declare(tmp_path, "printf '1\\n23'; exit 3"))
    assert (status, reason) == (BatchStatus.FAILED, "Exited with code 3")


async def test_failed_program_shows_its_last_error_line(tmp_path: Path) -> None:
    source = declare(tmp_path, "echo first >&2; echo no sensor >&2; exit 1")
    status, reason, log = await end_of(source)
    assert (status, reason) == (BatchStatus.FAILED, "Exited with code 1: no sensor")
    assert {"first", "no sensor"} <= set(log)


async def test_signal_that_ended_the_program_is_named(tmp_path: Path) -> None:
    status, reason, _ = await end_of(declare(tmp_path, "kill -9 $$"))
    assert (status, reason) == (BatchStatus.FAILED, "Terminated by SIGKILL")


async def test_unknown_signal_is_shown_as_exit_code(tmp_path: Path) -> None:
    status, reason, _ = await end_of(declare(tmp_path, "exit 165"))
    assert (status, reason) == (BatchStatus.FAILED, "Exited with code 165")


async def test_program_that_prints_nothing_finishes(tmp_path: Path) -> None:
    status, reason, _ = await end_of(declare(tmp_path, "true"))
    assert (status, reason) == (BatchStatus.FINISHED, None)


async def test_environment_has_no_settings_of_the_app(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOLO_TOKEN", "secret")
    source = declare(tmp_path, "echo ${SOLO_TOKEN:-1}; echo $OWN", "env = {OWN = '2'}")
    assert await numbers(source) == [1, 2]


async def test_program_runs_in_the_folder_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "value").write_text("6\n")
    assert await numbers(declare(tmp_path, "cat value")) == [6]
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "value").write_text("7\n")
    assert await numbers(declare(tmp_path, "cat value", "cwd = 'sub'")) == [7]


async def test_overlong_line_is_skipped(tmp_path: Path) -> None:
    run = Run()
    source = declare(tmp_path, "head -c 1000000 /dev/zero | tr '\\\\0' 1; echo; echo 2")
    assert await numbers(source, run) == [2]
    [line] = run.lines
    assert line.startswith("Skipped: Line is longer than 65536 bytes: ")


async def test_last_line_of_a_long_progress_bar_is_the_reason(tmp_path: Path) -> None:
    script = "yes 'step' | head -n 30000 | tr '\\n' '\\r' >&2; printf 'disk gone' >&2; exit 3"
    with pytest.raises(SourceError, match="Exited with code 3: disk gone"):
        await numbers(declare(tmp_path, script))


async def test_flood_on_standard_error_does_not_block(tmp_path: Path) -> None:
    source = declare(tmp_path, "head -c 3000000 /dev/zero >&2; yes x | head -n 500000 >&2; echo 3")
    assert await numbers(source) == [3]


async def test_flood_is_read_only_as_fast_as_it_is_stored(tmp_path: Path) -> None:
    source = declare(tmp_path, "yes 7")
    async with aclosing(source.read(source.parse({}), Run())) as items:  # type: ignore[type-var]
        first = await anext(items)
        [program] = [p for p in psutil.Process().children(recursive=True) if p.name() == "yes"]
        assert len(first) > 0  # type: ignore[arg-type]
        written = -1
        while written != (written := program.io_counters().write_count):  # noqa: ASYNC110
            await asyncio.sleep(0.3)
    await wait_until(lambda: not program.is_running())


async def test_process_of_another_session_does_not_delay_the_end(tmp_path: Path) -> None:
    script = (
        'setsid sh -c "echo \\$\\$ > pid; exec sleep 20" & until [ -s pid ]; do :; done; cat pid'
    )
    source = declare(tmp_path, script)
    [pid] = await numbers(source)
    os.kill(int(pid), signal.SIGKILL)


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("", "argv: Field required."),
        ("argv = []", "argv: "),
        ("args = ['ls']", "args: Unknown parameter."),
        ("argv = 'ls -l'", "argv: Must be an array."),
        ("argv = ['s3cret']", "argv: Program not found or not executable."),
        ("argv = ['./s3cret']", "argv: Program not found or not executable."),
        ("argv = ['ls', 5]", "argv.1: Input should be a valid string."),
        (r'argv = ["ls", "s3cret\u0000"]', "argv.1: Has invalid characters or an invalid format."),
        ("argv = ['ls']\ncwd = 's3cret'", "cwd: File or folder not found."),
        ("argv = ['ls']\nenv = {'A=s3cret' = ''}", "env: A name has invalid characters."),
        ('argv = ["ls"]\nenv = {"A\\u0000" = "s3cret"}', "env: A name has invalid characters."),
        ("argv = ['ls']\nenv = {s = 5}", "env.s: Input should be a valid string."),
        ("argv = ['ls']\npointer = 's3cret'", "pointer: Must be a JSON Pointer"),
    ],
)
def test_invalid_value_is_refused_without_showing_it(
    tmp_path: Path, table: str, expected: str
) -> None:
    file = tmp_path / "solo.toml"
    file.write_text(f"[sources.a]\nkind = 'command'\n{table}\n")
    with pytest.raises(SettingsError) as error:
        create_sources(Settings.model_construct(config=file, interval=1.0))
    assert str(error.value).startswith(f"{file}: [sources.a] {expected}")
    assert "s3cret" not in str(error.value)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (Path.unlink, "No such file or directory"),
        (lambda program: program.chmod(0o644), "Permission denied"),
    ],
)
async def test_program_that_cannot_be_started_fails_the_run(
    tmp_path: Path, change: Callable[[Path], None], expected: str
) -> None:
    program = tmp_path / "s3cret"
    program.write_text("#!/bin/sh\necho 1\n")
    program.chmod(0o755)
    file = tmp_path / "solo.toml"
    file.write_text("[sources.a]\nkind = 'command'\nargv = ['./s3cret']\n")
    source = create_sources(Settings.model_construct(config=file, interval=1.0))["a"]
    assert await numbers(source) == [1]
    change(program)
    _, reason, log = await end_of(source)
    assert reason == f"Exited with code 127: Cannot start the program: {expected}"
    assert "s3cret" not in str(log)


async def test_failed_program_is_restarted(tmp_path: Path) -> None:
    source = declare(tmp_path, "echo 1; exit 4")
    timing = replace(FAST_RETRY, restart_delay=0.01)
    async with open_service(MemoryStorage(), utc_now, False, timing, a=source) as service:
        batch = await service.start("a", "a")
        await wait_until(lambda: service.row_count(batch) >= 2)
        assert service.batch("a").is_running


async def test_program_ends_when_its_wrapper_is_killed(tmp_path: Path) -> None:
    duration = f"{3600 + os.getpid()}.5"  # Unique on this machine.
    # Like a job of an interactive shell, the second process has its own group.
    (tmp_path / "job.py").write_text(
        "import os, sys\nos.setpgid(0, 0)\nprint(sys.argv[1], flush=True)\n"
        f"os.execvp('sleep', ['sleep', '{duration}'])\n"
    )
    script = f"sleep {duration} & python3 job.py $PPID & wait"
    async with running(declare(tmp_path, script)) as service:
        await wait_until(lambda: service.row_count(service.batch("a")) == 1)
        [point] = await service.points("a", 0, 1)
        os.kill(int(point.key), signal.SIGKILL)
        await wait_until(lambda: not service.running())
        assert service.batch("a").run.reason == "The wrapper process of the program was killed"
        await wait_until(lambda: not processes(duration))


async def test_program_can_receive_all_signals(tmp_path: Path) -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})  # Like the app.
    code = "import signal; print(len(signal.pthread_sigmask(signal.SIG_BLOCK, [])))"
    command = [sys.executable, "-c", code]  # A shell would unblock the signal.
    output: list[bytes] = []
    try:
        async for lines in read_lines(command, tmp_path, {}, Run()):
            output += filter(None, lines)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    assert output == [b"0"]


async def test_wrapper_ignores_signals(tmp_path: Path) -> None:
    async with running(
        declare(tmp_path, "echo $PPID; sleep 0.2; echo 1; exec sleep 3608")
    ) as service:
        batch = service.batch("a")
        await wait_until(lambda: service.row_count(batch) == 1)
        [point] = await service.points("a", 0, 1)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            os.kill(int(point.key), number)
        await wait_until(lambda: service.row_count(batch) == 2)
