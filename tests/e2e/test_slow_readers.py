"""Readers that take nothing: they slow nobody, hold no memory, and do not hold the end up."""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Callable
from pathlib import Path

import duckdb

from tests.helpers.running_app import BACKEND_ONLY, RunningApp, http

NewApp = Callable[..., RunningApp]


def memory_usage(app: RunningApp) -> int:
    """Bytes that all processes of the app hold."""
    assert app.process
    total = 0
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            if os.getsid(int(status.parent.name)) == app.process.pid:
                found = re.search(r"VmRSS:\s+(\d+) kB", status.read_text())
                total += int(found[1]) * 1024 if found else 0
        except (ProcessLookupError, FileNotFoundError):
            continue
    return total


def rows(app: RunningApp) -> int:
    return int(http.get(f"{app.api}/").json()["row_count"])


def produced_in(app: RunningApp, seconds: float) -> int:
    before = rows(app)
    time.sleep(seconds)  # The measure is how much comes in that time.
    return rows(app) - before


def test_readers_that_do_not_read_slow_nobody_and_hold_no_memory(new_app: NewApp) -> None:
    app = new_app("prod", SOLO_INTERVAL="0.002", **BACKEND_ONLY).start()
    http.post(f"{app.api}/stream/b")
    alone = produced_in(app, 2)
    idle = []
    for _ in range(50):
        reader = socket.socket()
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        reader.connect(("127.0.0.1", app.backend_port))
        reader.sendall(b"GET /stream/b?after=0 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        idle.append(reader)
    produced_in(app, 1)  # They are answered, and what the network holds for them fills up.
    before = memory_usage(app)
    # Others use this machine too: what the app can do shows in the best of some spans.
    spans = (produced_in(app, 4) / 2 for _ in range(5))
    assert any(together > 0.8 * alone for together in spans)
    assert memory_usage(app) - before < 30_000_000
    for reader in idle:
        reader.close()
    assert app.stop() < 2


def test_a_reader_that_takes_nothing_does_not_hold_the_end_up(new_app: NewApp) -> None:
    app = new_app("prod", SOLO_INTERVAL="0", **BACKEND_ONLY).start()
    http.post(f"{app.api}/stream/b")
    while rows(app) < 1_000_000:  # More than the network holds for a reader.
        time.sleep(0.1)
    readers = []
    for path in ("/stream/b?after=0", "/batches/b/download", "/batches/b/download?format=parquet"):
        reader = socket.create_connection(("127.0.0.1", app.backend_port))
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        reader.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        assert reader.recv(64).startswith(b"HTTP/1.1 200")
        readers.append(reader)
    assert app.stop() < 5
    assert [path.name for path in app.database.parent.iterdir() if "download" in path.name] == []
    with duckdb.connect(app.database, read_only=True) as connection:
        ended = connection.execute("SELECT status FROM runs WHERE ended_at IS NOT NULL").fetchall()
    assert ended == [("interrupted",)]
    for reader in readers:
        reader.close()
