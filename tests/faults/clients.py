"""Clients that record what they received before the app is killed."""

from __future__ import annotations

import json
import threading
import time
from contextlib import suppress
from pathlib import Path

import httpx

from tests.helpers.running_app import RunningApp, http


class StreamReader(threading.Thread):
    """Reads the stream of a batch until it is aborted, and keeps the last point."""

    def __init__(self, app: RunningApp, batch_id: str) -> None:
        super().__init__(daemon=True)
        self.batch_id = batch_id
        self.last: dict[str, object] = {"seq": 0}
        self.is_in_order = True
        self._url = f"{app.api}/stream/{batch_id}?after=0"
        self.start()

    @property
    def seq(self) -> int:
        return int(str(self.last["seq"]))

    def run(self) -> None:
        with suppress(httpx.TransportError), http.stream("GET", self._url, timeout=20) as response:
            for line in response.iter_lines():
                if line.startswith("data: {"):
                    point = json.loads(line.removeprefix("data: "))
                    self.is_in_order = self.is_in_order and point["seq"] == self.seq + 1
                    self.last = point


class CountPoller(threading.Thread):
    """Polls the row counts and keeps the latest ones."""

    def __init__(self, app: RunningApp) -> None:
        super().__init__(daemon=True)
        self.row_counts: dict[str, int] = {}
        self.row_count = 0
        self._app = app
        self.start()

    def run(self) -> None:
        with suppress(httpx.TransportError), httpx.Client(base_url=self._app.api) as client:
            while True:
                time.sleep(0.01)
                self.row_count = client.get("/").json()["row_count"]
                for task in client.get("/tasks").json()["tasks"]:
                    self.row_counts[task["batch_id"]] = task["row_count"]


def worker_pids(app: RunningApp) -> list[int]:
    """Return the ids of the processes that have the database of an app open: one or none."""
    found = []
    for folder in Path("/proc").glob("[0-9]*/fd"):
        with suppress(OSError):
            if any(fd.readlink() == app.database for fd in folder.iterdir()):
                found.append(int(folder.parent.name))
    return found


def worker_pid(app: RunningApp) -> int:
    """Return the id of the process that has the database of an app open."""
    (pid,) = worker_pids(app)
    return pid
