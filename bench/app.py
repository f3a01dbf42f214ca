"""The servers under load: the app and the baseline as processes, and their resource usage."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.pool import Pool
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psutil

from solo_app.batches.runner import BATCH_LIMIT
from tests.helpers.running_app import BACKEND_ONLY, PROJECT, RunningApp, copy_project, free_port

BATCHES = tuple(f"batch-{number}" for number in range(1, BATCH_LIMIT + 1))

_START_TIMEOUT = 60

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Server:
    """A running server. ``pid`` is its main process."""

    port: int
    pid: int

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}"

    def start_batches(self) -> None:
        """Start the maximum number of batches."""
        for name in BATCHES:
            httpx.post(f"{self.url}/stream/{name}").raise_for_status()


class Usage:
    """The CPU time and the memory of a server and all its child processes."""

    def __init__(self, server: Server) -> None:
        parent = psutil.Process(server.pid)
        self._processes = [parent, *parent.children(recursive=True)]

    def cpu_seconds(self) -> float:
        """Return the CPU time since the start, user and system."""
        times = [process.cpu_times() for process in self._processes]
        return sum(spent.user + spent.system for spent in times)

    def memory(self) -> int:
        """Return the bytes of memory that are not shared with other processes."""
        return sum(process.memory_full_info().uss for process in self._processes)


@contextmanager
def work_folder() -> Iterator[Path]:
    """Create a temporary folder on the disk of the project.

    The system's folder for temporary files can be in memory, where commits cost nothing.
    """
    # Hidden, because Reflex watches visible folders for changes.
    parent = PROJECT / ".bench"
    parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=parent) as folder:
        yield Path(folder)


def separate_processes(count: int) -> Pool:
    """Return a pool of new processes, so that clients and servers do not share an interpreter."""
    return multiprocessing.get_context("spawn").Pool(count)


def run_separately(function: Callable[..., Coroutine[Any, Any, T]], *arguments: Any) -> T:
    """Run a coroutine function in a new process. Blocks."""
    with separate_processes(1) as processes:
        result: T = processes.apply(run, (function, *arguments))
        return result


def run(function: Callable[..., Coroutine[Any, Any, T]], *arguments: Any) -> T:
    """Run a coroutine function in this process. Blocks."""
    return asyncio.run(function(*arguments))


@contextmanager
def running_app(
    folder: Path, database: Path, settings: Mapping[str, str] | None = None, pages: bool = False
) -> Iterator[Server]:
    """Run `reflex run --env prod` on a copy of the project in ``folder``.

    Without ``pages``, add `--backend-only`: the same worker with the API and the page socket, but
    without building the pages.
    """
    app = create_app(folder, database, settings, pages)
    try:
        app.start()
        assert app.process
        yield Server(app.backend_port, app.process.pid)
    finally:
        app.kill()


def create_app(
    folder: Path, database: Path, settings: Mapping[str, str] | None = None, pages: bool = False
) -> RunningApp:
    """Return the app in production, not started, on a copy of the project in ``folder``."""
    if not (folder / "app").exists():
        copy_project(folder / "app")
    options = {} if pages else BACKEND_ONLY
    return RunningApp(folder / "app", database, "prod", {**(settings or {}), **options})


@contextmanager
def running_template(database: Path) -> Iterator[Server]:
    """Run the baseline with uvicorn. Raises TimeoutError."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "bench.template:app", "--port", str(port)]
    process = subprocess.Popen(  # noqa: S603
        [*command, "--log-level", "warning"],
        cwd=PROJECT,
        env={**os.environ, "TEMPLATE_DATABASE": str(database)},
        start_new_session=True,
    )
    server = Server(port, process.pid)
    deadline = time.monotonic() + _START_TIMEOUT
    try:
        while not RunningApp.is_ready(f"{server.url}/"):
            if process.poll() is not None or time.monotonic() > deadline:
                raise TimeoutError("The baseline does not respond.")
            time.sleep(0.05)
        yield server
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def database_size(database: Path) -> int:
    """Return the bytes on disk of a database and its WAL."""
    return sum(file.stat().st_size for file in database.parent.glob(f"{database.name}*"))
