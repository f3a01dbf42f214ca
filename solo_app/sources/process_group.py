"""Runs a program in a process group, and ends the group when the program or the caller ends.

Usage: ``python -I process_group.py PROGRAM [ARGUMENT ...]``. Standard input is a socket of the
caller. When the caller shuts it down, or ends in any way, the group receives SIGTERM and, after
``GRACE_SECONDS``, SIGKILL. The same happens to the rest of the group when the program exits. The
exit code is that of the program: 128 + N after signal N, as in a shell. If this process is killed,
the caller must end the processes of its session.

This is a separate process because a killed app cannot clean up: the kernel closes its socket
instead. A process that starts its own session or group leaves the group and is not ended.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress

GRACE_SECONDS = 2.0


def main() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, [])  # The app blocks SIGHUP.
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        # This process ends only with the program or the caller. Handlers are not inherited.
        signal.signal(number, lambda *_: None)
    try:
        # The program inherits standard output and error, so its output is not copied.
        program = subprocess.Popen(  # noqa: S603
            sys.argv[1:], stdin=subprocess.DEVNULL, process_group=0
        )
    except OSError as error:
        sys.stderr.write(f"Cannot start the program: {error.strerror}\n")
        sys.exit(127)  # As in a shell.
    while program.poll() is None:
        if select.select([0], [], [], 0.05)[0]:  # The caller has ended.
            break
    _end_group(program)
    code = program.wait()
    sys.exit(code if code >= 0 else 128 - code)


def _end_group(program: subprocess.Popen[bytes]) -> None:
    """Terminate a group, wait until it is empty, and kill the remaining processes."""
    deadline = time.monotonic() + GRACE_SECONDS
    # PermissionError: only zombies are left (macOS), or the process has changed its user.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(program.pid, signal.SIGTERM)
        while time.monotonic() < deadline:
            time.sleep(0.01)
            program.poll()  # An exited process stays in the group until it is reaped.
            os.killpg(program.pid, 0)
        os.killpg(program.pid, signal.SIGKILL)


if __name__ == "__main__":
    main()
