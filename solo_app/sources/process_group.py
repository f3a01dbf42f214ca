"""Runs a program in a process group, and ends the group when the program or the caller ends.

Usage: ``python -I process_group.py STATUS PROGRAM [ARGUMENT ...]``. The standard input is a pipe
from the caller. When the caller closes it, or ends in any way, the group receives SIGTERM and,
after ``GRACE_SECONDS``, SIGKILL. The same happens to the rest of the group when the program exits.
The id of the group is written to the file descriptor ``STATUS`` at the start, and a space and the
exit code at the end: 128 + N after signal N, as in a shell. Without an exit code, this process was
killed, and the caller must end the group.

This is a separate process because a killed app cannot clean up: the kernel closes the pipe instead.
A process that starts its own session leaves the group and is not ended.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress

GRACE_SECONDS = 2.0

CANNOT_START = 127
"""The exit code if the program cannot be started, as in a shell."""


def main() -> None:
    status, command = int(sys.argv[1]), sys.argv[2:]
    os.write(status, f" {run(command, status)}".encode())


def run(command: list[str], status: int) -> int:
    """Run a program and end its group. Returns the exit code."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        # It ends only with the program or the caller. The program does not inherit handlers.
        signal.signal(number, lambda *_: None)
    try:
        # The program inherits the standard output and error, so its output is not copied.
        program = subprocess.Popen(  # noqa: S603
            command, stdin=subprocess.DEVNULL, process_group=0
        )
    except OSError as error:
        sys.stderr.write(f"Cannot start the program: {error.strerror}\n")
        return CANNOT_START
    os.write(status, str(program.pid).encode())
    is_closed = threading.Event()
    watch = threading.Thread(target=_end_with_caller, args=(program.pid, is_closed), daemon=True)
    watch.start()
    code = program.wait()
    if is_closed.is_set():
        watch.join()
    else:
        _end_group(program.pid)
    return code if code >= 0 else 128 - code


def _end_with_caller(group: int, is_closed: threading.Event) -> None:
    while os.read(0, 1):  # Until the caller closes the pipe.
        pass
    is_closed.set()
    _end_group(group)


def _end_group(group: int) -> None:
    """Terminate a group, wait until it is empty, and kill the remaining processes."""
    deadline = time.monotonic() + GRACE_SECONDS
    # PermissionError: only zombies are left (macOS), or the process has changed its user.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGTERM)
        while time.monotonic() < deadline:
            time.sleep(0.01)
            os.killpg(group, 0)
        os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    main()
