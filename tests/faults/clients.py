"""Clients that remember what they saw, so that it can be looked for after a kill."""

from __future__ import annotations

import json
import threading
from contextlib import suppress
from pathlib import Path

import httpx

from tests.helpers.running_app import RunningApp


class Follower(threading.Thread):
    """Follows a batch until its stream breaks off; remembers the last points and their values."""

    def __init__(self, app: RunningApp, batch_id: str) -> None:
        super().__init__(daemon=True)
        self.batch_id = batch_id
        self.last: dict[str, object] = {"seq": 0}
        self.in_order = True
        self._url = f"{app.api}/stream/{batch_id}?after=0"
        self.start()

    @property
    def seq(self) -> int:
        return int(str(self.last["seq"]))

    def run(self) -> None:
        with suppress(httpx.TransportError), httpx.stream("GET", self._url, timeout=20) as answer:
            for line in answer.iter_lines():
                if line.startswith("data: {"):
                    point = json.loads(line.removeprefix("data: "))
                    self.in_order = self.in_order and point["seq"] == self.seq + 1
                    self.last = point


class Asker(threading.Thread):
    """Asks again and again how many points there are; remembers the highest answers."""

    def __init__(self, app: RunningApp) -> None:
        super().__init__(daemon=True)
        self.counted: dict[str, int] = {}
        self.row_count = 0
        self._app = app
        self.start()

    def run(self) -> None:
        with suppress(httpx.TransportError), httpx.Client(base_url=self._app.api) as client:
            while True:
                self.row_count = client.get("/").json()["row_count"]
                for task in client.get("/tasks").json()["tasks"]:
                    self.counted[task["batch_id"]] = task["row_count"]


def holder_of(app: RunningApp) -> int:
    """The process that has the database of an app open: its worker."""
    for folder in Path("/proc").glob("[0-9]*/fd"):
        with suppress(OSError):
            if any(fd.readlink() == app.database for fd in folder.iterdir()):
                return int(folder.parent.name)
    raise AssertionError("nobody has the database open")
