"""`reflex run` as a process, for tests that need a server or pages."""

from __future__ import annotations

import itertools
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

import httpx

PROJECT = Path(__file__).resolve().parents[2]
REFLEX = Path(sys.executable).parent / "reflex"

_NOT_COPIED = shutil.ignore_patterns(
    ".git",
    ".web",
    ".solo",
    ".bench",
    ".states",
    ".venv",
    "venv",
    "__pycache__",
    "external",
    ".*_cache",
)

BACKEND_ONLY = {"REFLEX_BACKEND_ONLY": "true"}
"""Settings that start the server without building pages, the slowest part of a production start."""

EXIT_TIMEOUT = 2
"""Guaranteed seconds from Ctrl-C or SIGTERM to the exit, also on a busy machine."""

_used_ports: set[int] = set()

_log_numbers = itertools.count(1)


def copy_project(folder: Path) -> Path:
    """Copy the project, without build results. Each copy builds its own pages."""
    shutil.copytree(PROJECT, folder, ignore=_NOT_COPIED)
    return folder


def free_port() -> int:
    """Return a free port that no test has used.

    Ports from 32768 up are avoided: Linux assigns them to outgoing connections. Each pytest-xdist
    worker has its own range. No port is returned twice, because an app may be restarting on it.
    """
    process = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    first = 20_000 + process % 12 * 1_000
    while True:
        port = random.randrange(first, first + 1_000)
        with suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            if port not in _used_ports:
                _used_ports.add(port)
                return port


def wait_for(condition: Callable[[], object], timeout: float = 60, interval: float = 0.05) -> None:
    """Wait until a condition holds, outside an event loop."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"condition does not hold after {timeout} s"
        time.sleep(interval)


http = httpx.Client(verify=False, timeout=30, limits=httpx.Limits(max_keepalive_connections=0))
"""Sends requests to apps. Unlike ``httpx.get``, it does not load the system's certificates for each
request. It keeps no connections open, because they would not survive a restart of the app."""


class RunningApp:
    """`reflex run` in a folder, in development (``dev``) or production (``prod``)."""

    def __init__(
        self,
        folder: Path,
        database: Path,
        mode: str,
        settings: dict[str, str] | None = None,
        reflex: Path = REFLEX,
        ports: tuple[int, int] | None = None,
        options: Sequence[str] = (),
    ) -> None:
        self.folder = folder
        self.database = database
        self.mode = mode
        self.reflex = reflex
        self.options = options
        self.settings = settings or {}
        self.backend_port, frontend_port = ports or (free_port(), free_port())
        self.frontend_port = frontend_port if mode == "dev" else self.backend_port
        self.log = folder.parent / f"{mode}-{next(_log_numbers)}.log"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def api(self) -> str:
        """The base URL of the API, without a trailing slash."""
        return f"http://localhost:{self.backend_port}"

    @property
    def url(self) -> str:
        """The base URL of the pages, without a trailing slash."""
        return f"http://localhost:{self.frontend_port}"

    def launch(self) -> subprocess.Popen[bytes]:
        """Start the process without waiting until it is ready."""
        ports = {"REFLEX_BACKEND_PORT": str(self.backend_port)}
        if self.mode == "dev":
            ports["REFLEX_FRONTEND_PORT"] = str(self.frontend_port)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [self.reflex, "run", "--env", self.mode, *self.options],
                cwd=self.folder,
                env={**os.environ, "SOLO_DATABASE": str(self.database), **ports, **self.settings},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return self.process

    def start(self, timeout: float = 180) -> Self:
        """Start the process and wait until API and pages respond."""
        process = self.launch()
        deadline = time.monotonic() + timeout
        while not (self.is_ready(f"{self.api}/tasks") and self.is_ready(f"{self.url}/")):
            assert process.poll() is None, f"exited with {process.returncode}:\n{self.output()}"
            assert time.monotonic() < deadline, f"not ready after {timeout} s:\n{self.output()}"
            time.sleep(0.1)
        return self

    def stop_batches(self) -> None:
        """Stop all running batches."""
        for task in http.get(f"{self.api}/tasks").raise_for_status().json()["tasks"]:
            http.delete(f"{self.api}/stream/{task['batch_id']}").raise_for_status()

    def delete_batches(self) -> None:
        """Delete all ended batches."""
        page = http.get(f"{self.api}/batches", params={"limit": 1000}).raise_for_status().json()
        for batch in page["batches"]:
            http.delete(f"{self.api}/batches/{batch['batch_id']}").raise_for_status()

    def row_count(self) -> int:
        return int(http.get(f"{self.api}/").raise_for_status().json()["row_count"])

    def wait_for_points(self, count: int = 3, timeout: float = 60) -> None:
        """Wait until this number of further points is committed."""
        target = self.row_count() + count
        wait_for(lambda: self.row_count() >= target, timeout)

    def memory_usage(self) -> int:
        """Return the resident memory of all processes of the app in bytes."""
        assert self.process is not None
        pages = 0
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if os.getsid(int(process.name)) == self.process.pid:
                    pages += int((process / "statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def suspend(self) -> None:
        """Suspend all processes of the app, like a machine that hangs."""
        for pid in self.processes():
            os.kill(pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Resume the suspended processes."""
        for pid in self.processes():
            os.kill(pid, signal.SIGCONT)

    def processes(self) -> list[int]:
        """Return the ids of the main process and its descendants, in any process group."""
        assert self.process is not None
        listed = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, check=True)
        rows = [tuple(map(int, line.split())) for line in listed.stdout.splitlines()]
        found = [self.process.pid]
        for parent in found:
            found += [pid for pid, ppid in rows if ppid == parent]
        return found

    def stop(self, number: int = signal.SIGINT, whole_group: bool = True) -> float:
        """Send a signal to the process group, like Ctrl-C, or to the main process only.

        Returns the seconds until the main process has exited.
        """
        assert self.process is not None
        began = time.monotonic()
        if whole_group:
            os.killpg(self.process.pid, number)
        else:
            self.process.send_signal(number)
        try:
            self.process.wait(20)
        finally:
            took = time.monotonic() - began
            self.kill()
        return took

    def kill(self) -> None:
        """Kill all remaining processes of the app."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self._wait_for_ports()

    def _wait_for_ports(self) -> None:
        """Wait until the ports are free again. A killed process may occupy them briefly."""
        deadline = time.monotonic() + 10
        for port in {self.backend_port, self.frontend_port}:
            while time.monotonic() < deadline:
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) != 0:
                        break
                time.sleep(0.01)

    def restart(self) -> None:
        """Stop the app and start it again with the same ports and database."""
        self.stop()
        self.start()

    def output(self) -> str:
        """Return everything the app has printed."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    @staticmethod
    def is_ready(url: str) -> bool:
        """Return whether a URL responds with status 200."""
        try:
            return http.get(url, timeout=5).status_code == 200
        except httpx.TransportError:
            return False
