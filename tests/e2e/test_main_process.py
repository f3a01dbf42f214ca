"""Signals to the main process: a closed terminal, `nohup`, signals during a build or a start."""

from __future__ import annotations

import os
import pty
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from tests.helpers.running_app import BACKEND_ONLY, EXIT_TIMEOUT, REFLEX, RunningApp, http, wait_for

NewApp = Callable[..., RunningApp]

in_dev_and_backend_only = pytest.mark.parametrize(
    ("mode", "settings"), [("dev", {}), ("prod", BACKEND_ONLY)]
)


def is_running(pid: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


def statuses(database: Path) -> list[tuple[str]]:
    with duckdb.connect(database) as connection:
        return connection.execute("SELECT status FROM runs").fetchall()


def run_batch(app: RunningApp) -> None:
    assert http.post(f"{app.api}/stream/b").status_code == 201
    app.wait_for_points()


@in_dev_and_backend_only
def test_hangup_ends_the_app_cleanly(new_app: NewApp, mode: str, settings: dict[str, str]) -> None:
    app = new_app(mode, **settings).start()
    run_batch(app)
    processes = app.processes()
    app.stop(signal.SIGHUP, whole_group=False)
    assert app.process
    assert app.process.returncode == 0
    assert "Traceback" not in app.output()
    assert not any(map(is_running, processes))
    assert statuses(app.database) == [("interrupted",)]


class Terminal:
    """A shell in its own terminal, in the folder of an app."""

    def __init__(self, app: RunningApp, command: str) -> None:
        self._app = app
        self.pid, self._terminal = pty.fork()
        if self.pid == 0:
            ports = {"REFLEX_BACKEND_PORT": str(app.backend_port)}
            if app.mode == "dev":
                ports["REFLEX_FRONTEND_PORT"] = str(app.frontend_port)
            os.chdir(app.folder)
            environment = {
                **os.environ, **app.settings, **ports, "SOLO_DATABASE": str(app.database),
                "PATH": f"{REFLEX.parent}:{os.environ['PATH']}",
            }  # fmt: skip
            os.execvpe("bash", ["bash", "--norc", "-i", "-c", command], environment)

    def close(self) -> None:
        """Close the window: the kernel sends SIGHUP to the processes in it."""
        os.close(self._terminal)
        os.waitpid(self.pid, 0)


def end(processes: list[int]) -> None:
    """Kill processes left behind by a failed test."""
    for pid in filter(is_running, processes):
        os.kill(pid, signal.SIGKILL)


def descendants(pid: int) -> list[int]:
    listed = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, check=True)
    rows = [tuple(map(int, line.split())) for line in listed.stdout.splitlines()]
    found = [pid]
    for parent in found:
        found += [child for child, ppid in rows if ppid == parent]
    return found[1:]


@in_dev_and_backend_only
def test_closed_terminal_ends_the_app_cleanly(
    new_app: NewApp, mode: str, settings: dict[str, str], tmp_path: Path
) -> None:
    app = new_app(mode, **settings)
    log = tmp_path / "log"
    terminal = Terminal(app, f"reflex run --env {mode} > {log} 2>&1; true")
    wait_for(lambda: app.is_ready(f"{app.api}/tasks") and app.is_ready(f"{app.url}/"))
    run_batch(app)
    processes = descendants(terminal.pid)
    try:
        assert len(processes) > 1
        terminal.close()
        wait_for(lambda: not any(map(is_running, processes)))
    finally:
        end(processes)
    assert "Traceback" not in log.read_text()
    assert "SOLO cannot start" not in log.read_text()
    assert statuses(app.database) == [("interrupted",)]


@in_dev_and_backend_only
def test_app_under_nohup_survives_its_terminal(
    new_app: NewApp, mode: str, settings: dict[str, str], tmp_path: Path
) -> None:
    app = new_app(mode, **settings)
    pid_file, done = tmp_path / "pid", tmp_path / "done"
    command = (
        f"nohup reflex run --env {mode} > {tmp_path / 'log'} 2>&1 & echo $! > {pid_file}; "
        f"until [ -e {done} ]; do sleep 0.1; done; kill -HUP -- -$!"  # Like a shell that exits.
    )
    terminal = Terminal(app, command)
    wait_for(lambda: app.is_ready(f"{app.api}/tasks") and app.is_ready(f"{app.url}/"))
    pid = int(pid_file.read_text())
    processes = [pid, *descendants(pid)]
    try:
        run_batch(app)
        done.touch()
        wait_for(lambda: not is_running(terminal.pid))
        terminal.close()
        app.wait_for_points(24)  # Six seconds: a reload by Granian takes four.
        assert descendants(pid) == processes[1:]
        assert app.is_ready(f"{app.url}/")
        os.kill(pid, signal.SIGTERM)
        wait_for(lambda: not any(map(is_running, processes)))
    finally:
        end(processes)
    assert statuses(app.database) == [("interrupted",)]


def test_build_under_nohup_survives_its_terminal(new_app: NewApp, tmp_path: Path) -> None:
    app = new_app("prod")
    pid_file, done = tmp_path / "pid", tmp_path / "done"
    command = (
        f"nohup reflex run --env prod > {tmp_path / 'log'} 2>&1 & echo $! > {pid_file}; "
        f"until [ -e {done} ]; do sleep 0.1; done; kill -HUP -- -$!"
    )
    terminal = Terminal(app, command)
    wait_for(lambda: any("react-router" in c for c in command_lines(descendants(terminal.pid))))
    done.touch()
    wait_for(lambda: not is_running(terminal.pid))
    terminal.close()
    pid = int(pid_file.read_text())
    try:
        wait_for(lambda: app.is_ready(f"{app.url}/"))
        processes = [pid, *descendants(pid)]
        os.kill(pid, signal.SIGKILL)  # The app exits when the started process exits.
        wait_for(lambda: not any(map(is_running, processes)))
    finally:
        end([pid, *descendants(pid)])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signal_during_the_build_ends_the_build(new_app: NewApp, number: int) -> None:
    app = new_app("prod")
    process = app.launch()
    wait_for(lambda: any("react-router" in line for line in command_lines(app.processes())))
    processes = app.processes()
    app.stop(number, whole_group=False)
    assert process.returncode == (1 if number == signal.SIGINT else 0)
    assert not any(map(is_running, processes))


def test_signal_during_the_start_of_the_worker_ends_the_app(new_app: NewApp) -> None:
    app = new_app("prod", GRANIAN_LOG_LEVEL="info", **BACKEND_ONLY)
    app.launch()
    wait_for(lambda: "Listening at" in app.output(), interval=0.001)  # The worker is forked next.
    assert app.stop(signal.SIGTERM, whole_group=False) < EXIT_TIMEOUT
    assert app.process
    assert app.process.returncode == 0


def command_lines(pids: list[int]) -> list[str]:
    lines = []
    for pid in pids:
        try:
            lines.append(Path(f"/proc/{pid}/cmdline").read_text())
        except OSError:
            continue
    return lines


def test_removed_packages_are_restored_by_the_next_start(new_app: NewApp) -> None:
    app = new_app("dev").start()
    packages = app.folder / ".web" / "node_modules"
    for removed in ([packages], packages.glob("[!.]*")):
        app.stop()
        for folder in removed:
            shutil.rmtree(folder)
        app.start()
