"""Signal handling of the main process, which `reflex run` starts and which starts all others.

Granian handles SIGINT and SIGTERM once the server is running. This module handles signals before
that and while a worker starts, a closed terminal, and a worker that cannot start.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn

_PID_VARIABLE = "SOLO_MAIN_PROCESS"
"""Environment variable with the id of the main process, set once its handlers are installed."""

_CHILDREN_END_WITHIN = 1.5
"""Time limit in seconds for the build and the frontend to end."""

_PARENT_CHECK_INTERVAL = 0.5

_STOP_SIGNALS = {signal.SIGINT, signal.SIGTERM}

_START_FAILED_SIGNAL = signal.SIGUSR1
"""Sent by a worker that could not open the service."""


def is_new_main_process() -> bool:
    """Return whether this is not a worker and ``handle_signals`` has not been called in it."""
    is_worker = multiprocessing.parent_process() is not None
    return not is_worker and os.environ.get(_PID_VARIABLE) != str(os.getpid())


def handle_signals() -> None:
    """Install the signal handlers and publish the id of this process to its workers."""
    for number in _STOP_SIGNALS:
        signal.signal(number, _end_with_children)
    _handle_hangup()
    _handle_failed_start()
    _reset_signals_in_workers()  # After _handle_hangup, whose fork keeps the handlers.
    os.environ[_PID_VARIABLE] = str(os.getpid())


def exit_with_error(message: str) -> NoReturn:
    """Print the reason why the app cannot start, and exit with code 1.

    In a worker, also end the main process: in development, Granian would wait for a code change.
    """
    sys.stderr.write(f"SOLO cannot start: {message}\n")
    sys.stderr.flush()
    parent = os.getppid()
    if os.environ.get(_PID_VARIABLE) == str(parent):
        os.kill(parent, _START_FAILED_SIGNAL)
    os._exit(1)


def terminate_after(parent: int) -> None:
    """Terminate this process when its parent ends, because no other process does."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_PARENT_CHECK_INTERVAL)
        os.kill(os.getpid(), signal.SIGTERM)

    _start_thread(watch, "parent")


def _start_thread(run: Callable[[], None], name: str) -> None:
    """Run a function in a thread that leaves SIGINT and SIGTERM to the main thread.

    During a fork, the main thread blocks them, so another thread would receive them. The main
    thread could then start to wait before its handlers have run.
    """

    def run_without_stop_signals() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, _STOP_SIGNALS)
        run()

    threading.Thread(target=run_without_stop_signals, name=name, daemon=True).start()


def _end_with_children(number: int, frame: FrameType | None) -> None:
    """Terminate the build and the frontend, which do not receive the signal, then exit."""
    children = child_processes()
    for child in children:
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGTERM)
    if number == signal.SIGINT:
        signal.default_int_handler(number, frame)
    deadline = time.monotonic() + _CHILDREN_END_WITHIN
    while any(map(_is_running, children)) and time.monotonic() < deadline:
        time.sleep(0.01)
    # The interrupted code could catch an exception.
    os._exit(0 if number == signal.SIGTERM else 1)


def _is_running(child: int) -> bool:
    try:
        return os.waitpid(child, os.WNOHANG) == (0, 0)
    except ChildProcessError:  # Already reaped.
        return False


def child_processes(threads: Path = Path("/proc/self/task")) -> list[int]:
    """Return the ids of the child processes of this process; none on systems without /proc."""
    children: list[int] = []
    for file in threads.glob("*/children"):
        with suppress(OSError):  # The thread has just ended.
            children += map(int, file.read_text().split())
    return children


def _handle_hangup() -> None:
    """End the app when its terminal is closed, unless `nohup` ignores SIGHUP.

    Granian's handler for SIGHUP would start a second worker, which fails because the database is
    in use. Blocking the signal keeps it from that handler.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
        _continue_in_own_session()
    else:
        _start_thread(_terminate_on_hangup, "hangup")


def _continue_in_own_session() -> None:
    """Continue in a child process without a terminal, and only wait for it in this one.

    Ignoring SIGHUP as `nohup` does is not enough: bun resets it for the build and the frontend.
    """
    parent = os.getpid()
    if child := os.fork():
        for number in _STOP_SIGNALS:
            signal.signal(number, lambda received, _: os.kill(child, received))
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        os._exit(code if code >= 0 else 128 - code)
    os.setsid()
    terminate_after(parent)


def _terminate_on_hangup() -> None:
    signal.sigwait({signal.SIGHUP})
    os.kill(os.getpid(), signal.SIGTERM)


def _reset_signals_in_workers() -> None:
    """Let SIGTERM end a worker that is still starting, and the programs that it runs.

    A forked worker inherits Granian's handlers, which have no effect in a worker. Granian would
    wait for the worker for 2 s in development, and forever in production. The signals are blocked
    during the fork, because a signal that reaches the worker before the reset would be lost.
    """

    def reset() -> None:
        signal.signal(signal.SIGTERM, _end_with_children)
        # The main process sends SIGTERM after a Ctrl-C. Unlike SIG_IGN, not inherited by programs.
        signal.signal(signal.SIGINT, lambda *_: None)
        unblock()

    def unblock() -> None:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOP_SIGNALS)

    os.register_at_fork(
        before=lambda: signal.pthread_sigmask(signal.SIG_BLOCK, _STOP_SIGNALS),
        after_in_parent=unblock,
        after_in_child=reset,
    )


def _handle_failed_start() -> None:
    """Shut down with exit code 1 on ``_START_FAILED_SIGNAL``. Without it, the exit code is 0."""
    has_failed = False

    def shut_down(number: int, frame: FrameType | None) -> None:
        nonlocal has_failed
        has_failed = True
        end = signal.getsignal(signal.SIGTERM)  # While the pages are compiled, not of Granian.
        assert callable(end)
        end(number, frame)

    def exit_with_1() -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # A second Ctrl-C would change the exit code.
        if has_failed:
            sys.stdout.flush()
            os._exit(1)

    signal.signal(_START_FAILED_SIGNAL, shut_down)
    atexit.register(exit_with_1)  # Registered first, so it runs last.
