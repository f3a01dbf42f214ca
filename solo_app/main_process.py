"""Signals of the main process, the one that `reflex run` starts and that starts all others.

Granian handles SIGINT and SIGTERM from the moment it serves. This module covers what it does not:
the time before that, a closed terminal, and a worker that cannot start.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType

_PUBLISHED = "SOLO_MAIN_PROCESS"
"""Environment variable with the id of the main process, set once its handlers are installed."""

_CHILDREN_END_WITHIN = 1.5
"""Seconds that the build and the frontend have to end."""

_START_FAILED = signal.SIGUSR1
"""Sent by a worker that could not open the service."""


def is_new_main_process() -> bool:
    """Whether this process is no worker, and ``handle_signals`` was not called in it before."""
    is_worker = multiprocessing.parent_process() is not None
    return not is_worker and os.environ.get(_PUBLISHED) != str(os.getpid())


def handle_signals() -> None:
    """Install the handlers and publish this process to its workers."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _end_with_children)
    _handle_hangup()
    _exit_with_1_when_a_worker_fails()
    os.environ[_PUBLISHED] = str(os.getpid())


def report_failed_start() -> None:
    """End the main process with exit code 1. Called in a worker; without a main process, no-op.

    In development Granian would wait for a change of the code instead.
    """
    parent = os.getppid()
    if os.environ.get(_PUBLISHED) == str(parent):
        os.kill(parent, _START_FAILED)


def _end_with_children(number: int, frame: FrameType | None) -> None:
    """End the build and the frontend too: a signal to one process does not reach its children."""
    children = _children()
    for child in children:
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGTERM)
    if number == signal.SIGINT:
        signal.default_int_handler(number, frame)
    deadline = time.monotonic() + _CHILDREN_END_WITHIN
    while any(map(_is_running, children)) and time.monotonic() < deadline:
        time.sleep(0.01)
    os._exit(0)  # An exception could get lost in the code that the signal interrupted.


def _is_running(child: int) -> bool:
    try:
        return os.waitpid(child, os.WNOHANG) == (0, 0)
    except ChildProcessError:  # Reaped before.
        return False


def _children() -> list[int]:
    """Return the child processes of this one; none where the system has no /proc."""
    children: list[int] = []
    for file in Path("/proc/self/task").glob("*/children"):
        with suppress(OSError):  # That thread has just ended.
            children += map(int, file.read_text().split())
    return children


def _handle_hangup() -> None:
    """Have a closed terminal end the app, unless `nohup` ignores it.

    Granian installs a handler that starts a second worker next to the first, which fails because
    the database is in use. A blocked signal never reaches that handler.
    """
    is_ignored = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    if not is_ignored:
        threading.Thread(target=_terminate_on_hangup, name="hangup", daemon=True).start()


def _terminate_on_hangup() -> None:
    signal.sigwait({signal.SIGHUP})
    os.kill(os.getpid(), signal.SIGTERM)


def _exit_with_1_when_a_worker_fails() -> None:
    """Shut down on ``_START_FAILED``. The servers would end with exit code 0."""
    has_failed = False

    def shut_down(*_: object) -> None:
        nonlocal has_failed
        has_failed = True
        os.kill(os.getpid(), signal.SIGTERM)

    def exit_with_1() -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # A second Ctrl-C would change the exit code.
        if has_failed:
            sys.stdout.flush()
            os._exit(1)

    signal.signal(_START_FAILED, shut_down)
    atexit.register(exit_with_1)  # Registered first, it runs after all others.
