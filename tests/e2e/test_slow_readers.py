"""Clients that do not read their responses."""

from __future__ import annotations

import socket
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest

from solo_app.batches.models import utc_now
from tests.helpers.history import write_long_history
from tests.helpers.running_app import BACKEND_ONLY, EXIT_TIMEOUT, RunningApp, http

NewApp = Callable[..., RunningApp]


def connect_idle_reader(app: RunningApp, path: str) -> socket.socket:
    """Send a request and read only the beginning of the response."""
    reader = socket.socket()
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    reader.connect(("127.0.0.1", app.backend_port))
    reader.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    assert reader.recv(64).startswith(b"HTTP/1.1 200")
    return reader


@pytest.fixture
def app(new_app: NewApp, tmp_path: Path) -> RunningApp:
    """An app with a running batch that has more points than the socket buffers hold."""
    database = tmp_path / "solo.duckdb"
    write_long_history(database, ["b"], 1_000_000, timedelta(seconds=0.25), utc_now())
    app: RunningApp = new_app("prod", database, SOLO_INTERVAL="0.05", **BACKEND_ONLY).start()
    http.post(f"{app.api}/stream/b").raise_for_status()
    app.wait_for_points()
    return app


def test_idle_readers_use_no_memory(app: RunningApp) -> None:
    before = app.memory_usage()
    readers = [connect_idle_reader(app, "/stream/b?after=0") for _ in range(50)]
    app.wait_for_points(100)
    assert app.memory_usage() - before < 100_000_000
    for reader in readers:
        reader.close()


def test_idle_readers_do_not_delay_the_exit(app: RunningApp) -> None:
    paths = ("/stream/b?after=0", "/batches/b/download", "/batches/b/download?format=parquet")
    readers = [connect_idle_reader(app, path) for path in paths]
    assert app.stop() < EXIT_TIMEOUT
    assert [path.name for path in app.database.parent.iterdir() if "download" in path.name] == []
    with duckdb.connect(app.database, read_only=True) as connection:
        ended = connection.execute("SELECT status FROM runs WHERE ended_at IS NOT NULL").fetchall()
    assert ended == [("stopped",), ("interrupted",)]
    for reader in readers:
        reader.close()
