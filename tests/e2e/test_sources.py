"""Executes the examples of docs/sources.md, from the command to the number on the page."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.actions import open_page
from tests.helpers.running_app import PROJECT, RunningApp, free_port, http, wait_for
from tests.sources.mqtt_broker import EXECUTABLE as MOSQUITTO

pytest.importorskip("playwright", reason="browser tests need requirements-dev.txt")
from playwright.sync_api import expect

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.xdist_group("sources")

DOCUMENT = (PROJECT / "docs" / "sources.md").read_text()


@dataclass(frozen=True)
class Example:
    script: str
    cron_job: str
    batch_id: str


def documented_examples() -> dict[str, Example]:
    """Return the examples by heading: sections with a link to the page of a batch."""
    found = {}
    for heading, text in re.findall(r"^### ([^\n]*)(.*?)(?=^##|\Z)", DOCUMENT, re.M | re.S):
        if link := re.search(r"<http://localhost:3000/batch/(\S+)>", text):
            commands = re.findall(r"^\$ (.*)$", text, re.M)
            cron_job = re.search(r"^```crontab\n(?:\S+ ){5}(.*)\n```$", text, re.M)
            found[heading] = Example("\n".join(commands), cron_job[1] if cron_job else "", link[1])
    return found


EXAMPLES = documented_examples()


@dataclass(frozen=True)
class Console:
    """The app as documented, and a copy of the examples that uses its ports."""

    app: RunningApp
    folder: Path
    broker_port: int

    def replace_ports(self, text: str) -> str:
        return (
            text.replace("http://localhost:8000", self.app.api)
            .replace('host = "localhost"', f'host = "localhost"\nport = {self.broker_port}')
            .replace("mosquitto_pub", f"mosquitto_pub -p {self.broker_port}")
        )


@pytest.fixture(scope="module")
def console(
    project_in: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Console]:
    folder = tmp_path_factory.mktemp("sources")
    shutil.copytree(PROJECT / "examples", folder / "examples")
    setting = re.search(r"^\$ SOLO_CONFIG=(\S+) reflex run$", DOCUMENT, re.M)
    assert setting
    settings = {"SOLO_CONFIG": str(folder / setting[1])}
    app = RunningApp(project_in("sources"), folder / "solo.duckdb", "prod", settings)
    console = Console(app, folder, free_port())
    for file in (folder / "examples").iterdir():
        file.write_text(console.replace_ports(file.read_text()))
    try:
        app.start()
        yield console
    finally:
        app.stop()


@pytest.fixture
def broker(console: Console) -> Iterator[None]:
    """A broker on the port of the example."""
    if not MOSQUITTO or not shutil.which("mosquitto_pub"):
        pytest.skip("needs mosquitto and mosquitto-clients")
    with subprocess.Popen([MOSQUITTO, "-p", str(console.broker_port)]) as process:
        wait_for(lambda: is_open(console.broker_port))
        yield
        process.kill()


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def run_in_background(
    console: Console, command: list[str], environment: dict[str, str]
) -> Iterator[None]:
    """Run a command in the folder of the examples. At the end, its process group is terminated."""
    with subprocess.Popen(
        command, cwd=console.folder, env=environment, start_new_session=True
    ) as process:
        try:
            yield
            assert process.poll() in (None, 0)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)


def shell_environment(app: RunningApp) -> dict[str, str]:
    """The environment in which a user runs commands: the virtual environment is activated."""
    return {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(app.folder),
        "REFLEX_BACKEND_PORT": str(app.backend_port),
        "NO_PROXY": "localhost",
    }


def expect_number(page: Page, app: RunningApp, batch_id: str) -> None:
    """Expect a point of the batch in the database, on the chart and in the table of its page."""
    wait_for(lambda: http.get(f"{app.api}/batches/{batch_id}/points").json().get("points"))
    open_page(page, app, f"/batch/{batch_id}")
    # A single point is a dot. Playwright considers a horizontal line hidden: its box has no height.
    drawn = page.locator(".live-chart").locator(".recharts-line-curve[d], .recharts-line-dot")
    expect(drawn).not_to_have_count(0)
    row = page.get_by_role("region", name="Latest points").locator("tbody tr").first
    expect(row.locator("td").last).to_have_text(re.compile(r"\d"))


@pytest.mark.parametrize("heading", EXAMPLES)
def test_example_shows_numbers(
    heading: str, console: Console, page: Page, request: pytest.FixtureRequest
) -> None:
    example, app = EXAMPLES[heading], console.app
    if "mosquitto" in example.script:
        request.getfixturevalue("broker")
    script = console.replace_ports(example.script or example.cron_job)
    command, environment = ["bash", "-euo", "pipefail", "-c", script], shell_environment(app)
    if example.cron_job:
        assert "%" not in script  # Cron replaces it by a line break.
        command, environment = ["/bin/sh", "-c", script], {"PATH": "/usr/bin:/bin"}
    with run_in_background(console, command, environment):
        expect_number(page, app, example.batch_id)
    app.stop_batches()


def test_ten_examples_are_documented() -> None:
    assert len(EXAMPLES) == 10


def test_shell_loop_ends_with_its_reader() -> None:
    subprocess.run(
        ["sh", "-c", "sh examples/loop.sh | head -n 1"], cwd=PROJECT, timeout=60, check=True
    )
