"""The benchmarks run, and an interrupted one ends all processes that it has started."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

pytest.importorskip("playwright", reason="the benchmarks need requirements-dev.txt")
import psutil

from tests.helpers.running_app import PROJECT

BENCH = [sys.executable, "-m", "bench"]


def test_quick_benchmarks_print_tables() -> None:
    names = ["push", "command", "queries", "streams", "live_pages"]
    titles = ["Push", "Command", "Queries", "Streams", "Live pages"]
    command = [*BENCH, *names, "--quick"]
    result = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert [title for title in titles if f"### {title}" not in result.stdout] == []


def test_terminated_soak_leaves_no_process_and_no_file() -> None:
    soak = subprocess.Popen([*BENCH, "soak"], cwd=PROJECT, stderr=subprocess.DEVNULL)
    try:
        folder = _wait_for_work_folder(psutil.Process(soak.pid))
        children = psutil.Process(soak.pid).children(recursive=True)
        soak.terminate()
        assert soak.wait(20) == 128 + signal.SIGTERM
    finally:
        soak.kill()
    _, alive = psutil.wait_procs(children, timeout=5)
    assert not alive
    assert not folder.exists()


def _wait_for_work_folder(process: psutil.Process) -> Path:
    """Return the folder of the app that a benchmark has started, when its database exists."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for child in process.children(recursive=True):
            with suppress(psutil.Error):
                folder = Path(child.cwd()).parent
                if (folder / "app.duckdb").exists():
                    return folder
        time.sleep(0.1)
    raise TimeoutError("The app does not start.")
