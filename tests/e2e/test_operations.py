"""Executes the commands of docs/operations.md."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from solo_app.batches.models import utc_now
from tests.helpers.history import write_long_history
from tests.helpers.running_app import (
    BACKEND_ONLY,
    PROJECT,
    RunningApp,
    copy_project,
    http,
    wait_for,
)

pytestmark = pytest.mark.xdist_group("operations")

PAGE = (PROJECT / "docs" / "operations.md").read_text()

START = "reflex run --env prod"
BASE_URL = "http://localhost:8000"
SEPARATOR = "== next =="
POINTS = timedelta(days=4) // timedelta(minutes=1)
BATCHES = ["sensor-a", "sensor-b"]


def documented_commands(heading: str) -> list[tuple[str, str]]:
    """Return the commands of a section with their output."""
    section = re.split(r"^## ", PAGE.split(f"\n## {heading}\n")[1], flags=re.M)[0]
    found = []
    for block in re.findall(r"```console\n(.*?)```", section, re.S):
        for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
            here_document = re.match(r".*?<<'EOF'\n.*?^EOF\n", part, re.S | re.M)
            command = here_document[0] if here_document else part.partition("\n")[0] + "\n"
            found.append((command, part[len(command) :]))
    return found


class Shell:
    """Runs the commands of sections in the folder of the app."""

    def __init__(self, app: RunningApp) -> None:
        self.app = app
        self.sections: list[str] = []

    def run_section(self, heading: str) -> list[str]:
        """Run the commands of a section, compare their outputs with the documented ones, and
        return them.
        """
        self.sections.append(heading)
        commands = documented_commands(heading)
        is_started = commands[-1][0].strip() == START
        if is_started:
            commands.pop()
        outputs = self._run("".join(f"{command}echo '{SEPARATOR}'\n" for command, _ in commands))
        assert len(outputs) == len(commands)
        for (command, documented), output in zip(commands, outputs, strict=True):
            assert output.strip() == documented.strip() or not documented.strip(), command
        if is_started:
            self.app.start()
        return outputs

    def _run(self, script: str) -> list[str]:
        shell = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script.replace(BASE_URL, self.app.api)],
            cwd=self.app.folder,
            env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert shell.returncode == 0, (script, shell.stdout, shell.stderr)
        return shell.stdout.split(SEPARATOR)[:-1]


@pytest.fixture
def app(tmp_path: Path) -> Iterator[RunningApp]:
    """The app with two batches of four days. Points older than a day are archived."""
    folder = copy_project(tmp_path / "project")
    (folder / ".solo").mkdir()
    database = folder / ".solo" / "solo.duckdb"
    write_long_history(database, BATCHES, POINTS, timedelta(minutes=1), utc_now())
    app = RunningApp(folder, database, "prod", {"SOLO_RETENTION_DAYS": "1", **BACKEND_ONLY})
    try:
        app.start()
        wait_for(lambda: len(list(archive_folder(app).glob("*.parquet"))) == len(BATCHES))
        yield app
    finally:
        app.kill()


def archive_folder(app: RunningApp) -> Path:
    return app.database.with_name("solo.duckdb.archive")


def read_points(app: RunningApp, batch_id: str) -> list[tuple[int, str]]:
    """Return seq and time of all points, read page by page."""
    found, url = [], f"/batches/{batch_id}/points?limit=10000"
    while url:
        page = http.get(app.api + url).json()
        found += [(point["seq"], point["ts"]) for point in page["points"]]
        url = page["next"]
    return found


def test_documented_commands_have_the_documented_results(app: RunningApp) -> None:
    shell = Shell(app)
    http.post(f"{app.api}/stream/live")
    app.wait_for_points(4)
    before = {batch_id: read_points(app, batch_id) for batch_id in (*BATCHES, "live")}
    assert [seq for seq, _ in before["sensor-a"]] == list(range(1, POINTS + 1))

    shell.run_section("Back up")
    shell.run_section("Upgrade")
    (by_archive, by_backup) = shell.run_section("Retention")
    assert re.search(r"sensor-a +│ +\d+", by_archive)
    assert re.search(rf"sensor-b +│ +{POINTS} │ +1 │ +{POINTS} ", by_backup), by_backup
    shell.run_section("Failed and interrupted batches")
    shell.run_section("Disk full")
    linked = [path for path in archive_folder(app).iterdir() if path.is_symlink()]
    assert len(linked) == 1
    assert read_points(app, "sensor-a") == before["sensor-a"]

    app.stop()
    shell.run_section("Startup errors")
    shell.run_section("Restore")
    for batch_id, points in before.items():
        # The running batch produced further points before the backup.
        assert read_points(app, batch_id)[: len(points)] == points
    assert http.get(f"{app.api}/batches/live").json()["status"] == "interrupted"
    assert sorted(shell.sections) == sorted(
        heading for heading in re.findall(r"^## (.*)", PAGE, re.M) if documented_commands(heading)
    )


def test_documented_restore_replaces_a_damaged_database(app: RunningApp) -> None:
    shell = Shell(app)
    shell.run_section("Back up")
    before = read_points(app, "sensor-b")
    app.stop()
    with app.database.open("r+b") as file:
        file.truncate(5_000)
    process = app.launch()
    assert process.wait(60) != 0
    assert "Restore a backup" in app.output()
    shell.run_section("Restore")
    assert read_points(app, "sensor-b") == before
