"""Checks before `reflex run` starts anything: ports and database.

Reflex starts its pages and its server side by side, and a server that fails then leaves the
other waiting. So whatever can be known beforehand is checked beforehand, in the process that
the person started, and told in one line.
"""

from __future__ import annotations

import atexit
import errno
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from solo_app.config import HOST, Settings, SettingsError

REFUSED = signal.SIGUSR1
"""What a worker tells the process that the person started, when it could not begin after all."""

_checked = False


def check_before_run(argv: list[str], settings: Settings) -> None:
    """Check once, in the process of `reflex run`, after Reflex has read its options.

    Raises SettingsError with one line that says what to do.
    """
    global _checked
    # Reflex loads its configuration again once it has put its options into the environment.
    options_read = "REFLEX_ENV_MODE" in os.environ
    if _checked or not options_read or "run" not in argv or multiprocessing.parent_process():
        return
    _checked = True
    _heed_refusals()
    has_backend = not _is_on("REFLEX_FRONTEND_ONLY")
    has_own_frontend = os.environ["REFLEX_ENV_MODE"] == "dev" and not _is_on("REFLEX_BACKEND_ONLY")
    if has_backend and has_own_frontend and settings.backend_port == settings.frontend_port:
        raise SettingsError(
            f"Pages and API cannot share port {settings.backend_port} in development; "
            "choose another with REFLEX_FRONTEND_PORT or REFLEX_BACKEND_PORT."
        )
    if has_own_frontend:
        _check_port(settings.frontend_port, "REFLEX_FRONTEND_PORT")
    if has_backend:
        _check_port(settings.backend_port, "REFLEX_BACKEND_PORT")
        _check_database(settings.database)


def _heed_refusals() -> None:
    """End in order when a worker refuses, and with exit code 1: the servers would give 0."""
    refused = False

    def end(*_: object) -> None:
        nonlocal refused
        refused = True
        os.kill(os.getpid(), signal.SIGTERM)

    def tell() -> None:
        if refused:
            sys.stdout.flush()
            os._exit(1)

    signal.signal(REFUSED, end)
    atexit.register(tell)  # Registered before all others, it is called after them.


def _is_on(variable: str) -> bool:
    return os.environ.get(variable, "").lower() == "true"


def _check_port(port: int, variable: str) -> None:
    for family, host in ((socket.AF_INET, HOST), (socket.AF_INET6, "::1")):
        try:
            with socket.socket(family) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise SettingsError(
                    f"Port {port} is in use by another program{_listener(port)}; "
                    f"stop that one, or choose another port with {variable}."
                ) from None
            if error.errno == errno.EACCES:
                raise SettingsError(
                    f"Port {port} may not be used by this user; "
                    f"choose one from 1024 on with {variable}."
                ) from None
            # A machine without IPv6 has nobody listening there.


def _listener(port: int) -> str:
    """Which process listens on a port, in brackets; nothing where the system does not tell."""
    sockets = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with suppress(OSError):
            for row in Path(table).read_text().splitlines()[1:]:
                _, address, _, state, *_, inode = row.split()[:10]
                if state == "0A" and int(address.rpartition(":")[2], 16) == port:
                    sockets.add(f"socket:[{inode}]")
    for folder in Path("/proc").glob("[0-9]*/fd"):
        with suppress(OSError):
            if any(str(file.readlink()) in sockets for file in folder.iterdir()):
                return f" (process {folder.parent.name})"
    return ""


def _check_database(path: Path) -> None:
    # In a process of its own: this one will fork, and DuckDB does not survive that.
    check = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "solo_app.batches.store", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    if check.returncode != 0:
        raise SettingsError(check.stderr.strip().splitlines()[-1])
