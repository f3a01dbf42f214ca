"""The API against its own description: no 500, and no answer that the description leaves out."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.helpers.running_app import RunningApp

CONFIG = Path(__file__).with_name("schemathesis.toml")
FOLLOW = "stream_batch"


def fuzz(app: RunningApp, rounds: int, *selection: str) -> None:
    """Have schemathesis make requests that fit the description and some that do not."""
    if importlib.util.find_spec("schemathesis") is None:
        pytest.skip("fuzzing the API needs requirements-dev.txt")
    words = ["--config-file", str(CONFIG), "run", f"{app.api}/openapi.json", "--checks", "all"]
    words += ["--max-examples", str(2 * rounds), "--request-timeout", "10", *selection]
    done = subprocess.run(
        [Path(sys.executable).with_name("st"), *words],
        cwd=app.database.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_answer_is_as_described(new_app: Callable[..., RunningApp], rounds: int) -> None:
    app = new_app("prod", SOLO_INTERVAL="0.05").start()
    assert httpx.post(f"{app.api}/stream/b").status_code == 201
    fuzz(app, rounds, "--exclude-operation-id", FOLLOW)
    # A stream of a batch that runs has no end.
    for task in httpx.get(f"{app.api}/tasks").json()["tasks"]:
        assert httpx.delete(f"{app.api}/stream/{task['batch_id']}").status_code == 200
    fuzz(app, rounds, "--include-operation-id", FOLLOW)
    assert "Traceback" not in app.output()
    assert app.stop() < 2
