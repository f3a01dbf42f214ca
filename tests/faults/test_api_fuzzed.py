"""Random requests to the API: responses conform to its OpenAPI document, and none is a 500."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.helpers.running_app import EXIT_TIMEOUT, RunningApp, http

CONFIG = Path(__file__).with_name("schemathesis.toml")
HOOKS = Path(__file__).with_name("schemathesis_hooks.py")
FOLLOW = "stream_batch"


def fuzz(app: RunningApp, rounds: int, *selection: str) -> None:
    """Send valid and invalid requests with Schemathesis."""
    if importlib.util.find_spec("schemathesis") is None:
        pytest.skip("fuzzing the API needs requirements-dev.txt")
    arguments = ["--config-file", str(CONFIG), "run", f"{app.api}/openapi.json", "--checks", "all"]
    arguments += ["--max-examples", str(rounds), "--request-timeout", "10", *selection]
    process = subprocess.run(
        [Path(sys.executable).with_name("st"), *arguments],
        cwd=app.database.parent,
        env={**os.environ, "SCHEMATHESIS_HOOKS": str(HOOKS)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stdout + process.stderr


def test_responses_conform_to_the_openapi_document(
    new_app: Callable[..., RunningApp], rounds: int
) -> None:
    app = new_app(SOLO_INTERVAL="0.05").start()
    assert http.post(f"{app.api}/stream/b").status_code == 201
    fuzz(app, rounds, "--exclude-operation-id", FOLLOW)
    # The stream of a running batch does not end.
    for task in http.get(f"{app.api}/tasks").json()["tasks"]:
        assert http.delete(f"{app.api}/stream/{task['batch_id']}").status_code == 200
    fuzz(app, rounds, "--include-operation-id", FOLLOW)
    assert "Traceback" not in app.output()
    assert app.stop() < EXIT_TIMEOUT
