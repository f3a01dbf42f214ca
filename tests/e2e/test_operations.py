"""Every command of docs/operations.md does what the page says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from solo_app.batches.models import utc_now
from tests.helpers.history import write_long_history
from tests.helpers.running_app import BACKEND_ONLY, PROJECT, RunningApp, copy_project, http

PAGE = (PROJECT / "docs" / "operations.md").read_text()

START = "reflex run --env prod"
HERE = "http://localhost:8000"
NEXT = "== next =="
POINTS = timedelta(days=4) // timedelta(minutes=1)
BATCHES = ["sensor-a", "sensor-b"]


def told_commands(heading: str) -> list[tuple[str, str]]:
    """Each command of a section, with the answer below it."""
    section = re.split(r"^## ", PAGE.split(f"\n## {heading}\n")[1], flags=re.M)[0]
    found = []
    for block in re.findall(r"```console\n(.*?)```", section, re.S):
        for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
            here_document = re.match(r".*?<<'EOF'\n.*?^EOF\n", part, re.S | re.M)
            command = here_document[0] if here_document else part.partition("\n")[0] + "\n"
            found.append((command, part[len(command) :]))
    return found


class Shell:
    """Runs a section's commands in the folder of the app, one after the other."""

    def __init__(self, app: RunningApp) -> None:
        self.app = app
        self.sections: list[str] = []

    def do(self, heading: str) -> list[str]:
        """What each of them said; each must end well and say what the page tells."""
        self.sections.append(heading)
        commands = told_commands(heading)
        starts = commands[-1][0].strip() == START
        if starts:
            commands.pop()
        said = self._run("".join(f"{command}echo '{NEXT}'\n" for command, _ in commands))
        assert len(said) == len(commands)
        for (command, told), answer in zip(commands, said, strict=True):
            assert answer.strip() == told.strip() or not told.strip(), command
        if starts:
            self.app.start()
        return said

    def _run(self, script: str) -> list[str]:
        shell = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script.replace(HERE, self.app.api)],
            cwd=self.app.folder,
            env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert shell.returncode == 0, (script, shell.stdout, shell.stderr)
        return shell.stdout.split(NEXT)[:-1]


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    """The app with two batches of four days, of which all but the last day is archived."""
    folder = copy_project(tmp_path_factory.mktemp("operations") / "project")
    (folder / ".solo").mkdir()
    database = folder / ".solo" / "solo.duckdb"
    write_long_history(database, BATCHES, POINTS, timedelta(minutes=1), utc_now())
    app = RunningApp(folder, database, "prod", {"SOLO_RETENTION_DAYS": "1", **BACKEND_ONLY})
    try:
        yield app
    finally:
        app.kill()


def eventually(condition: Callable[[], object], within: float = 30) -> None:
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def points_of(app: RunningApp, batch_id: str) -> list[tuple[int, str]]:
    """All points that a client gets, page by page."""
    found, address = [], f"/batches/{batch_id}/points?limit=10000"
    while address:
        page = http.get(app.api + address).json()
        found += [(point["seq"], point["ts"]) for point in page["points"]]
        address = page["next"]
    return found


def test_the_commands_of_the_page_do_what_it_says(app: RunningApp) -> None:
    shell = Shell(app)
    archive = app.folder / ".solo" / "solo.duckdb.archive"
    app.start()
    eventually(lambda: len(list(archive.glob("*.parquet"))) == len(BATCHES))
    http.post(f"{app.api}/stream/live")
    eventually(lambda: http.get(f"{app.api}/tasks").json()["tasks"][0]["row_count"] >= 4)
    before = {batch_id: points_of(app, batch_id) for batch_id in (*BATCHES, "live")}
    assert [seq for seq, _ in before["sensor-a"]] == list(range(1, POINTS + 1))

    shell.do("Back up")
    shell.do("Upgrade")
    (by_archive, by_backup) = shell.do("Retention")
    assert re.search(r"sensor-a +│ +\d+", by_archive)
    assert re.search(rf"sensor-b +│ +{POINTS} │ +1 │ +{POINTS} ", by_backup), by_backup
    shell.do("Failed and interrupted batches")
    shell.do("Disk full")
    linked = [path for path in archive.iterdir() if path.is_symlink()]
    assert len(linked) == 1
    assert points_of(app, "sensor-a") == before["sensor-a"]

    app.stop()
    shell.do("Startup errors")
    shell.do("Restore")
    for batch_id, points in before.items():
        # The batch that ran has its points up to the backup, which came later.
        assert points_of(app, batch_id)[: len(points)] == points
    assert http.get(f"{app.api}/batches/live").json()["status"] == "interrupted"
    assert sorted(shell.sections) == sorted(
        heading for heading in re.findall(r"^## (.*)", PAGE, re.M) if told_commands(heading)
    )


def test_a_damaged_database_is_put_aside_and_a_backup_in_its_place(app: RunningApp) -> None:
    shell = Shell(app)
    if not app.is_ready(f"{app.api}/tasks"):
        app.start()
    shell.do("Back up")
    before = points_of(app, "sensor-b")
    app.stop()
    with app.database.open("r+b") as file:
        file.truncate(5_000)
    process = app.launch()
    assert process.wait(60) != 0
    assert "Restore a backup" in app.output()
    subprocess.run(["rm", "-rf", ".solo-aside"], cwd=app.folder, check=True)
    shell.do("Restore")
    assert points_of(app, "sensor-b") == before
