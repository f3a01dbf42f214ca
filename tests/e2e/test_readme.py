"""What the README tells to type does what it says."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.running_app import BACKEND_ONLY, PROJECT, RunningApp, copy_project, http

README = (PROJECT / "README.md").read_text()
TIME = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z")


# Everything that could need more than requirements.txt, and a part of the rest.
WITHOUT_TOOLS = [
    "tests/api/test_gateway.py",
    "tests/batches/test_minutes_properties.py",
    "tests/test_architecture.py",
    "tests/test_config.py",
    "tests/test_readme.py",
    *(
        f"tests/e2e/test_{name}.py"
        for name in (
            "accessibility",
            "addresses",
            "axe",
            "console",
            "form",
            "layout",
            "live",
            "pages",
            "server_away",
        )
    ),
]


def told_requests() -> list[tuple[list[str], str]]:
    """Each curl line of the README as words, with the answer below it."""
    found = []
    for block in re.findall(r"```console\n(.*?)```", README, re.S):
        for part in block.split("$ ")[1:]:
            command, _, answer = part.partition("\n")
            found.append((shlex.split(command), answer.strip()))
    return found


def ask(app: RunningApp, words: list[str]) -> str:
    """Do what the curl line does; of a stream, its first three events."""
    assert words[0] == "curl"
    if "|" in words:
        at = words.index("|")
        assert words[at + 1 :] == ["head", "-3"]
        return "\n".join(ask(app, words[:at]).splitlines()[:3])
    url = words[-1].replace("http://localhost:8000", app.api)
    method = words[words.index("-X") + 1] if "-X" in words else "GET"
    headers = dict([words[words.index("-H") + 1].split(": ")]) if "-H" in words else {}
    if "-N" not in words:
        return http.request(method, url, headers=headers).text
    with http.stream(method, url, headers=headers) as answer:
        text = ""
        for chunk in answer.iter_text():
            text += chunk
            if text.count("\n\n") >= 3:
                break
    return "\n\n".join(text.split("\n\n")[:3])


def wait_for_points(app: RunningApp) -> None:
    """Wait for as many as the answers tell of; before the first a batch has no latest point."""
    deadline = time.monotonic() + 30
    while http.get(f"{app.api}/").json()["row_count"] < 3:
        assert time.monotonic() < deadline, "nothing is produced"
        time.sleep(0.05)


def shape(value: Any) -> Any:
    """What must agree: names, words and kinds; numbers and times differ from run to run."""
    if isinstance(value, dict):
        return {name: shape(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [shape(inner) for inner in value]
    if isinstance(value, bool) or value is None:
        return value
    return "number" if isinstance(value, int | float) else TIME.sub("time", value)


def test_the_curl_lines_get_the_answers_that_are_told(new_app: Callable[..., RunningApp]) -> None:
    app = new_app("prod", **BACKEND_ONLY).start()
    requests = told_requests()
    assert len(requests) >= 9
    for words, told in requests:
        answer = ask(app, words)
        if "POST" in words:
            wait_for_points(app)
        if told.startswith("{"):
            assert shape(json.loads(answer)) == shape(json.loads(told)), words
        else:
            digits = re.compile(r"\d+(\.\d+)?")
            assert digits.sub("0", TIME.sub("time", answer)) == digits.sub(
                "0", TIME.sub("time", told)
            )


def test_a_newcomer_needs_nothing_but_python_and_the_first_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = copy_project(tmp_path / "project")
    plain = {"HOME": str(tmp_path / "home"), "PATH": "/usr/bin:/bin"}
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("PIP_NO_COMPILE", "1")  # What is used is compiled when it is; most is not.
    subprocess.run([sys.executable, "-m", "venv", ".venv"], cwd=folder, check=True)
    install = ["-m", "pip", "install", "--quiet", "-r", "requirements.txt"]
    subprocess.run([".venv/bin/python", *install], cwd=folder, check=True)
    app = RunningApp(
        folder, tmp_path / "solo.duckdb", "dev", plain, reflex=folder / ".venv/bin/reflex"
    )
    try:
        app.start()
        assert http.post(f"{app.api}/stream/b").status_code == 201
        assert app.stop() < 2
    finally:
        app.kill()
    tests = subprocess.run(
        [".venv/bin/python", "-m", "pytest", "-q", "-p", "no:cacheprovider", *WITHOUT_TOOLS],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert tests.returncode == 0, tests.stdout + tests.stderr
    assert "property tests need requirements-dev.txt" in tests.stdout
    assert "the import contract needs requirements-dev.txt" in tests.stdout
    assert "browser tests need requirements-dev.txt" in tests.stdout
