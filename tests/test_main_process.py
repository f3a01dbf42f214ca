"""Which process a worker signals when it cannot start, and which processes the main one ends."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest

from solo_app.main_process import child_processes
from tests.helpers.running_app import PROJECT

REPORT = "from solo_app.main_process import report_failed_start as report; report()"


@pytest.mark.parametrize("published", [None, "1"])
def test_parent_that_published_no_id_is_not_signalled(published: str | None) -> None:
    environment = {**os.environ, "SOLO_MAIN_PROCESS": published or ""}
    if published is None:
        del environment["SOLO_MAIN_PROCESS"]
    shell = subprocess.run(
        ["sh", "-c", f'"{sys.executable}" -c "{REPORT}"; echo alive'],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (shell.returncode, shell.stdout) == (0, "alive\n"), shell.stderr


def test_main_process_with_failed_worker_exits_with_1() -> None:
    main = f"""
import signal, subprocess, sys
from solo_app import main_process
assert main_process.is_new_main_process()
main_process.handle_signals()
assert not main_process.is_new_main_process()
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # Like Granian.
subprocess.run([sys.executable, "-c", "{REPORT}"])
signal.pause()
"""
    ended = subprocess.run([sys.executable, "-c", main], cwd=PROJECT, timeout=60, check=False)
    assert ended.returncode == 1


def test_children_are_found_while_threads_end() -> None:
    child = subprocess.Popen(["sleep", "60"])
    ended = threading.Event()

    def start_threads() -> None:
        while not ended.is_set():
            thread = threading.Thread(target=int)
            thread.start()
            thread.join()

    starting = [threading.Thread(target=start_threads) for _ in range(3)]
    for thread in starting:
        thread.start()
    try:
        assert all(child.pid in child_processes() for _ in range(1_000))
    finally:
        ended.set()
        for thread in starting:
            thread.join()
        child.kill()
        child.wait()
