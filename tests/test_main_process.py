"""Signals to and from starting workers, and the child processes of the main process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from solo_app.main_process import child_processes
from tests.helpers.running_app import PROJECT

REPORT = "from solo_app.main_process import exit_with_error; exit_with_error('No disk.')"


@pytest.mark.parametrize("published", [None, "1"])
def test_unknown_parent_is_not_signalled(published: str | None) -> None:
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


@pytest.mark.parametrize("is_serving", [False, True])
def test_main_process_with_failed_worker_exits_with_1(is_serving: bool) -> None:
    main = f"""
import signal, subprocess, sys
from solo_app import main_process
assert main_process.is_new_main_process()
main_process.handle_signals()
assert not main_process.is_new_main_process()
if {is_serving}:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # Like Granian.
subprocess.run([sys.executable, "-c", "{REPORT}"])
signal.pause()
"""
    ended = subprocess.run([sys.executable, "-c", main], cwd=PROJECT, timeout=60, check=False)
    assert ended.returncode == 1


def test_sigterm_ends_a_worker_that_is_still_starting() -> None:
    main = """
import multiprocessing, os, signal
from solo_app import main_process
main_process.handle_signals()
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda *_: None)  # Like Granian.
worker = multiprocessing.get_context("fork").Process(target=signal.pause)
worker.start()
os.kill(worker.pid, signal.SIGINT)  # Ctrl-C reaches all processes; the main process handles it.
worker.terminate()
worker.join(20)
print(worker.exitcode)
worker.kill()
"""
    ended = subprocess.run(
        [sys.executable, "-c", main], cwd=PROJECT, stdout=subprocess.PIPE, text=True, check=True
    )
    assert ended.stdout == "0\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("is_serving", [False, True])
def test_signals_end_the_children_of_a_forked_process(number: int, is_serving: bool) -> None:
    main = f"""
import multiprocessing, os, signal, subprocess, sys
from solo_app import main_process
main_process.handle_signals()
command = ["sh", "-c", "echo started; exec sleep 60"]  # Like bun, which installs packages.
worker = multiprocessing.get_context("fork").Process(target=subprocess.run, args=(command,))
if {is_serving}:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: worker.terminate())  # Like Granian.
worker.start()
worker.join()
"""
    process = subprocess.Popen(
        [sys.executable, "-c", main],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout
    assert process.stdout.readline() == "started\n"
    send = os.killpg if number == signal.SIGINT else os.kill  # Ctrl-C reaches all processes.
    send(process.pid, number)
    process.communicate(timeout=20)  # Standard output is open until `sleep` ends.


def test_child_processes_are_found() -> None:
    child = subprocess.Popen(["sleep", "60"])
    try:
        assert child.pid in child_processes()
    finally:
        child.kill()
        child.wait()


def test_unreadable_thread_hides_no_child_processes(tmp_path: Path) -> None:
    (tmp_path / "1" / "children").mkdir(parents=True)  # Reading a folder raises OSError.
    (tmp_path / "2").mkdir()
    (tmp_path / "2" / "children").write_text("12 34 ")
    assert child_processes(tmp_path) == [12, 34]
