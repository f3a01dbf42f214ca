"""The real app under load: `reflex run` as a process, and what it uses of the machine."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil

from tests.helpers.running_app import BACKEND_ONLY, RunningApp, copy_project

_LOOK_EVERY = 0.3

SEEN_FOR = 2 * _LOOK_EVERY
"""Seconds that what is measured must go on before and after the time that counts."""


@contextmanager
def running_app(
    place: Path, database: Path, settings: dict[str, str] | None = None, pages: bool = False
) -> Iterator[RunningApp]:
    """`reflex run --env prod` on a copy of the project in ``place``, ended afterwards.

    Without ``pages`` the server runs alone (`--backend-only`): the same worker, which answers
    the API and the pages' socket, but no page is built and served.
    """
    copy = place / "app"
    if not copy.exists():
        copy_project(copy)
    # One open file per connection: the server inherits the limit.
    raise_file_limit()
    more = {} if pages else BACKEND_ONLY
    app = RunningApp(copy, database, "prod", {**(settings or {}), **more})
    try:
        yield app.start()
    finally:
        app.kill()


def raise_file_limit() -> None:
    """Let this process and those it starts open as many files as the system allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@dataclass(slots=True)
class Samples:
    """At each of ``times`` (seconds since 1970) processor seconds spent so far, and memory."""

    times: list[float] = field(default_factory=list)
    spent: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)

    def share_of_core(self, began: float, ended: float) -> float:
        """Percent of one core from one moment to another."""
        assert self.times[0] <= began < ended <= self.times[-1], "not looked at all the while"
        spent = np.interp([began, ended], self.times, self.spent)
        return float(100 * (spent[1] - spent[0]) / (ended - began))


class Usage:
    """What the processes of an app use, from when this was made."""

    def __init__(self, app: RunningApp) -> None:
        assert app.process
        parent = psutil.Process(app.process.pid)
        self._processes = [parent, *parent.children(recursive=True)]
        self.restart()

    def restart(self) -> None:
        """Count from now on."""
        self._began, self._cpu = time.perf_counter(), self._cpu_seconds()

    @property
    def share_of_core(self) -> float:
        """Processor time since the start, as percent of one core."""
        return 100 * (self._cpu_seconds() - self._cpu) / (time.perf_counter() - self._began)

    @property
    def memory(self) -> float:
        """Bytes of memory that belong to these processes alone."""
        return float(sum(process.memory_full_info().uss for process in self._processes))

    def while_going_on(self, is_over: Callable[[], bool]) -> Samples:
        """Look again and again until it is over."""
        self.restart()
        samples = Samples()
        while not is_over():
            samples.times.append(time.time())
            samples.spent.append(self._cpu_seconds())
            samples.memory.append(self.memory)
            time.sleep(_LOOK_EVERY)
        return samples

    def _cpu_seconds(self) -> float:
        times = [process.cpu_times() for process in self._processes]
        return sum(spent.user + spent.system for spent in times)


def files_of(database: Path) -> int:
    """Bytes that a database takes on disk, its log included."""
    return sum(p.stat().st_size for p in database.parent.glob(f"{database.name}*") if p.is_file())
