"""Runs a program in a process group, and ends the group when the program or the caller ends.

Usage: ``python -I process_group.py PROGRAM [ARGUMENT ...]``. The standard input is a socket of the
caller, which receives the id of the group. When the caller shuts the socket down, or ends in any
way, the group receives SIGTERM and, after ``GRACE_SECONDS``, SIGKILL. The same happens to the rest
of the group when the program exits. The exit code is that of the program: 128 + N after signal N,
as in a shell. If this process is killed, the caller must end the group.

This is a separate process because a killed app cannot clean up: the kernel closes its socket
instead. A process that starts its own session leaves the group and is not ended.
"""

from __future__ import annotations

import os
import select
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
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        # It ends only with the program or the caller. The program does not inherit handlers.
        signal.signal(number, lambda *_: None)
    try:
        # The program inherits the standard output and error, so its output is not copied.
        program = subprocess.Popen(  # noqa: S603
            sys.argv[1:], stdin=subprocess.DEVNULL, process_group=0
        )
    except OSError as error:
        sys.stderr.write(f"Cannot start the program: {error.strerror}\n")
        sys.exit(CANNOT_START)
    with suppress(OSError):  # The caller has ended.
        os.write(0, str(program.pid).encode())
    _wait_for_end(program)
    _end_group(program.pid)
    code = program.wait()
    sys.exit(code if code >= 0 else 128 - code)


def _wait_for_end(program: subprocess.Popen[bytes]) -> None:
    """Wait until the program exits or the caller ends."""
    exited, exiting = os.pipe()

    def wait() -> None:
        program.wait()
        os.close(exiting)

    threading.Thread(target=wait).start()
    select.select([0, exited], [], [])


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
