"""Checks before `reflex run` starts anything: ports and database.

Reflex starts its pages and its server side by side, and a server that fails then leaves the
other waiting. So whatever can be known beforehand is checked beforehand, in the process that
the person started, and told in one line. The look at the database takes long where a killed
process left a log, and so does loading the app: in production they go on side by side, and the
app is loaded before anything starts.
"""

from __future__ import annotations

import atexit
import errno
import gc
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from solo_app.config import HOST, Settings, SettingsError

REFUSED = signal.SIGUSR1
"""What a worker tells the process that the person started, when it could not begin after all."""

_checked = False
_loads = 0
_look: _Look | None = None


def refuse(error: SettingsError) -> NoReturn:
    """End the process that the person started with one line."""
    sys.exit(f"SOLO cannot start: {error}")


def check_before_run(argv: list[str], settings: Settings) -> bool:
    """Check once, in the process of `reflex run`, after Reflex has read its options.

    The look at the database goes on until ``finish_checks``. True where this process goes on to
    make the pages for production. Raises SettingsError with one line that says what to do.
    """
    global _checked, _look, _loads
    # Reflex loads its configuration again once it has put its options into the environment; what
    # is there before may be of whoever started it, and is not heeded by Reflex.
    _loads += 1
    options_read = _loads > 1 and "REFLEX_ENV_MODE" in os.environ
    if _checked or not options_read or "run" not in argv or multiprocessing.parent_process():
        return False
    _checked = True
    _heed_refusals()
    has_backend = not _is_on("REFLEX_FRONTEND_ONLY")
    has_frontend = not _is_on("REFLEX_BACKEND_ONLY")
    is_production = os.environ["REFLEX_ENV_MODE"] == "prod"
    has_own_frontend = has_frontend and os.environ["REFLEX_ENV_MODE"] == "dev"
    if has_backend and has_own_frontend and settings.backend_port == settings.frontend_port:
        raise SettingsError(
            f"Pages and API cannot share port {settings.backend_port} in development; "
            "choose another with REFLEX_FRONTEND_PORT or REFLEX_BACKEND_PORT."
        )
    if has_own_frontend:
        _check_port(settings.frontend_port, "REFLEX_FRONTEND_PORT")
    if has_backend:
        _check_port(settings.backend_port, "REFLEX_BACKEND_PORT")
        _look = _Look(settings.database, for_workers=is_production)
        if not (is_production and has_frontend):
            _finish_look()  # The app is loaded in other processes, or after Reflex says it runs.
    if is_production:
        # All that is loaded stays; to look through it again and again takes a quarter of it.
        gc.disable()
    return is_production and has_frontend


def finish_checks() -> None:
    """The app is loaded: wait for the look at the database, if one is under way.

    Raises SettingsError with one line that says what to do.
    """
    if not gc.isenabled():
        gc.freeze()  # Nor through it once more before the worker is forked: nothing of it is waste.
        gc.enable()
    _finish_look()


def _finish_look() -> None:
    global _look
    look, _look = _look, None
    if look:
        look.wait()


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


class _Look:
    """The look at the database, in a process of its own: this one will fork, and DuckDB does not
    survive that.
    """

    def __init__(self, path: Path, for_workers: bool) -> None:
        self._path = path
        command = [sys.executable, "-m", "solo_app.storage.duckdb", str(path)]
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)  # noqa: S603
        atexit.register(self._process.kill)  # It holds the database as long as it lasts.

    def wait(self) -> None:
        """Raises SettingsError when the database cannot be used."""
        _, said = self._process.communicate()
        atexit.unregister(self._process.kill)
        if code := self._process.returncode:
            lines = said.splitlines() or [f"The look at {self._path} ended with {code}."]
            raise SettingsError(lines[-1])
