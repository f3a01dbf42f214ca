"""Executes the commands of the README."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.running_app import (
    BACKEND_ONLY,
    EXIT_TIMEOUT,
    PROJECT,
    RunningApp,
    copy_project,
    http,
)

# pytest-xdist starts groups first, and one of these tests is the slowest.
pytestmark = pytest.mark.xdist_group("readme")

README = (PROJECT / "README.md").read_text()
SKIP = "pytest.importorskip("
TIME = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z")


def documented_requests() -> list[tuple[list[str], str]]:
    """Return the curl commands of the README, split into words, with their output."""
    found = []
    for block in re.findall(r"```console\n(.*?)```", README, re.S):
        for part in block.split("$ ")[1:]:
            command, _, answer = part.replace("\\\n", "").partition("\n")
            found.append((shlex.split(command), answer.strip()))
    return found


def send_request(app: RunningApp, words: list[str]) -> str:
    """Send the request of a curl command. Returns the first event of a stream."""
    arguments = [word.replace("http://localhost:8000", app.api) for word in words[1:]]
    command = ["curl", "--silent", "--noproxy", "*", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as curl:
        assert curl.stdout
        if "-N" not in words:
            return curl.stdout.read()
        try:
            return "".join(islice(curl.stdout, 4)).strip()
        finally:
            curl.terminate()


def shape(value: Any) -> Any:
    """Replace numbers and times, which differ from run to run. A number can be null."""
    if isinstance(value, dict):
        return {name: shape(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [shape(inner) for inner in value]
    if isinstance(value, str):
        return TIME.sub("time", value)
    return "number" if value is None or type(value) in (int, float) else value


def test_documented_requests_get_the_documented_responses(
    new_app: Callable[..., RunningApp],
) -> None:
    app = new_app("prod", **BACKEND_ONLY).start()
    requests = documented_requests()
    assert requests
    for words, documented in requests:
        response = send_request(app, words)
        if "POST" in words:
            app.wait_for_points()
        if documented.startswith("{"):
            assert shape(json.loads(response)) == shape(json.loads(documented)), words
        else:
            digits = re.compile(r"\d+(\.\d+)?")
            assert digits.sub("0", TIME.sub("time", response)) == digits.sub(
                "0", TIME.sub("time", documented)
            )


def test_fresh_environment_with_runtime_requirements_runs_app_and_tests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = copy_project(tmp_path / "project")
    plain = {"HOME": str(tmp_path / "home"), "PATH": "/usr/bin:/bin"}
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("PIP_NO_COMPILE", "1")  # Most modules are never imported.
    subprocess.run([sys.executable, "-m", "venv", ".venv"], cwd=folder, check=True)
    install = ["-m", "pip", "install", "--quiet", "-r", "requirements.txt"]
    subprocess.run([".venv/bin/python", *install], cwd=folder, check=True)
    app = RunningApp(
        folder, tmp_path / "solo.duckdb", "dev", plain, reflex=folder / ".venv/bin/reflex"
    )
    try:
        app.start()
        assert http.post(f"{app.api}/stream/b").status_code == 201
        assert app.stop() < EXIT_TIMEOUT
    finally:
        app.kill()
    # Import all modules, but run only those that skip tests without a development tool.
    others = ["tests/e2e"]
    for path in (folder / "tests").rglob("test_*.py"):
        if SKIP not in path.read_text():
            others.append(str(path.relative_to(folder)))
    tests = subprocess.run(
        [".venv/bin/python", "-m", "pytest", "-q", *(f"--deselect={name}" for name in others)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert tests.returncode == 0, tests.stdout + tests.stderr
    for reason in ("property tests need", "import contract needs", "browser tests need"):
        assert f"{reason} requirements-dev.txt" in tests.stdout
