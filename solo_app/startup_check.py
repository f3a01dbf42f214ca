"""Checks the ports, the database and the declared sources before `reflex run` starts anything.

Reflex starts the frontend and the server in parallel; if one of them fails, the other keeps
running. This check runs first, in the process of `reflex run`, and exits with one line.
"""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from solo_app.config import HOST, Settings, SettingsError


def check_startup(options: Mapping[str, Any], settings: Settings) -> None:
    """Check the ports, the database and ``solo.toml`` for `reflex run` with these options.

    Raises SettingsError.
    """
    backend_port = options["backend_port"] or settings.backend_port
    frontend_port = options["frontend_port"] or settings.frontend_port
    has_backend = not options["frontend_only"]
    # In production the server serves the pages too, on its own port.
    has_frontend = not options["backend_only"] and (options["env"] == "dev" or not has_backend)
    if has_backend and has_frontend and backend_port == frontend_port:
        raise SettingsError(
            f"Pages and API cannot share port {backend_port} in development. "
            "Choose another with REFLEX_FRONTEND_PORT or REFLEX_BACKEND_PORT."
        )
    if has_frontend:
        _check_port(frontend_port, "REFLEX_FRONTEND_PORT")
    if has_backend:
        _check_port(backend_port, "REFLEX_BACKEND_PORT")
        _check_files(settings)


def _check_port(port: int, variable: str) -> None:
    for family, host in ((socket.AF_INET, HOST), (socket.AF_INET6, "::1")):
        try:
            with socket.socket(family) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((host, port))
        except OSError as error:  # Ignore other errors, such as missing IPv6 support.
            if error.errno == errno.EADDRINUSE:
                raise SettingsError(
                    f"Port {port} is in use by another program{_listener(port)}. "
                    f"Stop that program, or choose another port with {variable}."
                ) from None
            if error.errno == errno.EACCES:
                raise SettingsError(
                    f"This user is not allowed to use port {port}. "
                    f"Choose a port above 1023 with {variable}."
                ) from None


def _listener(port: int) -> str:
    """Return the process that listens on a port, in parentheses; empty if it is unknown."""
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


def _check_files(settings: Settings) -> None:
    # In a child process: this one forks its workers, and DuckDB does not survive a fork.
    command = [sys.executable, "-m", "solo_app", "check"]
    has_config = os.path.exists(settings.config)  # noqa: PTH110 (never raises)
    environment = {
        **os.environ,
        "SOLO_DATABASE": str(settings.database),
        "SOLO_CONFIG": str(settings.config) if has_config else "",
    }
    check = subprocess.run(command, capture_output=True, text=True, env=environment)  # noqa: S603
    if check.returncode:
        lines = [line for line in check.stderr.split("\n") if line]
        text = f"`python -m solo_app check` exited with code {check.returncode}."
        raise SettingsError(lines[-1] if lines else text)
