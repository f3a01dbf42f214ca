"""Start, exit and restart of the app as a process."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import httpx
import pytest

from tests.helpers.history import HistoricRun, write_history
from tests.helpers.running_app import (
    BACKEND_ONLY,
    EXIT_TIMEOUT,
    PROJECT,
    RunningApp,
    free_port,
    http,
    wait_for,
)

if TYPE_CHECKING:
    from playwright.sync_api import Browser

NewApp = Callable[..., RunningApp]

INCOMPLETE_REQUESTS = [
    b"GET /tasks HTT",
    b"POST /stream/c HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{",
]

in_dev_and_backend_only = pytest.mark.parametrize(
    ("mode", "settings"), [("dev", {}), ("prod", BACKEND_ONLY)]
)


class StreamReader(threading.Thread):
    """Reads the stream of a batch until it closes or is aborted."""

    def __init__(self, app: RunningApp, batch_id: str, after: int = 0) -> None:
        super().__init__()
        self.url = f"{app.api}/stream/{batch_id}?after={after}"
        self.seqs: list[int] = []
        self.end_status: str | None = None
        self._has_points = threading.Event()
        self.start()
        assert self._has_points.wait(30)

    def run(self) -> None:
        try:
            with http.stream("GET", self.url) as response:
                self._read(response)
        except httpx.TransportError:
            pass  # A killed server does not close its streams.

    def _read(self, response: httpx.Response) -> None:
        event = ""
        for line in response.iter_lines():
            if line.startswith("id: "):
                self.seqs.append(int(line.removeprefix("id: ")))
                if len(self.seqs) == 3:
                    self._has_points.set()
            elif line.startswith("event: "):
                event = line.removeprefix("event: ")
            elif line.startswith("data: ") and event == "end":
                self.end_status = json.loads(line.removeprefix("data: "))["status"]


def start_batch(app: RunningApp) -> None:
    http.post(f"{app.api}/stream/b").raise_for_status()


def connect_with(app: RunningApp, data: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", app.backend_port))
    connection.sendall(data)
    return connection


def expect_clean_exit(app: RunningApp) -> None:
    assert app.process
    assert app.process.returncode == 0
    assert "Traceback" not in app.output()
    for port in (app.backend_port, app.frontend_port):
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0, f"port {port} is in use"


def stored_seqs(app: RunningApp) -> list[int]:
    """Return the stored seqs of the only batch. Checks that the app has closed the database."""
    assert not app.database.with_name(f"{app.database.name}.wal").exists(), app.output()
    with duckdb.connect(app.database) as connection:
        assert connection.execute("SELECT status FROM runs").fetchall() == [("interrupted",)]
        rows = connection.execute("SELECT seq FROM points ORDER BY seq").fetchall()
    return [seq for (seq,) in rows]


def expect_exit_to_keep_all_sent_points(app: RunningApp, number: int, whole_group: bool) -> None:
    """Stop the app while clients read streams and send requests."""
    readers = [StreamReader(app, "b") for _ in range(5)]
    connections = [connect_with(app, data) for data in INCOMPLETE_REQUESTS]
    assert app.stop(number, whole_group) < EXIT_TIMEOUT
    expect_clean_exit(app)
    for connection in connections:
        connection.close()
    stored = stored_seqs(app)
    assert stored == list(range(1, len(stored) + 1))
    for reader in readers:
        reader.join(5)
        assert reader.end_status is None  # The batch has not ended, only the app.
        assert reader.seqs == stored[: len(reader.seqs)]


@in_dev_and_backend_only
def test_sigterm_with_open_streams_keeps_all_sent_points(
    new_app: NewApp, mode: str, settings: dict[str, str]
) -> None:
    app = new_app(mode, SOLO_INTERVAL="0.02", **settings).start()
    start_batch(app)
    expect_exit_to_keep_all_sent_points(app, signal.SIGTERM, whole_group=False)


@pytest.mark.parametrize("mode", ["dev", "prod"])
def test_ctrl_c_with_open_pages_keeps_all_sent_points(
    new_app: NewApp, browser: Browser, mode: str
) -> None:
    app = new_app(mode, SOLO_INTERVAL="0.02").start()
    start_batch(app)
    tabs = [browser.new_page() for _ in range(3)]
    for tab, path in zip(tabs, ("/", "/batch/b", "/batch/b"), strict=True):
        tab.goto(f"{app.url}{path}")
        tab.get_by_text("rows", exact=False).first.wait_for()
    expect_exit_to_keep_all_sent_points(app, signal.SIGINT, whole_group=True)
    for tab in tabs:
        tab.close()


def test_worker_exits_when_the_main_process_is_killed(new_app: NewApp) -> None:
    app = new_app("prod", **BACKEND_ONLY).start()
    start_batch(app)
    assert app.process
    os.kill(app.process.pid, signal.SIGKILL)
    wait_for(lambda: not app.is_ready(f"{app.api}/tasks"), 20)
    app.kill()
    app.start()
    assert http.get(f"{app.api}/batches/b").json()["status"] == "interrupted"


def test_streams_resume_across_restarts(new_app: NewApp) -> None:
    app = new_app("prod", SOLO_INTERVAL="0.02", **BACKEND_ONLY).start()
    start_batch(app)
    first = StreamReader(app, "b")
    app.restart()
    assert http.get(f"{app.api}/batches/b").json()["status"] == "interrupted"
    rest = http.get(f"{app.api}/stream/b", headers={"Last-Event-ID": "1"})
    assert 'data: {"status": "interrupted"}' in rest.text
    start_batch(app)
    second = StreamReader(app, "b", after=first.seqs[-1])
    app.settings["SOLO_RESUME"] = "true"
    app.restart()
    (task,) = http.get(f"{app.api}/tasks").json()["tasks"]
    assert (task["batch_id"], task["run"]) == ("b", 3)
    third = StreamReader(app, "b", after=second.seqs[-1])
    assert http.delete(f"{app.api}/stream/b").status_code == 200
    third.join(10)
    assert third.end_status == "stopped"
    seqs = first.seqs + second.seqs + third.seqs
    assert seqs == list(range(1, len(seqs) + 1))


def refused_start(app: RunningApp, timeout: float = 60) -> str:
    """Start the app and return the line of the error. Fails if the start succeeds."""
    files = list(app.database.parent.glob("solo.duckdb*"))
    assert app.launch().wait(timeout) == 1
    output = app.output()
    assert "Traceback" not in output
    (line,) = [line for line in output.splitlines() if "SOLO cannot start" in line]
    assert output.rstrip().endswith(line)
    assert list(app.database.parent.glob("solo.duckdb*")) == files
    return line


@in_dev_and_backend_only
def test_damaged_database_is_refused_at_startup(
    new_app: NewApp, tmp_path: Path, mode: str, settings: dict[str, str]
) -> None:
    damaged = tmp_path / "damaged.duckdb"
    damaged.write_bytes(b"no database " * 1_000)
    app = new_app(mode, damaged, **settings)
    assert str(damaged) in refused_start(app)
    assert "App running" not in app.output()
    assert damaged.read_bytes() == b"no database " * 1_000


def test_database_in_read_only_folder_is_refused_at_startup(new_app: NewApp) -> None:
    assert "not writable" in refused_start(new_app("prod", Path("/sys/solo/solo.duckdb")))


@pytest.mark.parametrize(
    ("mode", "setting", "value", "allowed"),
    [
        ("dev", "SOLO_INTERVAL", "soon", "a number of seconds from 0 to 3600"),
        ("prod", "SOLO_RESUME", "perhaps", "true or false"),
    ],
)
def test_invalid_setting_is_refused_at_startup(
    new_app: NewApp, mode: str, setting: str, value: str, allowed: str
) -> None:
    line = refused_start(new_app(mode, **{setting: value}))
    assert f"{setting}={value} is not allowed: it must be {allowed}." in line


@pytest.mark.parametrize("mode", ["dev", "prod"])
def test_busy_backend_port_is_refused_at_startup(new_app: NewApp, mode: str) -> None:
    app = new_app(mode)
    with socket.create_server(("127.0.0.1", app.backend_port)):
        line = refused_start(app)
    assert f"Port {app.backend_port} is in use by another program" in line
    assert "REFLEX_BACKEND_PORT" in line


def test_busy_frontend_port_is_refused_at_startup(new_app: NewApp) -> None:
    app = new_app("dev")
    with socket.create_server(("127.0.0.1", app.frontend_port)):
        assert "REFLEX_FRONTEND_PORT" in refused_start(app)


def test_busy_port_option_is_refused_at_startup(new_app: NewApp) -> None:
    app = new_app("dev")
    busy_port = free_port()
    app.options = ["--backend-port", str(busy_port)]
    with socket.create_server(("127.0.0.1", busy_port)):
        assert f"Port {busy_port} is in use" in refused_start(app)


def test_shared_port_is_refused_at_startup(new_app: NewApp) -> None:
    app = new_app("dev")
    app.frontend_port = app.backend_port
    assert f"cannot share port {app.backend_port}" in refused_start(app)


def test_database_in_use_is_refused_at_startup(new_app: NewApp, tmp_path: Path) -> None:
    with duckdb.connect(tmp_path / "solo.duckdb") as connection:
        connection.execute("CREATE TABLE mine AS SELECT 42 AS answer")
        assert "in use by another process" in refused_start(new_app("prod"))
        assert connection.execute("SELECT answer FROM mine").fetchall() == [(42,)]


def failed_start(app: RunningApp) -> str:
    """Return the error line of a start that fails in the worker, after the startup check."""
    assert app.launch().wait(60) == 1
    assert "Traceback" not in app.output()
    (line,) = [line for line in app.output().splitlines() if "SOLO cannot start" in line]
    for port in (app.backend_port, app.frontend_port):
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0, f"port {port} is in use"
    return line


@in_dev_and_backend_only
def test_app_exits_if_the_worker_cannot_open_the_database(
    new_app: NewApp, tmp_path: Path, mode: str, settings: dict[str, str]
) -> None:
    link = tmp_path / "link.duckdb"
    link.symlink_to(tmp_path / "nowhere" / "solo.duckdb")
    assert str(link) in failed_start(new_app(mode, link, **settings))


def test_app_exits_on_invalid_data_in_the_database(new_app: NewApp, tmp_path: Path) -> None:
    hour = timedelta(hours=1)
    write_history(tmp_path / "solo.duckdb", [HistoricRun("b", hour, hour / 2)], hour / 60)
    with duckdb.connect(tmp_path / "solo.duckdb") as connection:
        connection.execute("UPDATE runs SET status = 'asleep'")
    line = failed_start(new_app("prod", **BACKEND_ONLY))
    assert "asleep" in line
    assert "Restore a backup" in line


def test_other_reflex_commands_do_not_check_the_database(tmp_path: Path) -> None:
    (tmp_path / "solo.duckdb").write_bytes(b"no database " * 1_000)
    subprocess.run(
        [sys.executable, "-c", "from reflex.config import get_config; get_config()"],
        cwd=PROJECT,
        env={**os.environ, "SOLO_DATABASE": str(tmp_path / "solo.duckdb")},
        check=True,
    )


def test_import_with_invalid_declared_sources_exits_with_one_line(tmp_path: Path) -> None:
    config = tmp_path / "solo.toml"
    config.write_text('[sources.a]\nkind = "host"\ninterval = 0\n')
    process = subprocess.run(
        [sys.executable, "-c", "import solo_app.solo_app"],
        cwd=PROJECT,
        env={**os.environ, "SOLO_CONFIG": str(config)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 1
    assert process.stderr.startswith(f"SOLO cannot start: {config}: [sources.a] interval: ")
    assert process.stderr.count("\n") == 1


def test_importing_the_app_does_not_load_duckdb() -> None:
    script = "import sys, solo_app.solo_app; print('duckdb' in sys.modules)"
    process = subprocess.run(
        [sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert process.stdout.strip().splitlines()[-1] == "False", process.stderr
