"""The real `reflex run` as a process, for tests that need a server or pages."""

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
from collections.abc import Sequence
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
"""Settings for the server only: the same worker with the API and the socket of the pages, without
building the pages, which takes most of the time of a production start."""

_given: set[int] = set()

_numbers = itertools.count(1)


def copy_project(folder: Path) -> Path:
    """A copy that can be run without touching what the project's own folder has built."""
    shutil.copytree(PROJECT, folder, ignore=_NOT_COPIED)
    return folder


def free_port() -> int:
    """A port that nobody listens on.

    Not one of those that the system gives to outgoing connections: it could be taken before
    the app gets to it. Each process of pytest-xdist has ports of its own, and none is given twice:
    the app that has it may be between two lives.
    """
    process = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    first = 20_000 + process % 12 * 1_000
    while True:
        port = random.randrange(first, first + 1_000)
        with suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            if port not in _given:
                _given.add(port)
                return port


http = httpx.Client(verify=False, timeout=30, limits=httpx.Limits(max_keepalive_connections=0))
"""Asks an app. `httpx.get` reads all certificates of the system each time, which takes longer
than the answer; a connection that is kept would not outlive a restart."""


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
        self.log = folder.parent / f"{mode}-{next(_numbers)}.log"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def api(self) -> str:
        """The address of the API, without a slash at its end."""
        return f"http://localhost:{self.backend_port}"

    @property
    def url(self) -> str:
        """The address of the pages, without a slash at its end."""
        return f"http://localhost:{self.frontend_port}"

    def launch(self) -> subprocess.Popen[bytes]:
        """Start the process and do not wait for it."""
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

    def start(self, within: float = 180) -> Self:
        """Start it and wait until API and pages answer."""
        process = self.launch()
        deadline = time.monotonic() + within
        while not (self.is_ready(f"{self.api}/tasks") and self.is_ready(f"{self.url}/")):
            assert process.poll() is None, f"ended with {process.returncode}:\n{self.output()}"
            assert time.monotonic() < deadline, f"does not answer:\n{self.output()}"
            time.sleep(0.1)
        return self

    def stop_batches(self) -> None:
        """Stop every batch that runs."""
        for task in http.get(f"{self.api}/tasks").raise_for_status().json()["tasks"]:
            http.delete(f"{self.api}/stream/{task['batch_id']}").raise_for_status()

    def suspend(self) -> None:
        """Stop every process of it where it is, as a machine does that hangs."""
        for pid in self.processes():
            os.kill(pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let them go on."""
        for pid in self.processes():
            os.kill(pid, signal.SIGCONT)

    def processes(self) -> list[int]:
        """The ids of its main process and all descendants, in any process group."""
        assert self.process is not None
        listed = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, check=True)
        rows = [tuple(map(int, line.split())) for line in listed.stdout.splitlines()]
        found = [self.process.pid]
        for parent in found:
            found += [pid for pid, ppid in rows if ppid == parent]
        return found

    def stop(self, number: int = signal.SIGINT, whole_group: bool = True) -> float:
        """Signal it as Ctrl-C does (the whole group) or a supervisor; seconds until its end."""
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
        """End whatever is left of it, at once."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self._wait_for_ports()

    def _wait_for_ports(self) -> None:
        """The next app may get the same ones, and a process that was killed may hold them yet."""
        deadline = time.monotonic() + 10
        for port in {self.backend_port, self.frontend_port}:
            while time.monotonic() < deadline:
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) != 0:
                        break
                time.sleep(0.01)

    def restart(self) -> None:
        """Stop it as Ctrl-C does and start it again on the same ports and database."""
        self.stop()
        self.start()

    def output(self) -> str:
        """What it printed so far."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    @staticmethod
    def is_ready(url: str) -> bool:
        """Whether somebody answers there, and well."""
        try:
            return http.get(url, timeout=5).status_code == 200
        except httpx.TransportError:
            return False
