"""The benchmarks run, and an interrupted one ends everything that it has started."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

pytest.importorskip("playwright", reason="the benchmarks need requirements-dev.txt")
import psutil

from tests.helpers.running_app import PROJECT

BENCH = [sys.executable, "-m", "bench"]


@pytest.mark.parametrize("name", ["ingest", "queries", "streams", "live_pages"])
def test_quick_benchmark_prints_a_table(name: str) -> None:
    command = [*BENCH, name, "--quick"]
    result = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("### ")


def test_terminated_soak_leaves_no_process_and_no_file() -> None:
    before = _work_folders()
    soak = subprocess.Popen([*BENCH, "soak"], cwd=PROJECT, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while not list((PROJECT / ".bench").glob("*/app.duckdb")):
            assert time.monotonic() < deadline, "the app does not start"
            time.sleep(0.1)
        children = psutil.Process(soak.pid).children(recursive=True)
        assert children
        soak.terminate()
        assert soak.wait(20) == 128 + signal.SIGTERM
    finally:
        soak.kill()
    _, alive = psutil.wait_procs(children, timeout=5)
    assert not alive
    assert _work_folders() == before


def _work_folders() -> set[str]:
    return {path.name for path in (PROJECT / ".bench").glob("*")}
