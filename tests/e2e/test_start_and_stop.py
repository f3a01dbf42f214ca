"""Start and end of the process: one command, a clean end within 2 s, no lost points."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import httpx
import pytest

from tests.helpers.history import write_history
from tests.helpers.running_app import BACKEND_ONLY, PROJECT, RunningApp, free_port, http

if TYPE_CHECKING:
    from playwright.sync_api import Browser

NewApp = Callable[..., RunningApp]

HALF_REQUESTS = [
    b"GET /tasks HTT",
    b"POST /stream/c HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{",
]


class Reader(threading.Thread):
    """Follows a batch as a program does, until the stream closes."""

    def __init__(self, app: RunningApp, batch_id: str, after: int = 0) -> None:
        super().__init__()
        self.url = f"{app.api}/stream/{batch_id}"
        self.after = after
        self.seqs: list[int] = []
        self.ended: str | None = None
        self.some = threading.Event()

    def run(self) -> None:
        headers = {"Last-Event-ID": str(self.after)}
        try:
            with http.stream("GET", self.url, headers=headers, timeout=20) as answer:
                self._take(answer)
        except httpx.TransportError:
            pass  # A killed server closes no stream.

    def _take(self, answer: httpx.Response) -> None:
        event = ""
        for line in answer.iter_lines():
            if line.startswith("id: "):
                self.seqs.append(int(line.removeprefix("id: ")))
                if len(self.seqs) >= 3:
                    self.some.set()
            elif line.startswith("event: "):
                event = line.removeprefix("event: ")
            elif line.startswith("data: ") and event == "end":
                self.ended = json.loads(line.removeprefix("data: "))["status"]


def followed(app: RunningApp, batch_id: str, after: int = 0) -> Reader:
    reader = Reader(app, batch_id, after)
    reader.start()
    assert reader.some.wait(20)
    return reader


def half_a_request(app: RunningApp, text: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", app.backend_port))
    connection.sendall(text)
    return connection


def stored(database: Path) -> list[int]:
    """The seqs of the only batch, read with plain DuckDB: the file is whole and nobody has it."""
    assert not database.with_name(f"{database.name}.wal").exists(), "it was not closed"
    with duckdb.connect(database) as connection:
        runs = connection.execute("SELECT status, ended_at IS NULL FROM runs").fetchall()
        assert runs == [("interrupted", False)]
        rows = connection.execute("SELECT seq FROM points ORDER BY seq").fetchall()
    return [seq for (seq,) in rows]


@pytest.mark.parametrize(
    ("mode", "number", "whole_group"),
    [
        ("dev", signal.SIGINT, True),
        ("dev", signal.SIGTERM, False),
        ("prod", signal.SIGINT, True),
        ("prod", signal.SIGTERM, False),
    ],
)
def test_it_ends_within_two_seconds_whatever_is_open_and_loses_nothing(
    new_app: NewApp, mode: str, number: int, whole_group: bool
) -> None:
    settings = BACKEND_ONLY if mode == "prod" else {}
    app = new_app(mode, SOLO_INTERVAL="0.02", **settings).start()
    assert http.post(f"{app.api}/stream/b").status_code == 201
    readers = [followed(app, "b") for _ in range(5)]
    never_finished = [half_a_request(app, text) for text in HALF_REQUESTS]
    took = app.stop(number, whole_group)
    assert took < 2
    assert app.process
    assert app.process.returncode == 0
    assert "Traceback" not in app.output()
    for port in (app.backend_port, app.frontend_port):
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0, "somebody still listens"
    for connection in never_finished:
        connection.close()
    kept = stored(app.database)
    for reader in readers:
        reader.join(5)
        assert reader.ended is None  # The batch did not end; the app did.
        assert reader.seqs == list(range(1, len(reader.seqs) + 1))
        assert len(reader.seqs) <= len(kept)
    assert kept == list(range(1, len(kept) + 1))


@pytest.mark.parametrize("mode", ["dev", "prod"])
def test_it_ends_within_two_seconds_with_open_pages(
    new_app: NewApp, browser: Browser, mode: str
) -> None:
    app = new_app(mode).start()
    http.post(f"{app.api}/stream/b")
    tabs = [browser.new_page() for _ in range(3)]
    for tab, path in zip(tabs, ("/", "/batch/b", "/batch/b"), strict=True):
        tab.goto(f"{app.url}{path}")
        tab.get_by_text("rows", exact=False).first.wait_for()
    reader = followed(app, "b")
    assert app.stop() < 2
    assert app.process
    assert app.process.returncode == 0
    assert "Traceback" not in app.output()
    reader.join(5)
    assert stored(app.database)[: len(reader.seqs)] == reader.seqs
    for tab in tabs:
        tab.close()


def test_the_server_ends_with_the_process_that_started_it(new_app: NewApp) -> None:
    app = new_app("prod", **BACKEND_ONLY).start()
    http.post(f"{app.api}/stream/b")
    assert app.process
    os.kill(app.process.pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while app.is_ready(f"{app.api}/tasks"):
        assert time.monotonic() < deadline, "the server lives on"
        time.sleep(0.05)
    app.kill()
    app.start()
    assert http.get(f"{app.api}/batches/b").json()["status"] == "interrupted"


def test_what_ran_is_interrupted_and_one_request_starts_it_again(new_app: NewApp) -> None:
    app = new_app("prod", SOLO_INTERVAL="0.02", **BACKEND_ONLY).start()
    http.post(f"{app.api}/stream/b")
    reader = followed(app, "b")
    app.restart()
    batch = http.get(f"{app.api}/batches/b").json()
    assert batch["status"] == "interrupted"
    rest = http.get(f"{app.api}/stream/b", headers={"Last-Event-ID": "1"})
    assert 'data: {"status": "interrupted"}' in rest.text
    assert http.post(f"{app.api}/stream/b").status_code == 201
    again = followed(app, "b", after=reader.seqs[-1])
    assert again.seqs[0] == reader.seqs[-1] + 1
    app.settings["SOLO_RESUME"] = "true"
    app.restart()
    (task,) = http.get(f"{app.api}/tasks").json()["tasks"]
    assert (task["batch_id"], task["run"]) == ("b", 3)
    further = followed(app, "b", after=again.seqs[-1])
    seqs = reader.seqs + again.seqs + further.seqs
    assert seqs == list(range(1, len(seqs) + 1))  # Three lives of the server, one row of points.
    assert http.delete(f"{app.api}/stream/b").status_code == 200
    further.join(10)
    assert further.ended == "stopped"


def test_kill_9_loses_no_point_that_a_reader_saw(new_app: NewApp) -> None:
    app = new_app("prod", SOLO_INTERVAL="0.001", **BACKEND_ONLY).start()
    http.post(f"{app.api}/stream/b")
    readers = [followed(app, "b") for _ in range(3)]
    counted = http.get(f"{app.api}/").json()["row_count"]
    app.kill()
    for reader in readers:
        reader.join(10)
    app.start()
    kept = http.get(f"{app.api}/").json()["row_count"]
    assert kept >= max([counted, *(reader.seqs[-1] for reader in readers)])
    assert http.get(f"{app.api}/batches/b").json()["status"] == "interrupted"


def refused(app: RunningApp, within: float = 30) -> str:
    """The one line with which a start is refused; fails when it is not."""
    before = list(app.database.parent.glob("solo.duckdb*"))
    process = app.launch()
    assert process.wait(within) != 0
    output = app.output()
    assert "Traceback" not in output
    (line,) = [line for line in output.splitlines() if "SOLO cannot start" in line]
    assert output.rstrip().endswith(line)
    assert list(app.database.parent.glob("solo.duckdb*")) == before
    return line


@pytest.mark.parametrize("mode", ["dev", "prod"])
def test_a_start_that_cannot_be_is_refused_with_one_line(
    new_app: NewApp, tmp_path: Path, mode: str
) -> None:
    damaged = tmp_path / "damaged.duckdb"
    damaged.write_bytes(b"no database " * 1_000)
    line = refused(new_app(mode, damaged))
    assert str(damaged) in line
    assert damaged.read_bytes() == b"no database " * 1_000

    if mode == "prod":
        alone = new_app(mode, damaged, **BACKEND_ONLY)
        refused(alone)
        assert "App running" not in alone.output()

    line = refused(new_app(mode, Path("/sys/solo/solo.duckdb")))
    assert "not writable" in line

    for setting, value, allowed in [
        ("SOLO_INTERVAL", "soon", "a number of seconds from 0 to 3600"),
        ("SOLO_INTERVAL", "-1", "a number of seconds from 0 to 3600"),
        ("SOLO_RESUME", "perhaps", "true or false"),
    ]:
        line = refused(new_app(mode, **{setting: value}))
        assert f"{setting}={value} is not allowed: it must be {allowed}." in line

    busy = new_app(mode)
    with socket.create_server(("127.0.0.1", busy.backend_port)):
        line = refused(busy)
    assert f"Port {busy.backend_port} is in use by another program" in line
    assert "REFLEX_BACKEND_PORT" in line


@pytest.mark.parametrize("mode", ["dev", "prod"])
def test_a_database_that_another_process_holds_is_told(
    new_app: NewApp, tmp_path: Path, mode: str
) -> None:
    with duckdb.connect(tmp_path / "solo.duckdb") as held:
        held.execute("CREATE TABLE mine AS SELECT 42 AS answer")
        line = refused(new_app(mode))
        assert "in use by another process" in line
        assert held.execute("SELECT answer FROM mine").fetchall() == [(42,)]


def failed_start(app: RunningApp) -> str:
    """The one line of a start that fails in the worker only."""
    assert app.launch().wait(60) == 1
    assert "Traceback" not in app.output()
    (line,) = [line for line in app.output().splitlines() if "SOLO cannot start" in line]
    for port in (app.backend_port, app.frontend_port):
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0, "a server still listens"
    return line


@pytest.mark.parametrize(("mode", "settings"), [("dev", {}), ("prod", BACKEND_ONLY)])
def test_database_that_only_the_worker_cannot_open_ends_the_app(
    new_app: NewApp, tmp_path: Path, mode: str, settings: dict[str, str]
) -> None:
    link = tmp_path / "link.duckdb"
    link.symlink_to(tmp_path / "nowhere" / "solo.duckdb")
    assert str(link) in failed_start(new_app(mode, link, **settings))


@pytest.mark.parametrize(("mode", "settings"), [("dev", {}), ("prod", BACKEND_ONLY)])
def test_any_error_while_the_database_opens_ends_the_app_with_one_line(
    new_app: NewApp, tmp_path: Path, mode: str, settings: dict[str, str]
) -> None:
    write_history(tmp_path / "solo.duckdb")
    with duckdb.connect(tmp_path / "solo.duckdb") as connection:
        connection.execute("UPDATE runs SET status = 'asleep'")
    line = failed_start(new_app(mode, **settings))
    assert "asleep" in line
    assert "Restore a backup" in line


def test_port_option_of_the_command_line_is_checked(new_app: NewApp) -> None:
    app = new_app("dev")
    busy = free_port()
    app.options = ["--backend-port", str(busy)]
    with socket.create_server(("127.0.0.1", busy)):
        assert f"Port {busy} is in use" in refused(app)


def test_only_reflex_run_checks_the_database(tmp_path: Path) -> None:
    (tmp_path / "solo.duckdb").write_bytes(b"no database " * 1_000)
    subprocess.run(
        [sys.executable, "-c", "from reflex.config import get_config; get_config()"],
        cwd=PROJECT,
        env={**os.environ, "SOLO_DATABASE": str(tmp_path / "solo.duckdb")},
        check=True,
    )


def test_one_port_for_both_in_development_is_told(new_app: NewApp) -> None:
    app = new_app("dev")
    app.frontend_port = app.backend_port
    assert f"cannot share port {app.backend_port}" in refused(app)


def test_a_busy_frontend_port_is_told(new_app: NewApp) -> None:
    app = new_app("dev")
    with socket.create_server(("127.0.0.1", app.frontend_port)):
        assert "REFLEX_FRONTEND_PORT" in refused(app)


def test_nothing_opens_and_no_duckdb_is_loaded_at_import() -> None:
    look = "import sys, solo_app.solo_app; print('duckdb' in sys.modules)"
    seen = subprocess.run(
        [sys.executable, "-c", look], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert seen.stdout.strip().splitlines()[-1] == "False", seen.stderr
