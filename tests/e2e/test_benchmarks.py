"""The benchmarks start the real app; whoever breaks one off is rid of it."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

from bench.pauses import processors
from tests.helpers.running_app import PROJECT

pytest.importorskip("psutil", reason="the benchmarks need requirements-dev.txt")
import psutil


def test_a_soak_that_is_told_to_end_leaves_nothing_running() -> None:
    before = set(_folders())
    soak = subprocess.Popen(
        [sys.executable, "-m", "bench", "soak", "--minutes", "5"],
        cwd=PROJECT,
        stdout=subprocess.DEVNULL,
    )
    try:
        # The app's two, those that read, watch and sleep, and one that Python has beside such.
        started = _wait_for_children(soak.pid, 5 + len(processors()))
        soak.terminate()
        assert soak.wait(20) == 128 + signal.SIGTERM
    finally:
        soak.kill()
    _, left = psutil.wait_procs(started, timeout=5)
    assert not left
    assert set(_folders()) == before


def _wait_for_children(pid: int, count: int) -> list[psutil.Process]:
    deadline = time.monotonic() + 60
    while len(children := psutil.Process(pid).children(recursive=True)) < count:
        assert time.monotonic() < deadline, children
        time.sleep(0.1)
    return children


def _folders() -> list[str]:
    return [path.name for path in (PROJECT / ".bench").glob("*")]
